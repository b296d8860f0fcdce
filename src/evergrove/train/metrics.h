// Metrics: how good margins are, for each objective, the same bits however the rows are cut up.
//
// Every sum over rows is an exact integer sum: losses in a fixed-point unit that the data's largest
// possible loss decides, weights in units of 2^-30 of the largest weight where rows are ranked; so
// threads, block sizes and SIMD width alter nothing.
//
// Names: auc, average_precision (scikit-learn's definitions, ties included), log_loss, error,
// accuracy, rmse, mse, mae, r2, precision_at_K and recall_at_K (K > 0: the K rows with the highest
// margins; where equal margins straddle the K-th place, each of them counts with the same share,
// so that the order of rows is all the same; rows are counted, weights are not used).
// NaN where a metric has no meaning: auc of one class, average_precision and recall without a
// positive row, r2 of a constant target, anything on rows whose weights are all 0.
// A row's log_loss is at most 52 ln 2, as if no probability were below 2^-52.
// rmse, mse and mae of `binary` are those of the probability; at 1/2 the first class is predicted.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto values, evaluate_metrics(names, {.margins = margins, ...}));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"

namespace evergrove::train {

struct MetricInput {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  int32_t value_exponent = -32;
  size_t output_count = 1;
  std::span<const int64_t> margins;   // rows x outputs, row by row
  std::span<const uint16_t> classes;  // classification
  std::span<const double> targets;    // regression
  std::span<const float> weights;     // empty: all 1
};

// Returns the value of each named metric. Uses the threads of the TBB arena it is called in.
// Refuses a name that the objective does not have.
Result<std::vector<double>> evaluate_metrics(std::span<const std::string> names,
                                             const MetricInput& input);

// Refuses an unknown name (with the nearest known one) or one that is not for the objective.
Status check_metric(std::string_view name, model::ObjectiveKind objective);
// The name used here for other libraries' (logloss, merror, aucpr, ...); unknown ones unchanged.
std::string canonical_metric_name(std::string_view name);
std::vector<std::string> default_metrics(model::ObjectiveKind objective);
bool larger_is_better(std::string_view name);
// K of precision_at_K and recall_at_K; 0 for any other name.
uint64_t metric_cutoff(std::string_view name);

}  // namespace evergrove::train
