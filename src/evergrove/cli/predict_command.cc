// evergrove predict: scores of a data set, as a Parquet file.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/whole_number.h"
#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/peak_memory.h"
#include "evergrove/runtime/predict.h"

namespace evergrove::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  evergrove predict --model fraud.evergrove --data new.parquet --out scores.parquet\n"
    "  evergrove predict --model fraud.evergrove --data new.parquet --out scores.parquet \\\n"
    "      --kind class --keep transaction_id,time";

struct PredictOptions {
  std::string model;
  std::string kind = "probability";
  runtime::PredictRequest request;
  bool json = false;
  bool quiet = false;
};

Result<runtime::PredictionKind> kind_of(const std::string& word) {
  static const std::map<std::string_view, runtime::PredictionKind> kinds = {
      {"probability", runtime::PredictionKind::probability},
      {"margin", runtime::PredictionKind::margin},
      {"class", runtime::PredictionKind::predicted_class},
      {"leaf", runtime::PredictionKind::leaf}};
  const auto found = kinds.find(word);
  if (found != kinds.end()) return found->second;
  return invalid_input("--kind takes probability, margin, class or leaf", {{"value", word}});
}

Result<int> predict(const PredictOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  runtime::PredictRequest request = options.request;
  EVERGROVE_ASSIGN_OR_RETURN(request.kind, kind_of(options.kind));
  EVERGROVE_ASSIGN_OR_RETURN(const model::Model model, runtime::read_model(options.model));
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t row_count, runtime::predict_to_parquet(model, request));
  const std::chrono::duration<double> total = std::chrono::steady_clock::now() - start;
  if (options.json) {
    print_json({{"digest", model::digest(model)},
                {"out", request.out_path},
                {"kind", options.kind},
                {"seconds", {{"total", total.count()}}},
                {"peak_rss_bytes", runtime::peak_rss_bytes()},
                {"rows", row_count},
                {"columns", model.features.size()},
                {"trees", model.trees.size()},
                {"best_iteration", model.metadata.best_iteration}});
  } else if (!options.quiet) {
    std::printf("%s: %s in %s\n", request.out_path.c_str(), count_text(row_count, "row").c_str(),
                seconds_text(total.count()).c_str());
  }
  return 0;
}

}  // namespace

void add_predict(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand("predict", "Score rows into a Parquet file");
  auto options = std::make_shared<PredictOptions>();
  runtime::PredictRequest& request = options->request;
  command->add_option("--model", options->model, "The model")->type_name("FILE")->required();
  command->add_option("--data", request.data_paths, "The rows to score")
      ->type_name("PATH...")
      ->required();
  command->add_option("--out", request.out_path, "The file to write")
      ->type_name("FILE.parquet")
      ->required();
  command->add_option("--kind", options->kind, "What a score is")
      ->type_name("probability|margin|class|leaf");
  command->add_option("--keep", request.keep, "Columns of the data to put before the scores")
      ->type_name("COLUMN,...")
      ->delimiter(',');
  command->add_option("--threads", request.threads, "All cores if it is not said")
      ->type_name("N")
      ->check(whole_number(1, kThreadsMax));
  command->add_flag("--json", options->json, "Print what was done as one JSON object");
  command->add_flag("--quiet", options->quiet, "Say nothing but errors");
  command->footer(kFooter);
  command->callback([&chosen, options] { chosen = [options] { return predict(*options); }; });
}

}  // namespace evergrove::cli
