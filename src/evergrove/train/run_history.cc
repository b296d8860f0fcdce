// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/run_history.h"

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/train/early_stopping.h"
#include "evergrove/train/metrics.h"

namespace evergrove::train {
namespace {

// After so many iterations in a row without a single split, nothing more is to be learnt.
constexpr size_t kFruitlessMax = 2;

// The more rows a category must have to be sorted, the less is learnt by chance, and the fewer
// categories of many can be told apart at all. Where it is not given, it grows with the rows of
// all: on flights of 20,000 to 1,000,000 rows half of that or twice as much costs up to 0.01 of
// AUC. Most of a few categories have rows enough, as those of adult.
void set_category_rows(const RunHeader& header, trees::GrowthOptions& options) {
  options.category_rows_min = static_cast<uint64_t>(header.parameters.min_category_rows);
  if (options.category_rows_min > 0) return;
  options.training_rows = header.manifest.row_count;
  options.category_rows_min = std::clamp<uint64_t>(options.training_rows / 1000, 10, 400);
  options.category_rows_wanted = 100;
}

}  // namespace

trees::GrowthOptions growth_options(const RunHeader& header) {
  const Parameters& p = header.parameters;
  trees::GrowthOptions options;
  options.order = p.growth == Growth::leaf    ? trees::GrowthOrder::best_first
                  : p.growth == Growth::depth ? trees::GrowthOrder::by_level
                                              : trees::GrowthOrder::symmetric;
  options.leaves_max = static_cast<uint32_t>(p.max_leaves);
  options.depth_max = static_cast<uint32_t>(p.max_depth);
  options.leaf_rows_min = static_cast<uint64_t>(p.min_rows);
  options.leaf_hessian_min = p.min_hessian;
  options.gain_min = p.min_gain;
  options.lambda_l1 = p.lambda_l1;
  options.lambda_l2 = p.lambda_l2;
  options.onehot_max = static_cast<uint32_t>(p.max_onehot);
  options.category_smooth = p.category_smooth;
  options.category_l2 = p.category_l2;
  set_category_rows(header, options);
  options.columns_by_tree = p.colsample_bytree;
  options.columns_by_level = p.colsample_bylevel;
  options.columns_by_node = p.colsample_bynode;
  options.learning_rate = p.learning_rate;
  options.step_max = p.objective == model::ObjectiveKind::regression ? 0 : p.max_step;
  options.value_exponent = header.value_exponent;
  options.seed = p.seed;
  return options;
}

Status check_run(const Parameters& parameters, bool has_validation) {
  EVERGROVE_RETURN_IF_ERROR(validate(parameters));
  for (const std::string& name : parameters.metrics) {
    EVERGROVE_RETURN_IF_ERROR(check_metric(name, parameters.objective));
  }
  if (parameters.early_stopping_rounds > 0 && !has_validation) {
    return invalid_input(
        "Early stopping needs something to watch; give validation data or a validation fraction",
        {{"early_stopping_rounds", std::to_string(parameters.early_stopping_rounds)}});
  }
  return {};
}

RunHistory::RunHistory(const RunHeader& header)
    : header_(header), metric_names_(train::metric_names(header.parameters)) {}

void RunHistory::keep(Iteration iteration) {
  CHECK(iteration.index == iterations_.size());
  const bool fruitless =
      std::all_of(iteration.trees.begin(), iteration.trees.end(),
                  [](const model::Tree& tree) { return tree.nodes.size() == 1; });
  fruitless_count_ = fruitless ? fruitless_count_ + 1 : 0;
  iterations_.push_back(std::move(iteration));
}

bool RunHistory::has_metrics_of_now(const Iteration& iteration) const {
  size_t place = 0;
  for (const std::string& set : header_.valid_names) {
    for (const std::string& name : metric_names_) {
      if (place == iteration.metrics.size()) return false;
      const model::MetricValue& metric = iteration.metrics[place++];
      if (metric.set != set || metric.name != name) return false;
    }
  }
  return place == iteration.metrics.size();
}

bool RunHistory::finished() const {
  if (iterations_.size() >= static_cast<size_t>(header_.parameters.n_estimators)) return true;
  if (fruitless_count_ >= kFruitlessMax) return true;
  return header_.parameters.early_stopping_rounds > 0 && stopping().stop;
}

uint64_t RunHistory::best_iteration() const {
  if (header_.parameters.early_stopping_rounds == 0 || iterations_.empty()) {
    return iterations_.size();
  }
  return stopping().best_iteration;
}

EarlyStopping RunHistory::stopping() const {
  std::vector<double> history;
  for (const Iteration& iteration : iterations_) {
    if (!iteration.metrics.empty()) history.push_back(iteration.metrics.front().value);
  }
  return early_stopping(history, larger_is_better(metric_names_.front()),
                        static_cast<uint64_t>(header_.parameters.early_stopping_rounds));
}

model::Model RunHistory::model() const {
  model::Model model;
  model.objective = header_.parameters.objective;
  model.features = header_.features;
  model.value_exponent = header_.value_exponent;
  model.base_margins = header_.base_margins;
  const uint64_t kept = best_iteration();
  for (uint64_t i = 0; i < kept; ++i) {
    model.trees.insert(model.trees.end(), iterations_[i].trees.begin(), iterations_[i].trees.end());
  }
  model::Metadata& metadata = model.metadata;
  metadata.parameters_json = to_json(header_.parameters);
  metadata.label = header_.label;
  metadata.weight = header_.weight;
  metadata.classes = header_.classes;
  metadata.manifest = header_.manifest;
  for (const Iteration& iteration : iterations_) metadata.metrics.push_back(iteration.metrics);
  metadata.iteration_count = kept;
  metadata.best_iteration = kept;
  metadata.created_by = "evergrove 0.1.0";
  return model;
}

}  // namespace evergrove::train
