// evergrove evaluate: how good a model is on labelled data.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/whole_number.h"
#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/peak_memory.h"
#include "evergrove/runtime/predict.h"
#include "evergrove/runtime/scoring_options.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/source/open.h"

namespace evergrove::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  evergrove evaluate --model fraud.evergrove --data test.parquet\n"
    "  evergrove evaluate --model fraud.evergrove --data test.parquet \\\n"
    "      --metrics auc,average_precision,precision_at_100 --json";

struct EvaluateOptions {
  std::string model;
  std::vector<std::string> data;
  std::vector<std::string> metrics;
  int threads = 0;
  bool json = false;
};

Result<int> evaluate(const EvaluateOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  EVERGROVE_ASSIGN_OR_RETURN(const model::Model model, runtime::read_model(options.model));
  const source::OpenOptions open = runtime::scoring_options(model);
  const runtime::ThreadLimit threads(options.threads);
  EVERGROVE_ASSIGN_OR_RETURN(const auto source,
                             threads.execute([&] { return source::open(options.data, open); }));
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::Evaluation evaluation,
                             runtime::evaluate(model, *source, options.metrics, options.threads));
  if (!options.json) {
    std::printf("%s: %s\n%s", options.model.c_str(),
                count_text(evaluation.row_count, "row").c_str(),
                metrics_lines(evaluation.metrics).c_str());
    return 0;
  }
  const std::chrono::duration<double> total = std::chrono::steady_clock::now() - start;
  print_json({{"digest", model::digest(model)},
              {"metrics", metrics_json(evaluation.metrics)},
              {"seconds", {{"total", total.count()}}},
              {"peak_rss_bytes", runtime::peak_rss_bytes()},
              {"rows", evaluation.row_count},
              {"columns", model.features.size()},
              {"trees", model.trees.size()},
              {"best_iteration", model.metadata.best_iteration}});
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& application, Action& chosen) {
  CLI::App* command =
      application.add_subcommand("evaluate", "Tell how good a model is on labelled data");
  auto options = std::make_shared<EvaluateOptions>();
  command->add_option("--model", options->model, "The model")->type_name("FILE")->required();
  command->add_option("--data", options->data, "Labelled data")->type_name("PATH...")->required();
  command->add_option("--metrics", options->metrics, "The objective's own if it is not said")
      ->type_name("NAME,...")
      ->delimiter(',');
  command->add_option("--threads", options->threads, "All cores if it is not said")
      ->type_name("N")
      ->check(whole_number(1, kThreadsMax));
  command->add_flag("--json", options->json, "Print the result as one JSON object");
  command->footer(kFooter);
  command->callback([&chosen, options] { chosen = [options] { return evaluate(*options); }; });
}

}  // namespace evergrove::cli
