// Metrics: how good margins are, for each objective, the same bits however the rows are cut up.
//
// Every sum over rows is exact: exact::ExactSum for losses and residuals, integers (weights in
// units of 2^-30 of the largest) where rows are ranked. So threads, block sizes and SIMD width
// alter nothing, and the rows may be on many machines: each makes a MetricSummary of its own, and
// the values of the merged summaries are those of all rows.
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
//
//   MetricSummary summary = MetricSummary::of(names, {.margins = of_my_rows, ...});
//   summary.merge(of_other_rows);
//   EVERGROVE_ASSIGN_OR_RETURN(auto the_same_values, summary.values());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/exact/exact_sum.h"
#include "evergrove/model/model.h"
#include "evergrove/train/parameters.h"
#include "evergrove/train/ranking.h"

namespace evergrove::train {

struct MetricInput {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  int32_t value_exponent = -32;
  size_t output_count = 1;
  std::span<const int64_t> margins;   // outputs x rows, output by output
  std::span<const uint16_t> classes;  // classification
  std::span<const double> targets;    // regression
  std::span<const float> weights;     // empty: all 1
  // The largest weight of all rows that will be merged, at least that of these; 0: of these.
  double weight_max = 0;
};

// What some rows contribute to named metrics; a value. One without names is of no rows of any
// data, and may be the start of a merge.
class MetricSummary {
 public:
  MetricSummary() = default;
  // Uses the threads of the TBB arena it is called in. Requires: names that check_metric accepts.
  static MetricSummary of(std::span<const std::string> names, const MetricInput& input);

  // Adds the rows of another summary. If it has other names, another objective or another
  // weight_max, or ranks more than 2^32 - 1 rows with these, nobody will get values from the sum.
  void merge(const MetricSummary& other);

  // The value of each metric, in the order of the names: the same bits for any cut of the rows.
  // Refuses sums of what cannot be added up.
  Result<std::vector<double>> values() const;
  std::span<const std::string> names() const { return names_; }

  // About 20 bytes a sum; 3 bytes a row more for the metrics that rank rows.
  void encode(ByteWriter& out) const;
  static Result<MetricSummary> decode(ByteReader& in);

 private:
  model::ObjectiveKind objective_ = model::ObjectiveKind::binary;
  std::vector<std::string> names_;
  std::vector<exact::ExactSum> sums_;  // one for each Term that the names need
  Ranking ranking_;
  bool is_mixed_ = false;  // rows that cannot be added up were
};

// Returns the value of each named metric. Uses the threads of the TBB arena it is called in.
// Refuses a name that the objective does not have.
Result<std::vector<double>> evaluate_metrics(std::span<const std::string> names,
                                             const MetricInput& input);

// The same of rows that are not all here, or too many to be ranked at once. Each callback is asked
// for all rows, perhaps many times.
struct MetricRows {
  uint64_t row_count = 0;
  std::function<Result<MetricSummary>(std::span<const std::string> names)> summary;
  std::function<Status(std::vector<int64_t>& to)> sample_margins;  // some thousands of them
  std::function<Result<Ranking>(const MarginWindow& window)> ranking;
};
// rows_at_once: about how many are ranked together.
Result<std::vector<double>> evaluate_metrics(std::span<const std::string> names,
                                             model::ObjectiveKind objective, const MetricRows& rows,
                                             uint64_t rows_at_once);
// Adds every step-th margin.
void sample_margins(std::span<const int64_t> margins, size_t step, std::vector<int64_t>& to);
inline constexpr uint64_t kRankedRows = uint64_t{1} << 21;
// So many rows are gathered for a ranking, for a sample of the margins may be a little off.
constexpr uint64_t rows_to_gather(uint64_t rows_at_once) { return rows_at_once + rows_at_once / 4; }
// What a row that is gathered takes until it is ranked, and what that leaves in pieces.
constexpr uint64_t ranked_row_bytes(bool is_weighted) { return is_weighted ? 96 : 48; }
inline constexpr size_t kSampledMargins = 1 << 16;

// Refuses an unknown name (with the nearest known one) or one that is not for the objective.
Status check_metric(std::string_view name, model::ObjectiveKind objective);
// The name used here for other libraries' (logloss, merror, aucpr, ...); unknown ones unchanged.
std::string canonical_metric_name(std::string_view name);
std::vector<std::string> default_metrics(model::ObjectiveKind objective);
// Those that a run with these parameters evaluates: the ones chosen, else the objective's own.
std::vector<std::string> metric_names(const Parameters& parameters);
bool larger_is_better(std::string_view name);
// K of precision_at_K and recall_at_K; 0 for any other name.
uint64_t metric_cutoff(std::string_view name);

}  // namespace evergrove::train
