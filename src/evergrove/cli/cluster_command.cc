// evergrove status and evergrove drain: what a running coordinator knows, and one thing to ask it.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "evergrove/cli/cluster_options.h"
#include "evergrove/cli/commands.h"
#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/stop_signal.h"
#include "evergrove/runtime/cluster_client.h"
#include "evergrove/runtime/log_status.h"
#include "evergrove/runtime/run_progress.h"

namespace evergrove::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kWatchEvery{1000};
constexpr std::chrono::milliseconds kWatchLogEvery{5000};  // which reads all of it
constexpr std::chrono::milliseconds kLookEvery{100};       // for Ctrl-C

struct ClusterCommandOptions {
  ClusterOptions cluster;
  std::string coordinator;
  std::string log;
  std::string worker;
  bool watch = false;
  bool json = false;
};

Result<runtime::ClientRequest> client_request(const ClusterCommandOptions& options) {
  if (options.coordinator.empty()) {
    return invalid_input("Say where the coordinator is with --coordinator HOST:PORT");
  }
  EVERGROVE_ASSIGN_OR_RETURN(ClusterSecrets secrets, read_secrets(options.cluster));
  runtime::ClientRequest request;
  request.coordinator = options.coordinator;
  request.token = std::move(secrets.token);
  request.tls_ca_pem = std::move(secrets.tls_ca_pem);
  return request;
}

std::string progress_text(const nlohmann::json& status) {
  const auto number = [&](const char* key) { return status.at(key).get<uint64_t>(); };
  std::string text =
      "trees       " + count_text(number("trees")) + " of " + count_text(number("trees_max"));
  if (const auto& speed = status.at("trees_per_minute"); speed.is_number() && speed > 0) {
    text += ", " + metric_text(std::round(speed.get<double>())) + " a minute";
  }
  if (const auto& left = status.at("seconds_to_go"); left.is_number()) {
    text += ", about " + seconds_text(left.get<double>()) + " to go";
  }
  if (status.at("state") == "finished") text += ", finished";
  text += "\n";
  for (const auto& [set, metrics] : status.at("metrics").items()) {
    std::string line = set;
    line.resize(std::max<size_t>(line.size(), 10), ' ');
    for (const auto& [name, value] : metrics.items()) {
      line += "  " + name + " " + (value.is_number() ? metric_text(value.get<double>()) : "-");
    }
    text += line + "\n";
  }
  return text;
}

// Beside the fastest: the figure itself depends on what rounds ask for.
std::string speed_text(const nlohmann::json& worker, double fastest) {
  const nlohmann::json& speed = worker.at("rows_per_second");
  if (!speed.is_number() || fastest <= 0) return "";
  return ", speed " + std::to_string(std::lround(100 * speed.get<double>() / fastest)) + " %";
}

std::string coordinator_text(const nlohmann::json& status) {
  const auto number = [&](const char* key) { return status.at(key).get<uint64_t>(); };
  std::string text = progress_text(status);
  text += "workers     " + count_text(status.at("workers").size()) + " (" +
          count_text(number("joined")) + " joined, " + count_text(number("lost")) + " lost, " +
          count_text(number("left")) + " left)\n";
  double fastest = 0;
  for (const nlohmann::json& worker : status.at("workers")) {
    const nlohmann::json& speed = worker.at("rows_per_second");
    if (speed.is_number()) fastest = std::max(fastest, speed.get<double>());
  }
  for (const nlohmann::json& worker : status.at("workers")) {
    text += "  " + worker.at("name").get<std::string>() + "  " +
            worker.at("address").get<std::string>() + "  " +
            count_text(worker.at("threads").get<uint64_t>(), "thread") + ", " +
            std::to_string(worker.at("shards_active").get<uint64_t>()) + " of " +
            count_text(worker.at("shards_held").get<uint64_t>(), "shard") + " active" +
            speed_text(worker, fastest) + (worker.at("is_leaving").get<bool>() ? ", leaving" : "") +
            "\n";
  }
  text += "shards      " + count_text(status.at("shards").size());
  if (number("shards_missing") > 0) {
    text += ", " + count_text(number("shards_missing")) + " held by nobody";
  }
  text += "\n";
  if (const double lost = status.at("work_lost_seconds").get<double>(); lost > 0) {
    text += "done again  " + seconds_text(lost) + " of " +
            seconds_text(status.at("work_seconds").get<double>()) + " of work\n";
  }
  return text;
}

std::string log_text(const nlohmann::json& status) {
  const uint64_t epoch = status.at("epoch").get<uint64_t>();
  return progress_text(status) + "rows        " + count_text(status.at("rows").get<uint64_t>()) +
         "\n" + (epoch > 0 ? "epoch       " + count_text(epoch) + "\n" : "");
}

// Prints status after status, as `ask` gives them, until told to stop.
Result<int> show(const ClusterCommandOptions& options, std::chrono::milliseconds every,
                 const std::function<Result<std::string>()>& ask,
                 const std::function<std::string(const nlohmann::json&)>& in_words) {
  StopSignal stop;
  while (true) {
    EVERGROVE_ASSIGN_OR_RETURN(const std::string answer, ask());
    const nlohmann::json status = nlohmann::json::parse(answer, nullptr, false);
    if (status.is_discarded()) return corrupt("The coordinator's answer is not what it should be");
    const std::string text = options.json ? answer + "\n" : in_words(status);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    const auto next = Clock::now() + every;
    do {
      if (!options.watch || stop.arrived()) return 0;
      std::this_thread::sleep_for(kLookEvery);
    } while (Clock::now() < next);
  }
}

Result<int> show_log(const ClusterCommandOptions& options) {
  const Clock::time_point start = Clock::now();
  runtime::RunProgress progress;
  const auto ask = [&]() -> Result<std::string> {
    EVERGROVE_ASSIGN_OR_RETURN(const runtime::LogStatus status, runtime::log_status(options.log));
    progress.add(std::chrono::duration<double>(Clock::now() - start).count(), status.iterations);
    return runtime::log_status_json(status, progress.per_minute());
  };
  return show(options, kWatchLogEvery, ask, log_text);
}

Result<int> show_status(const ClusterCommandOptions& options) {
  if (!options.log.empty()) {
    if (options.coordinator.empty()) return show_log(options);
    return invalid_input("Give either --coordinator or a log, not both");
  }
  if (options.coordinator.empty()) {
    return invalid_input(
        "Say which run: where its coordinator is with --coordinator HOST:PORT, or its log's folder "
        "or URL");
  }
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::ClientRequest request, client_request(options));
  return show(
      options, kWatchEvery, [&] { return runtime::ask_coordinator(request, "status"); },
      coordinator_text);
}

Result<int> drain(const ClusterCommandOptions& options) {
  if (options.worker.empty()) {
    return invalid_input("Say which worker is to leave; evergrove status names them");
  }
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::ClientRequest request, client_request(options));
  EVERGROVE_ASSIGN_OR_RETURN(const std::string answer,
                             runtime::ask_coordinator(request, "drain " + options.worker));
  std::fputs((answer + "\n").c_str(), stdout);
  return 0;
}

void add_connection(CLI::App* command, ClusterCommandOptions& options) {
  command->add_option("--coordinator", options.coordinator, "Where it listens")
      ->type_name("HOST:PORT");
  command->add_option("--token-file", options.cluster.token_file, "The token of the run")
      ->type_name("FILE");
  command->add_option("--tls-ca", options.cluster.tls_ca, "Whose certificates are trusted")
      ->type_name("FILE");
}

}  // namespace

void add_status(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "status", "Say how far a run is, from its coordinator or its log, and who works on it");
  auto options = std::make_shared<ClusterCommandOptions>();
  add_connection(command, *options);
  command
      ->add_option("log,--log", options->log, "Instead of a coordinator: its log's folder or URL")
      ->type_name("LOG");
  command->add_flag("--watch", options->watch, "Again and again, until Ctrl-C");
  command->add_flag("--json", options->json, "Print one JSON object a line");
  command->callback([&chosen, options] { chosen = [options] { return show_status(*options); }; });
}

void add_drain(CLI::App& application, Action& chosen) {
  CLI::App* command =
      application.add_subcommand("drain", "Let a worker hand over what it holds, and leave");
  auto options = std::make_shared<ClusterCommandOptions>();
  add_connection(command, *options);
  command->add_option("worker", options->worker, "Its name, as evergrove status has it")
      ->type_name("WORKER");
  command->callback([&chosen, options] { chosen = [options] { return drain(*options); }; });
}

}  // namespace evergrove::cli
