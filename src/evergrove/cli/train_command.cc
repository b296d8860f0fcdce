// evergrove train: options, one run, and what is said about it.
// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/config_file.h"
#include "evergrove/cli/progress_display.h"
#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/stop_signal.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/cli/train_options.h"
#include "evergrove/cli/whole_number.h"
#include "evergrove/runtime/cluster_coordinator.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/local_workers.h"
#include "evergrove/runtime/machine_memory.h"
#include "evergrove/runtime/profile.h"
#include "evergrove/runtime/run_snapshot.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/runtime/training_run.h"
#include "evergrove/train/features.h"

namespace evergrove::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  evergrove train --data train.parquet --label fraud --model fraud.evergrove\n"
    "  evergrove train --data 'part-*.parquet' --label fraud --valid valid.parquet \\\n"
    "      --set n_estimators=1000 learning_rate=0.05 early_stopping_rounds=50 \\\n"
    "      --log run --resume --model fraud.evergrove --json\n"
    "  evergrove train --config train.toml --seed 7\n"
    "\n"
    "With --log and --resume the same command can be repeated until it is done: it goes on from\n"
    "where it was stopped, killed or cut off, and ends with the same model.\n"
    "evergrove parameters lists what --set takes.";

constexpr const char* kCoordinatorFooter =
    "Examples:\n"
    "  evergrove credentials --out secrets\n"
    "  evergrove coordinator --data 's3://bucket/part-*.parquet' --label fraud --log "
    "s3://bucket/run \\\n"
    "      --resume --listen 0.0.0.0:7070 --token-file secrets/token --tls-cert secrets/cert.pem "
    "\\\n"
    "      --tls-key secrets/key.pem --model fraud.evergrove\n"
    "\n"
    "Workers may come, go and be lost at any time; the model is the one that a single machine\n"
    "makes of the same data. A coordinator that was lost is started again with --resume.";

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a cluster adds to the result; null for one process.
nlohmann::ordered_json cluster_json(const std::optional<runtime::ClusterReport>& cluster) {
  if (!cluster) return nullptr;
  nlohmann::ordered_json json = {{"joined", cluster->status.joined_count},
                                 {"lost", cluster->status.lost_count},
                                 {"left", cluster->status.left_count},
                                 {"overtaken", cluster->status.overtaken_count},
                                 {"views", cluster->status.view},
                                 {"sent_bytes", cluster->sent_bytes},
                                 {"received_bytes", cluster->received_bytes}};
  json.update(runtime::costs_json(cluster->costs, cluster->losses));
  return json;
}

nlohmann::ordered_json profile_json(const std::optional<runtime::Profile>& profile) {
  if (!profile) return nullptr;
  nlohmann::ordered_json json = {{"seconds", profile->seconds()}};
  for (const runtime::Profile::Row& row : profile->rows()) {
    json["phases"][phase_name(row.phase)] = {{"seconds", row.seconds}, {"times", row.count}};
  }
  return json;
}

nlohmann::ordered_json need_json(const train::MemoryNeed& need) {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (const train::MemoryNeed::Item& item : need.items) {
    items.push_back({{"what", item.what}, {"bytes", item.bytes}});
  }
  return {{"bytes", need.total()}, {"items", std::move(items)}};
}

nlohmann::ordered_json memory_json(const train::MemoryPlan& plan) {
  return {{"limit_bytes", plan.limit_bytes},
          {"rows_pass_by", plan.is_parked()},
          {"rows_at_once", plan.rows_at_once},
          {"file_bytes", plan.file_bytes},
          {"all_rows_in_memory", need_json(plan.in_memory)},
          {"rows_passing_by", need_json(plan.parked)}};
}

std::string need_text(const train::MemoryNeed& need) {
  std::string text;
  for (const train::MemoryNeed::Item& item : need.items) {
    text += "  " + bytes_text(item.bytes) + "  " + item.what + "\n";
  }
  return text;
}

Result<int> explain(const TrainOptions& options, const runtime::TrainingRequest& request) {
  EVERGROVE_ASSIGN_OR_RETURN(const train::MemoryPlan plan, runtime::explain_memory(request));
  if (options.json) {
    print_json({{"memory", memory_json(plan)}});
  } else {
    std::string text = "All rows in memory: " + bytes_text(plan.in_memory.total()) + "\n" +
                       need_text(plan.in_memory) + "Rows passing by, about " +
                       count_text(plan.rows_at_once, "row") + " at once, from a file of " +
                       bytes_text(plan.file_bytes) + ": " + bytes_text(plan.parked.total()) + "\n" +
                       need_text(plan.parked);
    if (plan.check().ok()) {
      text += "Within " + bytes_text(plan.limit_bytes) + ": " +
              (plan.is_parked() ? "rows pass by" : "all rows are in memory") + "\n";
    }
    std::fputs(text.c_str(), stdout);
  }
  EVERGROVE_RETURN_IF_ERROR(plan.check());
  return 0;
}

void print_train_json(const runtime::TrainingReport& report,
                      const std::optional<runtime::ClusterReport>& cluster,
                      const std::optional<runtime::Profile>& profile) {
  print_json({{"digest", report.digest},
              {"cluster", cluster_json(cluster)},
              {"metrics", metrics_json(report.metrics)},
              {"seconds",
               {{"read", report.seconds_read},
                {"bins", report.seconds_bins},
                {"train", report.seconds_train},
                {"log", report.seconds_log},
                {"total", report.seconds_total}}},
              {"peak_rss_bytes", report.peak_rss_bytes},
              {"rows", report.row_count},
              {"columns", report.feature_count},
              {"trees", report.model.trees.size()},
              {"best_iteration", report.model.metadata.best_iteration},
              {"iterations", report.model.metadata.iteration_count},
              {"resumed_iterations", report.resumed_iterations},
              {"objective", model::objective_name(report.model.objective)},
              {"parameters", parameters_json(report.model.metadata.parameters_json)},
              {"profile", profile_json(profile)},
              {"memory", cluster ? nlohmann::ordered_json(nullptr) : memory_json(report.memory)},
              {"notes", report.notes}});
}

void print_train_words(const TrainOptions& options, const runtime::TrainingReport& report,
                       const std::optional<runtime::ClusterReport>& cluster) {
  std::string text =
      styled(options.model, Style::bold, stdout) + ": " +
      count_text(report.model.trees.size(), "tree") + " from " +
      count_text(report.row_count, "row") + " and " + count_text(report.feature_count, "column") +
      " in " + seconds_text(report.seconds_total) + " (read " + seconds_text(report.seconds_read) +
      ", bins " + seconds_text(report.seconds_bins) + ", train " +
      seconds_text(report.seconds_train) + "), " + bytes_text(report.peak_rss_bytes) +
      " of memory\n";
  text += metrics_lines(report.metrics);
  if (report.model.metadata.best_iteration > 0) {
    text += "best iteration  " + count_text(report.model.metadata.best_iteration) + "\n";
  }
  if (cluster && cluster->status.lost_count + cluster->status.overtaken_count > 0) {
    const auto seconds = [](cluster::Time time) {
      return seconds_text(double(time.count()) / 1000);
    };
    text += "lost        " + count_text(cluster->status.lost_count, "worker") + ", " +
            count_text(cluster->status.overtaken_count) + " overtaken; " +
            seconds(cluster->costs.work_lost) + " of " + seconds(cluster->costs.work) +
            " of work done again\n";
  }
  text += "digest      " + report.digest + "\n";
  std::fputs(text.c_str(), stdout);
}

// What the columns were taken for, since a CSV does not say.
std::string columns_note(const train::DataSpec& spec) {
  constexpr size_t kNamesShown = 12;
  size_t numeric_count = 0;
  std::vector<std::string> categorical;
  const Result<std::vector<size_t>> features = train::feature_columns(spec);
  if (!features.ok()) return "";
  for (size_t index : *features) {
    const table::ColumnSpec& column = spec.data->schema().columns[index];
    if (column.kind == table::ColumnKind::numeric) {
      ++numeric_count;
    } else {
      categorical.push_back(column.name);
    }
  }
  std::string text = count_text(spec.data->row_count(), "row") + "; " +
                     count_text(numeric_count, "column") + " of numbers, " +
                     std::to_string(categorical.size()) + " of categories";
  for (size_t i = 0; i < std::min(categorical.size(), kNamesShown); ++i) {
    text += (i == 0 ? ": " : ", ") + categorical[i];
  }
  return text + (categorical.size() > kNamesShown ? ", ..." : "");
}

bool has_status_page(const ClusterOptions& options) {
  return !options.status_listen.empty() && options.status_listen != kNoStatusPage;
}

// A run whose rows are held by other processes: of this machine, or whoever comes.
Result<runtime::TrainingReport> train_with_workers(const TrainOptions& options,
                                                   const runtime::TrainingRequest& training,
                                                   std::optional<runtime::ClusterReport>& cluster) {
  runtime::CoordinatorRequest request;
  request.training = training;
  EVERGROVE_ASSIGN_OR_RETURN(request.data,
                             describe_data(options, training.data.objective_is_chosen));
  EVERGROVE_ASSIGN_OR_RETURN(const ClusterSecrets secrets, read_secrets(options.cluster));
  if (has_status_page(options.cluster)) {
    request.status = {options.cluster.status_listen, secrets.status_token, secrets.tls_cert_pem,
                      secrets.tls_key_pem};
  }
  request.replicas = uint32_t(options.replicas);
  request.on_status_page = [&](const std::string& url) {
    if (!options.quiet) print_note("Status page: " + url);
  };
  if (options.workers > 0) {
    EVERGROVE_ASSIGN_OR_RETURN(
        cluster, runtime::train_with_local_workers(std::move(request),
                                                   {.count = size_t(options.workers),
                                                    .threads = options.threads.value_or(0),
                                                    .program = ""}));
    return std::move(cluster->training);
  }
  request.listen = options.cluster.listen;
  request.token = secrets.token;
  request.tls_cert_pem = secrets.tls_cert_pem;
  request.tls_key_pem = secrets.tls_key_pem;
  request.on_listening = [&](const std::string& address) {
    if (!options.quiet) print_note("Listens on " + address + " for workers");
  };
  uint64_t told = 0;
  request.on_status = [&](const cluster::CoordinatorStatus& status) -> Status {
    if (!options.quiet && status.memory_bytes_missing > told) {
      print_note("The workers cannot hold all rows; waits for workers with " +
                 bytes_text(status.memory_bytes_missing) + " more memory");
    }
    told = status.memory_bytes_missing;
    return {};
  };
  EVERGROVE_ASSIGN_OR_RETURN(cluster, runtime::coordinate(request));
  return std::move(cluster->training);
}

Status write_text(const std::string& path, std::string_view text) {
  EVERGROVE_ASSIGN_OR_RETURN(auto file, runtime::UnfinishedFile::create(path));
  EVERGROVE_RETURN_IF_ERROR(file.write(text));
  return file.publish();
}

// glibc keeps arrays of up to 32 MiB in its heap once one of that size was given back, where they
// leave holes; given back to the system, they are there for others. And it has a heap for each of
// several threads, which reserves 64 MiB of address space.
void keep_memory_small() {
#ifdef __GLIBC__
  constexpr int kMapped = 256 << 10;
  mallopt(M_MMAP_THRESHOLD, kMapped);
  mallopt(M_TRIM_THRESHOLD, kMapped);
  mallopt(M_ARENA_MAX, 1);
#endif
}

Result<int> train(TrainOptions options) {
  const Clock::time_point start = Clock::now();
  options.profile |= !options.profile_trace.empty();
  if (options.profile && is_cluster(options)) {
    return invalid_input(
        "--profile is for runs in one process; leave out --workers, or profile a worker's machine");
  }
  if (options.replicas > 0 && !is_cluster(options)) {
    return invalid_input("--replicas is for runs with workers; add --workers, or leave it out");
  }
  if (is_cluster(options) &&
      (!options.memory.empty() || !options.cache.empty() || options.explain)) {
    return invalid_input(
        "--memory, --cache and --explain are for runs in one process; evergrove worker has its own "
        "--memory");
  }
  if (has_status_page(options.cluster)) {
    if (!is_cluster(options)) {
      return invalid_input(
          "--status-listen is for runs with workers; add --workers, or leave it out");
    }
    // Before anything is read.
    EVERGROVE_ASSIGN_OR_RETURN(const ClusterSecrets secrets, read_secrets(options.cluster));
    EVERGROVE_RETURN_IF_ERROR(
        runtime::check_may_show({options.cluster.status_listen, secrets.status_token,
                                 secrets.tls_cert_pem, secrets.tls_key_pem}));
  }
  if (!options.config.empty()) EVERGROVE_RETURN_IF_ERROR(apply_config_file(options));
  std::vector<std::string> notes;
  StopSignal stop;
  const bool is_limited =
      !options.memory.empty() || runtime::process_memory_bytes() < runtime::machine_memory_bytes();
  if (is_limited) keep_memory_small();
  const runtime::ThreadLimit threads(options.threads.value_or(0));
  EVERGROVE_ASSIGN_OR_RETURN(runtime::TrainingRequest request,
                             threads.execute([&] { return make_request(options, notes); }));
  const double open_seconds = seconds_since(start);
  std::optional<runtime::Profile> profile;
  if (options.profile) profile.emplace(!options.profile_trace.empty());
  if (!options.quiet) {
    for (const std::string& note : notes) print_note(note);
    if (const std::string note = columns_note(request.data); !note.empty()) print_note(note);
  }
  if (options.explain) return threads.execute([&] { return explain(options, request); });
  ProgressDisplay display(options.quiet);
  request.progress = [&](const runtime::TrainingProgress& progress) {
    display.show(progress);
    return !stop.arrived();
  };
  std::optional<runtime::ClusterReport> cluster;
  Result<runtime::TrainingReport> result =
      is_cluster(options) ? train_with_workers(options, request, cluster) : runtime::train(request);
  display.clear();
  if (profile) profile->stop();
  if (!result.ok()) return result.status();
  if (!options.profile_trace.empty()) {
    EVERGROVE_RETURN_IF_ERROR(write_text(options.profile_trace, profile->chrome_trace()));
  }
  runtime::TrainingReport& report = result.value();
  report.seconds_read += open_seconds;
  report.seconds_total += open_seconds;
  if (!options.quiet) {
    for (const std::string& note : report.notes) print_note(note);
  }
  report.notes.insert(report.notes.begin(), notes.begin(), notes.end());
  if (options.json) {
    print_train_json(report, cluster, profile);
  } else if (!options.quiet) {
    print_train_words(options, report, cluster);
  }
  if (profile && !options.json) {
    std::fputs(profile->table(threads.count()).c_str(), stdout);
  }
  return 0;
}

void add_options(CLI::App* command, const std::shared_ptr<TrainOptions>& options) {
  command->add_option("--data", options->data, "Files, folders, globs or URLs to learn from")
      ->type_name("PATH...");
  command->add_option("--label", options->label, "The column to predict")->type_name("COLUMN");
  command->add_option("--objective", options->objective, "By the label if it is not said")
      ->type_name("binary|multiclass|regression");
  command
      ->add_option("--valid", options->valid,
                   "A set to evaluate on each round; may be given several times")
      ->type_name("PATH...");
  command
      ->add_option("--valid-fraction", options->valid_fraction,
                   "The share of the rows to hold out for evaluation")
      ->type_name("F");
  command->add_option("--weight", options->weight, "The column of row weights")
      ->type_name("COLUMN");
  command->add_option("--exclude", options->exclude, "Columns not to learn from")
      ->type_name("COLUMN,...")
      ->delimiter(',');
  command
      ->add_option("--categorical", options->categorical,
                   "Columns of numbers to be taken as categories")
      ->type_name("COLUMN,...")
      ->delimiter(',');
  command
      ->add_option("--type", options->column_types,
                   "CSV: what a column is, over what is inferred: number, text or date")
      ->type_name("COLUMN=TYPE...");
  command->add_option("--set", options->settings, "Parameters; see evergrove parameters")
      ->type_name("NAME=VALUE...");
  command->add_option("--config", options->config, "These options and parameters from a file")
      ->type_name("FILE.toml");
  command->add_option("--seed", options->seed, "The seed of all random choices")
      ->type_name("N")
      ->check(whole_number(0, UINT64_MAX));
  command->add_option("--threads", options->threads, "All cores if it is not said")
      ->type_name("N")
      ->check(whole_number(1, kThreadsMax));
  command
      ->add_option("--log", options->log,
                   "The folder, or s3://, gs:// or abfs:// URL, of the log to resume from")
      ->type_name("DIR");
  command->add_flag("--resume", options->resume, "Go on from the log, if there is one");
  command
      ->add_option("--continue", options->continue_from,
                   "A finished model to add trees to; n_estimators counts its own too")
      ->type_name("FILE");
  command->add_option("--model", options->model, "The file to write")->type_name("FILE");
  command->add_flag("--json", options->json, "Print the result as one JSON object");
  command->add_flag("--quiet", options->quiet, "Say nothing but errors (and --json's result)");
  command->add_flag("--profile", options->profile, "Print where the time went");
  command
      ->add_option("--profile-trace", options->profile_trace,
                   "The same as a file for chrome://tracing and Perfetto")
      ->type_name("FILE");
}

void add_replicas(CLI::App* command, TrainOptions& options) {
  command
      ->add_option("--replicas", options.replicas,
                   "Spare copies of rows at other workers, so that a loss costs no reading")
      ->type_name("N")
      ->check(whole_number(0, 8));
}

void add_status_page(CLI::App* command, ClusterOptions& cluster) {
  command
      ->add_option("--status-listen", cluster.status_listen,
                   "Where to serve a status page and Prometheus metrics; off: nowhere")
      ->type_name("HOST:PORT");
  command
      ->add_option("--status-token-file", cluster.status_token_file,
                   "The token that they need; beyond loopback there must be one")
      ->type_name("FILE");
}

}  // namespace

void add_train(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand("train", "Train a model and write it to a file");
  auto options = std::make_shared<TrainOptions>();
  add_options(command, options);
  command
      ->add_option("--workers", options->workers,
                   "Let so many processes on this machine do it, as a cluster would")
      ->type_name("N")
      ->check(whole_number(1, 64));
  command
      ->add_option("--memory", options->memory,
                   "What it may take, such as 2GiB; rows that do not fit pass by from a file")
      ->type_name("SIZE");
  command
      ->add_option("--cache", options->cache,
                   "The folder of that file; $TMPDIR or /var/tmp if it is not said")
      ->type_name("DIR");
  command->add_flag("--explain", options->explain,
                    "Say what memory it needs and how it would do with --memory; train nothing");
  add_replicas(command, *options);
  add_status_page(command, options->cluster);
  command->footer(kFooter);
  command->callback([&chosen, options] { chosen = [options] { return train(*options); }; });
}

void add_coordinator(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "coordinator", "Train a model with workers (evergrove worker) that may come and go");
  auto options = std::make_shared<TrainOptions>();
  add_options(command, options);
  ClusterOptions& cluster = options->cluster;
  cluster.listen = "127.0.0.1:0";
  command->add_option("--listen", cluster.listen, "Where workers reach it")->type_name("HOST:PORT");
  command->add_option("--token-file", cluster.token_file, "The token that workers must have")
      ->type_name("FILE");
  command->add_option("--tls-cert", cluster.tls_cert, "The certificate to listen with")
      ->type_name("FILE");
  command->add_option("--tls-key", cluster.tls_key, "Its key")->type_name("FILE");
  add_replicas(command, *options);
  cluster.status_listen = "127.0.0.1:0";
  add_status_page(command, cluster);
  command->footer(kCoordinatorFooter);
  command->callback([&chosen, options] { chosen = [options] { return train(*options); }; });
}

}  // namespace evergrove::cli
