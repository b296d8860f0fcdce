// evergrove inspect: what a model or the log of a run says about itself.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/model/importance.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/log_frame.h"
#include "evergrove/runtime/log_store.h"
#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/model_metadata.h"
#include "evergrove/runtime/run_log.h"

namespace evergrove::cli {
namespace {

using nlohmann::ordered_json;

constexpr size_t kFeaturesShown = 20;
constexpr size_t kRoundsShown = 10;

// A model and a log alike: the log's header and iterations seen as the model that they stand for.
struct Inspected {
  std::string kind;  // "model" or "log"
  model::Model model;
  uint64_t torn_bytes = 0;
};

Result<Inspected> look(const std::string& path) {
  Result<std::string> bytes = runtime::read_file(path);
  const bool is_log = !bytes.ok() || bytes->starts_with("EVERGROVE LOG ");
  if (!is_log) {
    EVERGROVE_ASSIGN_OR_RETURN(model::Model model, runtime::read_model(path));
    return Inspected{"model", std::move(model), 0};
  }
  const bool may_be_log =
      runtime::is_object_place(path) || bytes.status().kind() == StatusKind::invalid_input;
  if (!bytes.ok() && !may_be_log) return bytes.status();
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::RunLogContents log, runtime::read_run_log(path));
  if (!log.header) return corrupt("The log has no whole record yet", {{"path", path}});
  Inspected inspected{"log", {}, log.torn_bytes};
  model::Model& model = inspected.model;
  model.objective = log.header->parameters.objective;
  model.features = log.header->features;
  model.value_exponent = log.header->value_exponent;
  model.base_margins = log.header->base_margins;
  model.metadata.parameters_json = train::to_json(log.header->parameters);
  model.metadata.label = log.header->label;
  model.metadata.weight = log.header->weight;
  model.metadata.classes = log.header->classes;
  model.metadata.manifest = log.header->manifest;
  model.metadata.iteration_count = log.iterations.size();
  for (const train::Iteration& iteration : log.iterations) {
    model.trees.insert(model.trees.end(), iteration.trees.begin(), iteration.trees.end());
    model.metadata.metrics.push_back(iteration.metrics);
  }
  EVERGROVE_RETURN_IF_ERROR(model::validate(model).with_context(path));
  return inspected;
}

ordered_json to_json(const Inspected& inspected) {
  const model::Model& model = inspected.model;
  const model::Metadata& about = model.metadata;
  auto features = ordered_json::array();
  const auto gain = model::importance(model, model::ImportanceKind::gain);
  const auto split = model::importance(model, model::ImportanceKind::split);
  const auto cover = model::importance(model, model::ImportanceKind::cover);
  for (size_t i = 0; i < model.features.size(); ++i) {
    const model::Feature& feature = model.features[i];
    const bool numeric = feature.kind == table::ColumnKind::numeric;
    features.push_back(
        {{"name", feature.name},
         {"kind", numeric ? "numeric" : "categorical"},
         {"bins", feature.bin_count()},
         {"importance", {{"gain", gain[i]}, {"split", split[i]}, {"cover", cover[i]}}}});
  }
  auto rounds = ordered_json::array();
  for (const auto& metrics : about.metrics) rounds.push_back(metrics_json(metrics));
  size_t node_count = 0;
  for (const model::Tree& tree : model.trees) node_count += tree.nodes.size();
  return {{"kind", inspected.kind},
          {"digest", model::digest(model)},
          {"created_by", about.created_by},
          {"objective", model::objective_name(model.objective)},
          {"label", about.label},
          {"weight", about.weight},
          {"classes", about.classes},
          {"trees", model.trees.size()},
          {"nodes", node_count},
          {"iterations", about.iteration_count},
          {"best_iteration", about.best_iteration},
          {"rows", about.manifest.row_count},
          {"columns", model.features.size()},
          {"parameters", parameters_json(about.parameters_json)},
          {"features", std::move(features)},
          {"metrics", std::move(rounds)},
          {"manifest", runtime::manifest_to_json(about.manifest)},
          {"torn_bytes", inspected.torn_bytes}};
}

std::string heading(std::string_view words) {
  return "\n" + styled(words, Style::bold, stdout) + "\n";
}

std::string importance_lines(const model::Model& model) {
  const auto gain = model::importance(model, model::ImportanceKind::gain);
  const auto split = model::importance(model, model::ImportanceKind::split);
  const auto cover = model::importance(model, model::ImportanceKind::cover);
  std::vector<size_t> order(model.features.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return gain[a] > gain[b]; });
  double total = 0;
  for (double value : gain) total += value;
  std::string text = heading("importance      share of gain      splits       cover");
  for (size_t i = 0; i < std::min(order.size(), kFeaturesShown); ++i) {
    char line[160];
    std::snprintf(line, sizeof line, "%22.1f %%  %10.0f  %10.3g  ",
                  total > 0 ? 100 * gain[order[i]] / total : 0.0, split[order[i]], cover[order[i]]);
    text += line + printable(model.features[order[i]].name) + "\n";
  }
  if (order.size() > kFeaturesShown) {
    text += "  and " + count_text(order.size() - kFeaturesShown) + " more (--json has all)\n";
  }
  return text;
}

std::string round_lines(const model::Metadata& about) {
  if (about.metrics.empty() || about.metrics.front().empty()) return "";
  std::string text = heading("metrics by round");
  const size_t step = (about.metrics.size() + kRoundsShown - 1) / kRoundsShown;
  for (size_t round = step - 1; round < about.metrics.size(); round += step) {
    std::string line = "  " + std::to_string(round + 1);
    for (const model::MetricValue& metric : about.metrics[round]) {
      line += "  " + metric.set + " " + metric.name + " " + metric_text(metric.value);
    }
    text += line + "\n";
  }
  return text;
}

void print_words(const Inspected& inspected) {
  const model::Model& model = inspected.model;
  const model::Metadata& about = model.metadata;
  std::string text = inspected.kind + " of " + count_text(model.trees.size(), "tree") + ", " +
                     count_text(about.iteration_count, "iteration") + "; " +
                     std::string(model::objective_name(model.objective)) + " of " +
                     printable(about.label) + " from " +
                     count_text(about.manifest.row_count, "row") + " and " +
                     count_text(model.features.size(), "column") + "\n";
  text += "digest  " + model::digest(model) + "\n";
  if (inspected.torn_bytes > 0) {
    text += "The last record was torn off in writing (" + bytes_text(inspected.torn_bytes) +
            "); resuming drops it.\n";
  }
  text += heading("parameters");
  const ordered_json parameters = parameters_json(about.parameters_json);
  for (const auto& [name, value] : parameters.items()) {
    text += "  " + name + " = " + value.dump() + "\n";
  }
  text += heading("data");
  for (const table::ManifestFile& file : about.manifest.files) {
    text += "  " + printable(file.path) + "  " + count_text(file.row_count, "row") + "\n";
  }
  text += importance_lines(model) + round_lines(about);
  std::fputs(text.c_str(), stdout);
}

}  // namespace

void add_inspect(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "inspect", "Show what a model or a log is: parameters, data, metrics, importance, digest");
  struct Options {
    std::string file;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "A model, or a log or its folder")->required();
  command->add_flag("--json", options->json, "As one JSON object");
  command->footer("Examples:\n  evergrove inspect fraud.evergrove\n  evergrove inspect run --json");
  command->callback([&chosen, options] {
    chosen = [options]() -> Result<int> {
      EVERGROVE_ASSIGN_OR_RETURN(const Inspected inspected, look(options->file));
      options->json ? print_json(to_json(inspected)) : print_words(inspected);
      return 0;
    };
  });
}

}  // namespace evergrove::cli
