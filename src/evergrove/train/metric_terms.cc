// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/metric_terms.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "evergrove/base/check.h"
#include "evergrove/exact/exp_log.h"

namespace evergrove::train {
namespace {

using exact::ExactSum;
using model::ObjectiveKind;

constexpr size_t kBlockRows = 1024;
constexpr size_t kBlocksATask = 8;
constexpr double kLossMax = 0x1.205966f2b4f12p+5;  // 52 ln 2: -log of the bound of probabilities

// The rows of a block, at most kBlockRows, and what is made of them.
class TermBlock {
 public:
  TermBlock(const MetricInput& input, size_t first, size_t row_count)
      : in_(input),
        unit_(std::ldexp(1.0, input.value_exponent)),
        all_row_count_(input.margins.size() / input.output_count),
        first_(first),
        row_count_(row_count) {
    if (in_.weights.empty()) return;
    weights_ = in_.weights.subspan(first, row_count);
    std::copy(weights_.begin(), weights_.end(), wide_weights_.begin());
  }

  void add(MetricTerm term, ExactSum& sum) {
    switch (term) {
      case MetricTerm::weight:
        return add_weights_where([](size_t) { return true; }, sum);
      case MetricTerm::log_loss:
        in_.objective == ObjectiveKind::binary ? fill_binary_losses() : fill_softmax_losses();
        return add_values(sum);
      case MetricTerm::wrong:
        return add_weights_where([&](size_t i) { return predicted_class(i) != label(i); }, sum);
      case MetricTerm::right:
        return add_weights_where([&](size_t i) { return predicted_class(i) == label(i); }, sum);
      case MetricTerm::residual_size:
        fill_residuals();
        for (double& value : values()) value = std::fabs(value);
        return add_values(sum);
      case MetricTerm::residual_square:
        fill_residuals();
        return add_squares(sum);
      case MetricTerm::target:
        fill_targets();
        return add_values(sum);
      case MetricTerm::target_square:
        fill_targets();
        return add_squares(sum);
    }
  }

 private:
  std::span<double> values() { return {values_.data(), row_count_}; }
  // Of the block's rows.
  const int64_t* margins_of(size_t output) const {
    return in_.margins.data() + output * all_row_count_ + first_;
  }
  double margin(size_t i) const { return static_cast<double>(in_.margins[first_ + i]) * unit_; }
  uint16_t label(size_t i) const { return in_.classes[first_ + i]; }
  // The first of the highest margins, or the class that is more likely than not.
  size_t predicted_class(size_t i) const {
    if (in_.output_count == 1) return in_.margins[first_ + i] > 0 ? 1 : 0;
    size_t best = 0;
    for (size_t k = 1; k < in_.output_count; ++k) {
      if (margins_of(k)[i] > margins_of(best)[i]) best = k;
    }
    return best;
  }

  template <typename Where>
  void add_weights_where(Where where, ExactSum& sum) {
    size_t count = 0;
    for (size_t i = 0; i < row_count_; ++i) {
      values_[count] = wide_weights_[i];
      count += where(i);
    }
    if (weights_.empty()) return sum.add(static_cast<double>(count));
    sum.add(std::span<const double>(values_.data(), count));
  }
  void add_values(ExactSum& sum) {
    if (weights_.empty()) return sum.add(values());
    sum.add_products(values(), {wide_weights_.data(), row_count_});
  }
  void add_squares(ExactSum& sum) {
    if (weights_.empty()) return sum.add_products(values(), values());
    sum.add_products(values(), values(), weights_);
  }

  void fill_binary_losses() {
    // The margin in favour of the row's own class, so that its probability is sigmoid of it.
    for (size_t i = 0; i < row_count_; ++i) values_[i] = label(i) != 0 ? margin(i) : -margin(i);
    exact::sigmoid(values(), values());
    exact::log(values(), values());
    for (double& value : values()) value = std::min(kLossMax, -value);
  }

  void fill_softmax_losses() {
    const size_t outputs = in_.output_count;
    terms_.resize(row_count_ * outputs);
    for (size_t i = 0; i < row_count_; ++i) {
      int64_t highest = margins_of(0)[i];
      for (size_t k = 1; k < outputs; ++k) highest = std::max(highest, margins_of(k)[i]);
      for (size_t k = 0; k < outputs; ++k) {
        terms_[k * row_count_ + i] = static_cast<double>(margins_of(k)[i] - highest) * unit_;
      }
      values_[i] = -terms_[label(i) * row_count_ + i];
    }
    exact::exp(terms_, terms_);
    for (size_t i = 0; i < row_count_; ++i) {
      double sum = 0;
      for (size_t k = 0; k < outputs; ++k) sum += terms_[k * row_count_ + i];
      values_[i] = std::min(kLossMax, values_[i] + exact::log(sum));
    }
  }

  void fill_residuals() {
    for (size_t i = 0; i < row_count_; ++i) values_[i] = margin(i);
    if (in_.objective == ObjectiveKind::binary) {
      exact::sigmoid(values(), values());
      for (size_t i = 0; i < row_count_; ++i) values_[i] -= label(i);
    } else {
      // A difference of two huge numbers is kept from becoming infinite.
      for (size_t i = 0; i < row_count_; ++i) {
        values_[i] = std::clamp(values_[i] - in_.targets[first_ + i], -0x1p1022, 0x1p1022);
      }
    }
  }
  void fill_targets() {
    std::copy_n(in_.targets.begin() + static_cast<std::ptrdiff_t>(first_), row_count_,
                values_.begin());
  }

  const MetricInput& in_;
  double unit_;
  size_t all_row_count_;
  size_t first_;
  size_t row_count_;
  std::span<const float> weights_;
  std::array<double, kBlockRows> wide_weights_;
  std::array<double, kBlockRows> values_;
  std::vector<double> terms_;  // of softmax, class by class
};

}  // namespace

bool is_ranking_metric(std::string_view name) {
  return name == "auc" || name == "average_precision" || metric_cutoff(name) > 0;
}

std::vector<MetricTerm> terms_of(std::span<const std::string> names) {
  std::set<MetricTerm> terms;
  for (const std::string& name : names) {
    if (is_ranking_metric(name)) continue;
    terms.insert(MetricTerm::weight);
    if (name == "log_loss") terms.insert(MetricTerm::log_loss);
    if (name == "error") terms.insert(MetricTerm::wrong);
    if (name == "accuracy") terms.insert(MetricTerm::right);
    if (name == "mae") terms.insert(MetricTerm::residual_size);
    if (name == "mse" || name == "rmse" || name == "r2") terms.insert(MetricTerm::residual_square);
    if (name == "r2") terms.insert({MetricTerm::target, MetricTerm::target_square});
  }
  return {terms.begin(), terms.end()};
}

std::vector<ExactSum> sum_terms(std::span<const MetricTerm> terms, const MetricInput& input) {
  const size_t row_count = input.output_count == 0 ? 0 : input.margins.size() / input.output_count;
  CHECK(input.margins.size() == row_count * input.output_count);
  CHECK(input.weights.empty() || input.weights.size() == row_count);
  const bool is_regression = input.objective == ObjectiveKind::regression;
  CHECK((is_regression ? input.targets.size() : input.classes.size()) == row_count);
  CHECK(input.objective == ObjectiveKind::multiclass || input.output_count == 1);

  using Sums = std::vector<ExactSum>;
  const size_t block_count = terms.empty() ? 0 : (row_count + kBlockRows - 1) / kBlockRows;
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, block_count, kBlocksATask), Sums(terms.size()),
      [&](const tbb::blocked_range<size_t>& blocks, Sums sums) {
        for (size_t b = blocks.begin(); b != blocks.end(); ++b) {
          const size_t first = b * kBlockRows;
          TermBlock block(input, first, std::min(kBlockRows, row_count - first));
          for (size_t i = 0; i < terms.size(); ++i) block.add(terms[i], sums[i]);
        }
        return sums;
      },
      [](Sums a, const Sums& b) {
        for (size_t i = 0; i < a.size(); ++i) a[i].merge(b[i]);
        return a;
      });
}

}  // namespace evergrove::train
