// Values of metrics from exact sums: each is a quotient of two numbers that were rounded once.
// Bytes of a summary: 1 if mixed, objective (u8), names, sums, ranking if a name needs it.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/metrics.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <limits>
#include <mutex>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/train/metric_terms.h"
#include "evergrove/train/rows_to_rank.h"

namespace evergrove::train {
namespace {

using exact::ExactSum;
using exact::Scaled;
using model::ObjectiveKind;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool ranks_rows(std::span<const std::string> names) {
  return std::any_of(names.begin(), names.end(), is_ranking_metric);
}

std::vector<uint64_t> cutoffs_of(std::span<const std::string> names) {
  std::vector<uint64_t> cutoffs;
  for (const std::string& name : names) {
    if (metric_cutoff(name) > 0) cutoffs.push_back(metric_cutoff(name));
  }
  return cutoffs;
}

double ranking_value(std::string_view name, const RankingWalk& ranking) {
  if (name == "auc") return ranking.auc();
  if (name == "average_precision") return ranking.average_precision();
  const uint64_t cutoff = metric_cutoff(name);
  return name.starts_with("recall") ? ranking.recall_at(cutoff) : ranking.precision_at(cutoff);
}

// The sums of all rows by term.
class TermSums {
 public:
  TermSums(std::span<const MetricTerm> terms, std::span<const ExactSum> sums)
      : terms_(terms), sums_(sums) {}

  double value(std::string_view name) const {
    if (name == "log_loss") return mean(MetricTerm::log_loss).value();
    if (name == "error") return mean(MetricTerm::wrong).value();
    if (name == "accuracy") return mean(MetricTerm::right).value();
    if (name == "mae") return mean(MetricTerm::residual_size).value();
    if (name == "mse") return mean(MetricTerm::residual_square).value();
    if (name == "rmse") return exact::square_root(mean(MetricTerm::residual_square)).value();
    CHECK(name == "r2");
    return r2();
  }

 private:
  const ExactSum& sum(MetricTerm term) const {
    const auto at = std::find(terms_.begin(), terms_.end(), term);
    CHECK(at != terms_.end());
    return sums_[static_cast<size_t>(at - terms_.begin())];
  }
  Scaled mean(MetricTerm term) const {
    return sum(term).scaled() / sum(MetricTerm::weight).scaled();
  }
  // The variance of targets times the square of all weight, without the rounding that makes a
  // difference of sums of squares worthless: so it needs no mean beforehand, and is 0 if and only
  // if the targets are all the same.
  double r2() const {
    const ExactSum& weight = sum(MetricTerm::weight);
    const ExactSum& target = sum(MetricTerm::target);
    const Scaled all =
        ExactSum::difference_of_products(sum(MetricTerm::target_square), weight, target, target);
    if (!(all.fraction > 0)) return kNaN;
    const ExactSum nothing;
    const Scaled unexplained = ExactSum::difference_of_products(sum(MetricTerm::residual_square),
                                                                weight, nothing, nothing);
    return 1 - (unexplained / all).value();
  }

  std::span<const MetricTerm> terms_;
  std::span<const ExactSum> sums_;
};

// Of the rows of a window, which are gathered by all threads.
Result<Ranking> rank(const MetricInput& input, double weight_max, const MarginWindow& window) {
  constexpr size_t kRowsATask = size_t{1} << 17;
  RowsToRank all(!input.weights.empty(), weight_max, window, rows_to_gather(kRankedRows));
  Status status;
  std::mutex mutex;
  const tbb::blocked_range<size_t> rows(0, input.margins.size(), kRowsATask);
  tbb::parallel_for(rows, [&](const tbb::blocked_range<size_t>& range) {
    const auto of_range = [&](const auto& values) {
      return values.empty() ? values : values.subspan(range.begin(), range.size());
    };
    RowsToRank some = all.part();
    Status added =
        some.add(of_range(input.margins), of_range(input.classes), of_range(input.weights));
    const std::lock_guard lock(mutex);
    if (added.ok()) added = all.merge(some);
    if (!added.ok()) status = std::move(added);
  });
  EVERGROVE_RETURN_IF_ERROR(status);
  return std::move(all).rank();
}

}  // namespace

MetricSummary MetricSummary::of(std::span<const std::string> names, const MetricInput& input) {
  for (const std::string& name : names) CHECK(check_metric(name, input.objective).ok());
  MetricSummary summary;
  summary.objective_ = input.objective;
  summary.names_.assign(names.begin(), names.end());
  summary.sums_ = sum_terms(terms_of(names), input);
  if (ranks_rows(names)) {
    summary.ranking_ = Ranking(input.margins, input.classes, input.weights, input.weight_max);
  }
  return summary;
}

void MetricSummary::merge(const MetricSummary& other) {
  is_mixed_ |= other.is_mixed_;
  if (other.names_.empty() || is_mixed_) return;
  if (names_.empty()) {
    *this = other;
    return;
  }
  if (objective_ != other.objective_ || names_ != other.names_) {
    is_mixed_ = true;
    return;
  }
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i].merge(other.sums_[i]);
  is_mixed_ = !ranking_.merge(other.ranking_).ok();
}

Result<std::vector<double>> MetricSummary::values() const {
  if (is_mixed_) {
    return invalid_input(
        "Metrics of some rows cannot be added to those of others: the names of the metrics, the "
        "objective or the largest weight differ, or rows to be ranked are more than 4294967295; "
        "make them with the same settings");
  }
  const std::vector<MetricTerm> terms = terms_of(names_);
  const TermSums sums(terms, sums_);
  RankingWalk walk(cutoffs_of(names_));
  if (ranks_rows(names_)) walk.add(ranking_);
  std::vector<double> values;
  for (const std::string& name : names_) {
    values.push_back(is_ranking_metric(name) ? ranking_value(name, walk) : sums.value(name));
  }
  return values;
}

void MetricSummary::encode(ByteWriter& out) const {
  out.u8(is_mixed_ ? 1 : 0).u8(static_cast<uint8_t>(objective_));
  out.u32(static_cast<uint32_t>(names_.size()));
  for (const std::string& name : names_) out.string(name);
  for (const ExactSum& sum : sums_) sum.encode(out);
  if (ranks_rows(names_)) ranking_.encode(out);
}

Result<MetricSummary> MetricSummary::decode(ByteReader& in) {
  MetricSummary summary;
  const uint8_t mixed = in.u8();
  const uint8_t objective = in.u8();
  const uint32_t name_count = in.count(/*item_bytes=*/4);
  if (!in.ok() || mixed > 1 || objective > static_cast<uint8_t>(ObjectiveKind::regression)) {
    return corrupt("A summary of metrics is cut off or makes no sense; send it again",
                   {{"mixed", std::to_string(mixed)}, {"objective", std::to_string(objective)}});
  }
  summary.is_mixed_ = mixed != 0;
  summary.objective_ = static_cast<ObjectiveKind>(objective);
  for (uint32_t i = 0; i < name_count; ++i) {
    const std::string name = in.string();
    EVERGROVE_RETURN_IF_ERROR(
        check_metric(name, summary.objective_).with_context("In a summary of metrics"));
    summary.names_.push_back(name);
  }
  summary.sums_.resize(terms_of(summary.names_).size());
  for (ExactSum& sum : summary.sums_) {
    EVERGROVE_ASSIGN_OR_RETURN(sum, ExactSum::decode(in));
  }
  if (ranks_rows(summary.names_)) {
    EVERGROVE_ASSIGN_OR_RETURN(summary.ranking_, Ranking::decode(in));
  }
  return summary;
}

Result<std::vector<double>> evaluate_metrics(std::span<const std::string> names,
                                             model::ObjectiveKind objective, const MetricRows& rows,
                                             uint64_t rows_at_once) {
  std::vector<std::string> summed;
  for (const std::string& name : names) {
    EVERGROVE_RETURN_IF_ERROR(check_metric(name, objective));
    if (!is_ranking_metric(name)) summed.push_back(name);
  }
  std::vector<double> sums;
  if (!summed.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(const MetricSummary summary, rows.summary(summed));
    EVERGROVE_ASSIGN_OR_RETURN(sums, summary.values());
  }
  RankingWalk walk(cutoffs_of(names));
  if (ranks_rows(names)) {
    std::vector<int64_t> sample;
    if (rows.row_count >= rows_at_once) EVERGROVE_RETURN_IF_ERROR(rows.sample_margins(sample));
    for (const MarginWindow& window :
         margin_windows(std::move(sample), rows.row_count, rows_at_once)) {
      EVERGROVE_ASSIGN_OR_RETURN(const Ranking ranking, rows.ranking(window));
      walk.add(ranking);
    }
  }
  std::vector<double> values;
  size_t next = 0;
  for (const std::string& name : names) {
    values.push_back(is_ranking_metric(name) ? ranking_value(name, walk) : sums[next++]);
  }
  return values;
}

void sample_margins(std::span<const int64_t> margins, size_t step, std::vector<int64_t>& to) {
  for (size_t i = 0; i < margins.size(); i += std::max<size_t>(step, 1)) to.push_back(margins[i]);
}

Result<std::vector<double>> evaluate_metrics(std::span<const std::string> names,
                                             const MetricInput& input) {
  const PhaseScope scope(Phase::metrics);
  MetricRows rows;
  rows.row_count = input.margins.size() / std::max<size_t>(input.output_count, 1);
  rows.summary = [&](std::span<const std::string> summed) -> Result<MetricSummary> {
    return MetricSummary::of(summed, input);
  };
  rows.sample_margins = [&](std::vector<int64_t>& to) -> Status {
    sample_margins(input.margins, input.margins.size() / kSampledMargins, to);
    return {};
  };
  const double weight_max = ranks_rows(names) ? largest_weight(input.weights, input.weight_max) : 0;
  rows.ranking = [&](const MarginWindow& window) { return rank(input, weight_max, window); };
  return evaluate_metrics(names, input.objective, rows, kRankedRows);
}

}  // namespace evergrove::train
