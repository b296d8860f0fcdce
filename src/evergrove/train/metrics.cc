// Losses are computed in double, row by row, brought to integers by a power of two that keeps the
// largest possible one near 2^59, and added as 128-bit integers: an exact sum of rounded terms,
// which has no order. A term's error is below 2^-53 of itself and 2^-59 of the largest.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/metrics.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "evergrove/base/check.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/ranking.h"

namespace evergrove::train {
namespace {

__extension__ using Int128 = __int128;
using model::ObjectiveKind;

constexpr size_t kBlockRows = 1024;
constexpr size_t kBlocksATask = 8;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLossMax = 0x1.205966f2b4f12p+5;  // 52 ln 2: -log of the bound of probabilities

// A run of rows, at most kBlockRows.
struct RowRange {
  size_t first;
  size_t count;
};

// Adds up visit(block, previous sum) over all blocks in parallel. Requires: join is without order.
template <typename Sum, typename Visit, typename Join>
Sum over_blocks(size_t row_count, Sum start, Visit visit, Join join) {
  const size_t block_count = (row_count + kBlockRows - 1) / kBlockRows;
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, block_count, kBlocksATask), start,
      [&](const tbb::blocked_range<size_t>& blocks, Sum sum) {
        for (size_t b = blocks.begin(); b != blocks.end(); ++b) {
          const size_t first = b * kBlockRows;
          sum = visit(RowRange{first, std::min(kBlockRows, row_count - first)}, sum);
        }
        return sum;
      },
      join);
}

// Weights over the power of two at or below the largest one: below 2, and 1 without weights.
struct Weights {
  std::span<const float> weights;
  double factor = 1;

  explicit Weights(std::span<const float> all) : weights(all) {
    float largest = 0;
    for (float w : all) largest = std::max(largest, w);
    if (largest > 0) factor = std::ldexp(1.0, -std::ilogb(largest));
  }
  double at(size_t row) const { return weights.empty() ? 1.0 : weights[row] * factor; }
};

// Weighted mean of fill(rows, values), where every value is in -bound..bound and bound is a power
// of two.
template <typename Fill>
double weighted_mean(size_t row_count, const Weights& weights, double bound, Fill fill) {
  struct Sums {
    Int128 values = 0;
    Int128 weights = 0;
  };
  const double value_scale = 0x1p59 / bound;
  const Sums sums = over_blocks(
      row_count, Sums{},
      [&](RowRange rows, Sums sum) {
        std::array<double, kBlockRows> values;
        fill(rows, values.data());
        for (size_t i = 0; i < rows.count; ++i) {
          const double weight = weights.at(rows.first + i);
          sum.values += static_cast<int64_t>(weight * values[i] * value_scale);
          sum.weights += static_cast<int64_t>(weight * 0x1p59);
        }
        return sum;
      },
      [](Sums a, const Sums& b) {
        return Sums{a.values + b.values, a.weights + b.weights};
      });
  if (sums.weights == 0) return kNaN;
  return static_cast<double>(sums.values) / static_cast<double>(sums.weights) * bound;
}

class Evaluation {
 public:
  explicit Evaluation(const MetricInput& input)
      : in_(input),
        unit_(std::ldexp(1.0, input.value_exponent)),
        row_count_(input.output_count == 0 ? 0 : input.margins.size() / input.output_count),
        weights_(input.weights) {
    CHECK(in_.margins.size() == row_count_ * in_.output_count);
    CHECK(in_.weights.empty() || in_.weights.size() == row_count_);
    const bool is_regression = in_.objective == ObjectiveKind::regression;
    CHECK((is_regression ? in_.targets.size() : in_.classes.size()) == row_count_);
    CHECK(in_.objective == ObjectiveKind::multiclass || in_.output_count == 1);
  }

  double value(std::string_view name) {
    if (name == "auc") return ranking().auc();
    if (name == "average_precision") return ranking().average_precision();
    if (name.starts_with("precision_at_")) return ranking().precision_at(metric_cutoff(name));
    if (name.starts_with("recall_at_")) return ranking().recall_at(metric_cutoff(name));
    if (name == "log_loss") {
      return in_.objective == ObjectiveKind::binary ? binary_log_loss() : softmax_log_loss();
    }
    if (name == "error") return share_of_rows(/*correct=*/false);
    if (name == "accuracy") return share_of_rows(/*correct=*/true);
    if (name == "mae") return mean_residual(/*squared=*/false);
    if (name == "mse") return mean_residual(/*squared=*/true);
    if (name == "rmse") return rmse();
    CHECK(name == "r2");
    return r2();
  }

 private:
  double margin(size_t row) const { return static_cast<double>(in_.margins[row]) * unit_; }
  const Ranking& ranking() {
    if (!ranking_) ranking_.emplace(in_.margins, in_.classes, in_.weights);
    return *ranking_;
  }

  double binary_log_loss() const {
    return weighted_mean(row_count_, weights_, 64, [&](RowRange rows, double* losses) {
      // The margin in favour of the row's own class, so that its probability is sigmoid of it.
      for (size_t i = 0; i < rows.count; ++i) {
        const size_t row = rows.first + i;
        losses[i] = in_.classes[row] != 0 ? margin(row) : -margin(row);
      }
      exact::sigmoid({losses, rows.count}, {losses, rows.count});
      for (size_t i = 0; i < rows.count; ++i) {
        losses[i] = std::min(kLossMax, -exact::log(losses[i]));
      }
    });
  }

  double softmax_log_loss() const {
    const size_t outputs = in_.output_count;
    return weighted_mean(row_count_, weights_, 64, [&](RowRange rows, double* losses) {
      std::vector<double> terms(rows.count * outputs);
      for (size_t i = 0; i < rows.count; ++i) {
        const int64_t* margins = in_.margins.data() + (rows.first + i) * outputs;
        const int64_t highest = *std::max_element(margins, margins + outputs);
        for (size_t k = 0; k < outputs; ++k) {
          terms[i * outputs + k] = static_cast<double>(margins[k] - highest) * unit_;
        }
        losses[i] = -terms[i * outputs + in_.classes[rows.first + i]];
      }
      exact::exp(terms, terms);
      for (size_t i = 0; i < rows.count; ++i) {
        double sum = 0;
        for (size_t k = 0; k < outputs; ++k) sum += terms[i * outputs + k];
        losses[i] = std::min(kLossMax, losses[i] + exact::log(sum));
      }
    });
  }

  // The first of the highest margins, or the class that is more likely than not.
  size_t predicted_class(size_t row) const {
    if (in_.output_count == 1) return in_.margins[row] > 0 ? 1 : 0;
    const int64_t* margins = in_.margins.data() + row * in_.output_count;
    return static_cast<size_t>(std::max_element(margins, margins + in_.output_count) - margins);
  }

  double share_of_rows(bool correct) const {
    return weighted_mean(row_count_, weights_, 1, [&](RowRange rows, double* hits) {
      for (size_t i = 0; i < rows.count; ++i) {
        const size_t row = rows.first + i;
        hits[i] = (predicted_class(row) == in_.classes[row]) == correct ? 1 : 0;
      }
    });
  }

  // Prediction less label: of values, or of the second class's probability.
  void fill_residuals(RowRange rows, double* residuals) const {
    for (size_t i = 0; i < rows.count; ++i) residuals[i] = margin(rows.first + i);
    if (in_.objective == ObjectiveKind::binary) {
      exact::sigmoid({residuals, rows.count}, {residuals, rows.count});
      for (size_t i = 0; i < rows.count; ++i) residuals[i] -= in_.classes[rows.first + i];
    } else {
      for (size_t i = 0; i < rows.count; ++i) {
        residuals[i] = bounded(residuals[i] - in_.targets[rows.first + i]);
      }
    }
  }
  // A difference of two huge numbers, kept from becoming infinite.
  static double bounded(double x) { return std::clamp(x, -0x1p1022, 0x1p1022); }

  // The power of two above everything that fill gives; 1 if that is all 0.
  template <typename Fill>
  double bound_of(Fill fill) const {
    const double largest = over_blocks(
        row_count_, 0.0,
        [&](RowRange rows, double most) {
          std::array<double, kBlockRows> values;
          fill(rows, values.data());
          for (size_t i = 0; i < rows.count; ++i) most = std::max(most, std::fabs(values[i]));
          return most;
        },
        [](double a, double b) { return std::max(a, b); });
    return largest > 0 ? std::ldexp(1.0, std::clamp(std::ilogb(largest) + 1, -900, 1023)) : 1;
  }

  // Mean of squares of what fill gives, over the square of bound (which may not fit a double).
  template <typename Fill>
  double mean_square(double bound, Fill fill) const {
    const double inverse = 1 / bound;
    return weighted_mean(row_count_, weights_, 1, [&](RowRange rows, double* values) {
      fill(rows, values);
      for (size_t i = 0; i < rows.count; ++i) {
        const double share = values[i] * inverse;
        values[i] = share * share;
      }
    });
  }

  auto residuals() const {
    return [this](RowRange rows, double* values) { fill_residuals(rows, values); };
  }

  double mean_residual(bool squared) const {
    const double bound = bound_of(residuals());
    if (squared) return mean_square(bound, residuals()) * bound * bound;
    return weighted_mean(row_count_, weights_, bound, [&](RowRange rows, double* values) {
      fill_residuals(rows, values);
      for (size_t i = 0; i < rows.count; ++i) values[i] = std::fabs(values[i]);
    });
  }

  double rmse() const {
    const double bound = bound_of(residuals());
    return std::sqrt(mean_square(bound, residuals())) * bound;
  }

  double r2() const {
    const auto targets = [&](RowRange rows, double* values) {
      for (size_t i = 0; i < rows.count; ++i) values[i] = in_.targets[rows.first + i];
    };
    const double mean = weighted_mean(row_count_, weights_, bound_of(targets), targets);
    const auto deviations = [&](RowRange rows, double* values) {
      for (size_t i = 0; i < rows.count; ++i) {
        values[i] = bounded(in_.targets[rows.first + i] - mean);
      }
    };
    const double deviation_bound = bound_of(deviations);
    const double residual_bound = bound_of(residuals());
    const double whole = mean_square(deviation_bound, deviations);
    if (!(whole > 0)) return kNaN;
    const double ratio = residual_bound / deviation_bound;
    return 1 - mean_square(residual_bound, residuals()) / whole * ratio * ratio;
  }

  MetricInput in_;
  double unit_;
  size_t row_count_;
  Weights weights_;
  std::optional<Ranking> ranking_;
};

}  // namespace

Result<std::vector<double>> evaluate_metrics(std::span<const std::string> names,
                                             const MetricInput& input) {
  for (const std::string& name : names) {
    EVERGROVE_RETURN_IF_ERROR(check_metric(name, input.objective));
  }
  Evaluation evaluation(input);
  std::vector<double> values;
  for (const std::string& name : names) values.push_back(evaluation.value(name));
  return values;
}

}  // namespace evergrove::train
