// In blocks of at most 1,024 rows that stay in the cache: margins to shares of the bounds (-1..1
// and 0..1), then the rounding kernel. What is made of a row depends on the row alone, so the cut
// into blocks does not matter.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/gradient_maker.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/base/phase.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/gradient_kernel.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr size_t kBlockRows = 1024;
constexpr size_t kBlocksATask = 8;

static_assert(kBlockRows % kKernelRows == 0);

}  // namespace

// What is to be known about one tree.
struct GradientMaker::Job {
  uint32_t output = 0;
  std::span<const int64_t> margins;
  uint64_t key = 0;
  double gradient_share = 1;  // regression: 1 over the bound of g
  bool wide = false;
  trees::GradientUnits units;
};

GradientMaker::GradientMaker(const RunHeader& header, const WeightFacts& facts, const Dataset& data)
    : objective_(header.parameters.objective),
      seed_(header.parameters.seed),
      unit_(std::ldexp(1.0, header.value_exponent)),
      output_count_(header.base_margins.size()),
      facts_(facts),
      classes_(data.classes),
      targets_(data.targets),
      weights_(header.parameters, data.classes, data.weights),
      row_count_(objective_ == ObjectiveKind::regression ? targets_.size() : classes_.size()) {
  CHECK(data.weights.empty() || data.weights.size() == row_count_);
  const auto add_blocks = [&](const RowSegment& segment, size_t first) {
    for (size_t i = 0; i < segment.row_count; i += kBlockRows) {
      const size_t count = std::min(kBlockRows, segment.row_count - i);
      blocks_.push_back({first + i, count, segment.first_row + i});
    }
    return first + segment.row_count;
  };
  size_t first = 0;
  for (const RowSegment& segment : data.segments) first = add_blocks(segment, first);
  if (data.segments.empty()) first = add_blocks({.first_row = 0, .row_count = row_count_}, 0);
  CHECK(first == row_count_);
}

double GradientMaker::residual(size_t row, int64_t margin) const {
  const double difference = static_cast<double>(margin) * unit_ - targets_[row];
  const double product = weights_.all_one() ? difference : weights_[row] * difference;
  return std::clamp(product, -kGradientMax, kGradientMax);
}

double GradientMaker::largest(std::span<const int64_t> margins) const {
  if (objective_ != ObjectiveKind::regression) return 0;
  CHECK(margins.size() == row_count_);
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

void GradientMaker::normalise_softmax(const Block& block, std::span<const int64_t> margins) {
  alignas(64) double terms[kBlockRows];
  double* sums = softmax_inverse_.data() + block.first;
  int64_t* largest = softmax_largest_.data() + block.first;
  const int64_t* block_margins = margins.data() + block.first * output_count_;
  for (size_t i = 0; i < block.count; ++i) {
    const int64_t* row = block_margins + i * output_count_;
    largest[i] = *std::max_element(row, row + output_count_);
    sums[i] = 0;
  }
  for (size_t k = 0; k < output_count_; ++k) {
    for (size_t i = 0; i < block.count; ++i) {
      const int64_t margin = block_margins[i * output_count_ + k];
      terms[i] = static_cast<double>(margin - largest[i]) * unit_;
    }
    exact::exp({terms, block.count}, {terms, block.count});
    for (size_t i = 0; i < block.count; ++i) sums[i] += terms[i];
  }
  for (size_t i = 0; i < block.count; ++i) sums[i] = 1 / sums[i];
}

// Sets the shares of the bounds of a block's rows.
void GradientMaker::fill_block(const Job& job, const Block& block, double* g, double* h) const {
  const size_t first = block.first;
  const size_t count = block.count;
  const bool has_weights = !weights_.all_one();
  const double weight_share = 1 / facts_.weight_max;
  if (objective_ == ObjectiveKind::regression) {
    for (size_t i = 0; i < count; ++i) {
      g[i] = residual(first + i, job.margins[first + i]) * job.gradient_share;
      h[i] = has_weights ? weights_[first + i] * weight_share : 1;
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
    const double share = weights_[first + i] * weight_share;
    g[i] *= share;
    h[i] *= share;
  }
}

RoundingTally GradientMaker::round_block(const Job& job, const Block& block,
                                         trees::Gradients& out) const {
  alignas(64) double g[kBlockRows];
  alignas(64) double h[kBlockRows];
  fill_block(job, block, g, h);
  const size_t padded = (block.count + kKernelRows - 1) / kKernelRows * kKernelRows;
  std::fill(g + block.count, g + padded, 0.0);
  std::fill(h + block.count, h + padded, 0.0);
  const auto round = [&](auto kernel, auto* to) {
    if (padded == block.count) {
      return kernel(g, h, job.key, block.first_row, block.count, to + block.first);
    }
    std::remove_pointer_t<decltype(to)> last[kBlockRows];
    const RoundingTally tally = kernel(g, h, job.key, block.first_row, padded, last);
    std::copy(last, last + block.count, to + block.first);
    return tally;
  };
  return job.wide ? round(round_wide, out.wide_pairs.data())
                  : round(round_narrow, out.narrow.data());
}

RoundingTally GradientMaker::fill(const Job& job, trees::Gradients& out) const {
  out.wide = job.wide;
  out.g_unit = job.units.g;
  out.h_unit = job.units.h;
  out.narrow.resize(job.wide ? 0 : row_count_);
  out.wide_pairs.resize(job.wide ? row_count_ : 0);
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, blocks_.size(), kBlocksATask), RoundingTally{},
      [&](const tbb::blocked_range<size_t>& range, RoundingTally tally) {
        const PhaseScope scope(Phase::gradients);
        for (size_t i = range.begin(); i != range.end(); ++i) {
          tally = tally + round_block(job, blocks_[i], out);
        }
        return tally;
      },
      [](const RoundingTally& a, const RoundingTally& b) { return a + b; });
}

// What the outputs of an iteration share is found with the first of them.
void GradientMaker::prepare(uint64_t iteration, uint32_t output, std::span<const int64_t> margins) {
  CHECK(margins.size() == row_count_ * output_count_);
  CHECK(output < output_count_);
  if (objective_ != ObjectiveKind::multiclass) return;
  if (output != 0 && softmax_iteration_ == iteration) return;
  softmax_iteration_ = iteration;
  softmax_largest_.resize(row_count_);
  softmax_inverse_.resize(row_count_);
  tbb::parallel_for(tbb::blocked_range<size_t>(0, blocks_.size(), kBlocksATask),
                    [&](const tbb::blocked_range<size_t>& range) {
                      const PhaseScope scope(Phase::gradients);
                      for (size_t i = range.begin(); i != range.end(); ++i) {
                        normalise_softmax(blocks_[i], margins);
                      }
                    });
}

GradientMaker::Job GradientMaker::job_of(uint64_t iteration, uint32_t output,
                                         std::span<const int64_t> margins,
                                         const GradientScale& scale) const {
  Job job;
  job.output = output;
  job.margins = margins;
  job.key = RandomKey(seed_, "gradient rounding", iteration * output_count_ + output).bits();
  job.gradient_share = 1 / scale.g_max;
  job.wide = scale.wide;
  job.units = gradient_units(objective_, output_count_, facts_, scale);
  return job;
}

RoundingTally GradientMaker::make(uint64_t iteration, uint32_t output,
                                  std::span<const int64_t> margins, const GradientScale& scale,
                                  trees::Gradients& out) {
  prepare(iteration, output, margins);
  return fill(job_of(iteration, output, margins, scale), out);
}

void GradientMaker::make_alone(uint64_t iteration, uint32_t output,
                               std::span<const int64_t> margins, trees::Gradients& out) {
  prepare(iteration, output, margins);
  GradientScale scale = scale_to_try(objective_, facts_, largest(margins), out.wide);
  const RoundingTally tally = fill(job_of(iteration, output, margins, scale), out);
  const bool wide = should_be_wide(objective_, facts_, tally);
  if (wide == scale.wide) return;
  scale.wide = wide;
  fill(job_of(iteration, output, margins, scale), out);
}

}  // namespace evergrove::train
