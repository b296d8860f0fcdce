// In blocks of 1,024 rows that stay in the cache: margins to shares of the bounds (-1..1 and
// 0..1), then the rounding kernel. A width is tried and kept if the tally agrees; the first try is
// what `out` was last time, so that there is seldom a second one.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/gradient_maker.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/gradient_kernel.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr size_t kBlockRows = 1024;
constexpr size_t kBlocksATask = 8;
constexpr uint64_t kNoiseRatio = 64;       // variance of g to that of its rounding, at least
constexpr double kWeightUnitsMin = 64;     // of an ordinary row's weight, in narrow units
constexpr double kGradientMax = 0x1p1000;  // keeps products from becoming infinite
constexpr double kGradientMin = 0x1p-1000;

static_assert(kBlockRows % kKernelRows == 0);

size_t block_count(size_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

}  // namespace

struct GradientMaker::Tally : RoundingTally {};

// What run() needs to know about one tree.
struct GradientMaker::Job {
  uint32_t output = 0;
  std::span<const int64_t> margins;
  uint64_t key = 0;
  double gradient_share = 1;  // regression: 1 over the bound of g
  bool wide = false;
};

GradientMaker::GradientMaker(const Parameters& parameters, const Dataset& data,
                             int32_t value_exponent)
    : objective_(parameters.objective),
      seed_(parameters.seed),
      positive_weight_(parameters.objective == ObjectiveKind::binary ? parameters.scale_pos_weight
                                                                     : 1),
      unit_(std::ldexp(1.0, value_exponent)),
      classes_(data.classes),
      targets_(data.targets),
      weights_(data.weights),
      row_count_(objective_ == ObjectiveKind::regression ? targets_.size() : classes_.size()),
      counted_rows_(row_count_) {
  CHECK(weights_.empty() || weights_.size() == row_count_);
  if (weights_.empty() && positive_weight_ == 1) return;
  weight_max_ = 0;
  for (size_t row = 0; row < row_count_; ++row) weight_max_ = std::max(weight_max_, weight(row));
  if (!(weight_max_ > 0)) weight_max_ = 1;
  counted_rows_ = 0;
  size_t fine_rows = 0;
  for (size_t row = 0; row < row_count_; ++row) {
    counted_rows_ += weight(row) > 0;
    fine_rows += weight(row) / weight_max_ * trees::kNarrowMax >= kWeightUnitsMin;
  }
  weights_are_even_ = fine_rows >= counted_rows_ - counted_rows_ / 4;
}

double GradientMaker::weight(size_t row) const {
  const double weight = weights_.empty() ? 1.0 : double{weights_[row]};
  return positive_weight_ != 1 && classes_[row] != 0 ? weight * positive_weight_ : weight;
}

double GradientMaker::residual(size_t row, int64_t margin) const {
  const double difference = static_cast<double>(margin) * unit_ - targets_[row];
  const double product = weights_.empty() ? difference : weight(row) * difference;
  return std::clamp(product, -kGradientMax, kGradientMax);
}

double GradientMaker::largest_gradient(std::span<const int64_t> margins) const {
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, row_count_, kBlockRows * kBlocksATask), 0.0,
      [&](const tbb::blocked_range<size_t>& rows, double largest) {
        for (size_t row = rows.begin(); row != rows.end(); ++row) {
          largest = std::max(largest, std::fabs(residual(row, margins[row])));
        }
        return largest;
      },
      [](double a, double b) { return std::max(a, b); });
}

void GradientMaker::normalise_softmax(std::span<const int64_t> margins) {
  softmax_largest_.resize(row_count_);
  softmax_inverse_.resize(row_count_);
  tbb::parallel_for(tbb::blocked_range<size_t>(0, block_count(row_count_), kBlocksATask),
                    [&](const tbb::blocked_range<size_t>& blocks) {
                      alignas(64) double terms[kBlockRows];
                      for (size_t block = blocks.begin(); block != blocks.end(); ++block) {
                        const size_t first = block * kBlockRows;
                        const size_t count = std::min(kBlockRows, row_count_ - first);
                        double* sums = softmax_inverse_.data() + first;
                        for (size_t i = 0; i < count; ++i) {
                          const int64_t* row = margins.data() + (first + i) * output_count_;
                          softmax_largest_[first + i] = *std::max_element(row, row + output_count_);
                          sums[i] = 0;
                        }
                        for (size_t k = 0; k < output_count_; ++k) {
                          for (size_t i = 0; i < count; ++i) {
                            const int64_t margin = margins[(first + i) * output_count_ + k];
                            terms[i] =
                                static_cast<double>(margin - softmax_largest_[first + i]) * unit_;
                          }
                          exact::exp({terms, count}, {terms, count});
                          for (size_t i = 0; i < count; ++i) sums[i] += terms[i];
                        }
                        for (size_t i = 0; i < count; ++i) sums[i] = 1 / sums[i];
                      }
                    });
}

// Sets the shares of the bounds of the rows first to first + count - 1.
void GradientMaker::fill_block(const Job& job, size_t first, size_t count, double* g,
                               double* h) const {
  const bool has_weights = !weights_.empty() || positive_weight_ != 1;
  const double weight_share = 1 / weight_max_;
  if (objective_ == ObjectiveKind::regression) {
    for (size_t i = 0; i < count; ++i) {
      g[i] = residual(first + i, job.margins[first + i]) * job.gradient_share;
      h[i] = has_weights ? weight(first + i) * weight_share : 1;
    }
    return;
  }
  if (objective_ == ObjectiveKind::binary) {
    for (size_t i = 0; i < count; ++i) g[i] = static_cast<double>(job.margins[first + i]) * unit_;
    exact::sigmoid({g, count}, {g, count});
    for (size_t i = 0; i < count; ++i) {
      const double p = g[i];
      g[i] = p - static_cast<double>(classes_[first + i]);
      h[i] = 4 * (p * (1 - p));
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      const int64_t margin = job.margins[(first + i) * output_count_ + job.output];
      g[i] = static_cast<double>(margin - softmax_largest_[first + i]) * unit_;
    }
    exact::exp({g, count}, {g, count});
    for (size_t i = 0; i < count; ++i) {
      const double p = std::min(1.0, g[i] * softmax_inverse_[first + i]);
      g[i] = p - (classes_[first + i] == job.output ? 1.0 : 0.0);
      h[i] = 4 * (p * (1 - p));
    }
  }
  if (!has_weights) return;
  for (size_t i = 0; i < count; ++i) {
    const double share = weight(first + i) * weight_share;
    g[i] *= share;
    h[i] *= share;
  }
}

GradientMaker::Tally GradientMaker::run(const Job& job, trees::Gradients& out) const {
  out.wide = job.wide;
  out.narrow.resize(job.wide ? 0 : row_count_);
  out.wide_pairs.resize(job.wide ? row_count_ : 0);
  const auto join = [](const Tally& a, const Tally& b) { return Tally{a + b}; };
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, block_count(row_count_), kBlocksATask), Tally{},
      [&](const tbb::blocked_range<size_t>& blocks, Tally tally) {
        alignas(64) double g[kBlockRows];
        alignas(64) double h[kBlockRows];
        for (size_t block = blocks.begin(); block != blocks.end(); ++block) {
          const size_t first = block * kBlockRows;
          const size_t count = std::min(kBlockRows, row_count_ - first);
          fill_block(job, first, count, g, h);
          const size_t padded = (count + kKernelRows - 1) / kKernelRows * kKernelRows;
          std::fill(g + count, g + padded, 0.0);
          std::fill(h + count, h + padded, 0.0);
          const auto round = [&](auto kernel, auto* to) {
            if (padded == count) return kernel(g, h, job.key, first, count, to + first);
            std::remove_pointer_t<decltype(to)> last[kBlockRows];
            const RoundingTally rounded = kernel(g, h, job.key, first, padded, last);
            std::copy(last, last + count, to + first);
            return rounded;
          };
          tally = join(tally, Tally{job.wide ? round(round_wide, out.wide_pairs.data())
                                             : round(round_narrow, out.narrow.data())});
        }
        return tally;
      },
      join);
}

bool GradientMaker::should_be_wide(const Tally& tally) const {
  if (!weights_are_even_) return true;
  if (objective_ == ObjectiveKind::regression) return 2 * tally.large_rows < counted_rows_;
  // squares / 16 < ratio * noise / 2^20, with integers.
  static_assert(kNoiseRatio * 16 == 1 << 10);
  return tally.squares == 0 || tally.squares < tally.noise >> 10;
}

void GradientMaker::make(uint64_t iteration, uint32_t output, std::span<const int64_t> margins,
                         trees::Gradients& out) {
  output_count_ = row_count_ == 0 ? 1 : margins.size() / row_count_;
  CHECK(margins.size() == row_count_ * output_count_);
  CHECK(output < output_count_);
  Job job;
  job.output = output;
  job.margins = margins;
  job.key = RandomKey(seed_, "gradient rounding", iteration * output_count_ + output).bits();
  double g_max = weight_max_;
  double h_max = weight_max_;
  if (objective_ == ObjectiveKind::regression) {
    g_max = largest_gradient(margins);
    if (!(g_max > kGradientMin)) g_max = 1;  // nothing left to learn: all round to 0
    job.gradient_share = 1 / g_max;
  } else if (objective_ == ObjectiveKind::binary) {
    h_max *= 0.25;
  } else {
    const auto classes = static_cast<double>(output_count_);
    h_max *= 0.25 * (classes / (classes - 1));
    if (output == 0 || softmax_iteration_ != iteration) normalise_softmax(margins);
    softmax_iteration_ = iteration;
  }

  job.wide = out.wide || !weights_are_even_;
  const bool wide = should_be_wide(run(job, out));
  if (wide != job.wide) {
    job.wide = wide;
    run(job, out);
  }
  const double steps = wide ? trees::kWideMax : trees::kNarrowMax;
  out.g_unit = g_max / steps;
  out.h_unit = h_max / steps;
}

}  // namespace evergrove::train
