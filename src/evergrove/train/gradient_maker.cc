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
#include "evergrove/base/large_vector.h"
#include "evergrove/base/phase.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/derivative_kernel.h"
#include "evergrove/train/gradient_kernel.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr size_t kBlockRows = 1024;
constexpr size_t kBlocksATask = 8;

static_assert(kBlockRows % kKernelRows == 0);

}  // namespace

// What is to be known about one tree, and where it goes.
struct GradientMaker::Job {
  uint32_t output = 0;
  std::span<const int64_t> margins;
  uint64_t key = 0;
  double gradient_share = 1;  // regression: 1 over the bound of g
  trees::Gradients* out = nullptr;
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

// Times the row's weight.
double GradientMaker::residual(size_t row, int64_t margin) const {
  const double difference = static_cast<double>(margin) * unit_ - targets_[row];
  return std::clamp(weights_[row] * difference, -kGradientMax, kGradientMax);
}

double GradientMaker::largest(std::span<const int64_t> margins) const {
  if (objective_ != ObjectiveKind::regression) return 0;
  CHECK(margins.size() == row_count_);
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, row_count_, kBlockRows * kBlocksATask), 0.0,
      [&](const tbb::blocked_range<size_t>& rows, double largest) {
        const PhaseScope scope(Phase::gradients);
        if (weights_.all_one()) {
          const size_t first = rows.begin();
          return std::max(largest, largest_residual(margins.data() + first, targets_.data() + first,
                                                    unit_, kGradientMax, rows.size()));
        }
        for (size_t row = rows.begin(); row != rows.end(); ++row) {
          largest = std::max(largest, std::fabs(residual(row, margins[row])));
        }
        return largest;
      },
      [](double a, double b) { return std::max(a, b); });
}

// exp(margin - the row's largest) of a block's rows.
void GradientMaker::fill_softmax_terms(const Block& block, std::span<const int64_t> margins,
                                       const int64_t* largest, size_t output, double* terms) const {
  const int64_t* of_output = margins.data() + output * row_count_ + block.first;
  scale_margins_below(of_output, largest, unit_, block.count, terms);
  exact::exp({terms, block.count}, {terms, block.count});
}

// The largest margin of each of a block's rows.
void GradientMaker::find_largest(const Block& block, std::span<const int64_t> margins,
                                 int64_t* largest) const {
  const int64_t* of_output = margins.data() + block.first;
  std::copy_n(of_output, block.count, largest);
  for (size_t k = 1; k < output_count_; ++k) {
    of_output += row_count_;
    raise_to_largest(of_output, block.count, largest);
  }
}

// Sets 1 over the sum of each row's terms, and the terms: those of an output `stride` after those
// of the one before it, or in their place if that is 0.
void GradientMaker::normalise_softmax(const Block& block, std::span<const int64_t> margins,
                                      const int64_t* largest, size_t stride, double* terms,
                                      double* inverse) const {
  std::fill_n(inverse, block.count, 0.0);
  for (size_t k = 0; k < output_count_; ++k) {
    double* const of_output = terms + k * stride;
    fill_softmax_terms(block, margins, largest, k, of_output);
    for (size_t i = 0; i < block.count; ++i) inverse[i] += of_output[i];
  }
  for (size_t i = 0; i < block.count; ++i) inverse[i] = 1 / inverse[i];
}

// g: terms before, shares of the bound after. inverse: 1 over the sum of a row's terms.
void GradientMaker::fill_from_softmax(uint32_t output, const Block& block, const double* inverse,
                                      double* g, double* h) const {
  probabilities_to_gradients(g, inverse, classes_.data() + block.first,
                             static_cast<uint16_t>(output), block.count, g, h);
  weigh(block, g, h);
}

void GradientMaker::weigh(const Block& block, double* g, double* h) const {
  if (weights_.all_one()) return;
  const double weight_share = 1 / facts_.weight_max;
  for (size_t i = 0; i < block.count; ++i) {
    const double share = weights_[block.first + i] * weight_share;
    g[i] *= share;
    h[i] *= share;
  }
}

// Sets the shares of the bounds of a block's rows.
void GradientMaker::fill_block(const Job& job, const Block& block, double* g, double* h) const {
  const size_t first = block.first;
  const size_t count = block.count;
  if (objective_ == ObjectiveKind::multiclass) {
    fill_softmax_terms(block, job.margins, softmax_largest_.data() + first, job.output, g);
    fill_from_softmax(job.output, block, softmax_inverse_.data() + first, g, h);
    return;
  }
  if (objective_ == ObjectiveKind::regression) {
    if (weights_.all_one()) {
      residuals_to_gradients(job.margins.data() + first, targets_.data() + first, unit_,
                             kGradientMax, job.gradient_share, count, g);
      std::fill_n(h, count, 1.0);
      return;
    }
    const double weight_share = 1 / facts_.weight_max;
    for (size_t i = 0; i < count; ++i) {
      g[i] = residual(first + i, job.margins[first + i]) * job.gradient_share;
      h[i] = weights_[first + i] * weight_share;
    }
    return;
  }
  scale_margins(job.margins.data() + first, unit_, count, g);
  exact::sigmoid({g, count}, {g, count});
  probabilities_to_gradients(g, nullptr, classes_.data() + first, 1, count, g, h);
  weigh(block, g, h);
}

// g and h: kBlockRows, of which the block's are set.
RoundingTally GradientMaker::round_block(const Job& job, const Block& block, double* g,
                                         double* h) const {
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
  return job.out->wide ? round(round_wide, job.out->wide_pairs.data())
                       : round(round_narrow, job.out->narrow.data());
}

// All outputs of a block's rows, so that no term is computed twice.
void GradientMaker::fill_all_outputs(std::span<const Job> jobs, const Block& block,
                                     std::span<RoundingTally> tallies) const {
  int64_t largest[kBlockRows];
  alignas(64) double h[kBlockRows];
  alignas(64) double inverse[kBlockRows];
  thread_local LargeVector<double> terms;  // output by output, where vectors may be
  terms.resize(output_count_ * kBlockRows);
  const std::span<const int64_t> margins = jobs[0].margins;
  find_largest(block, margins, largest);
  normalise_softmax(block, margins, largest, kBlockRows, terms.data(), inverse);
  for (size_t k = 0; k < output_count_; ++k) {
    double* const g = terms.data() + k * kBlockRows;
    fill_from_softmax(static_cast<uint32_t>(k), block, inverse, g, h);
    tallies[k] = tallies[k] + round_block(jobs[k], block, g, h);
  }
}

// One job of any output, or one an output, in their order. Returns their tallies.
std::vector<RoundingTally> GradientMaker::fill(std::span<const Job> jobs) const {
  using Tallies = std::vector<RoundingTally>;
  return tbb::parallel_reduce(
      tbb::blocked_range<size_t>(0, blocks_.size(), kBlocksATask), Tallies(jobs.size()),
      [&](const tbb::blocked_range<size_t>& range, Tallies tallies) {
        const PhaseScope scope(Phase::gradients);
        for (size_t i = range.begin(); i != range.end(); ++i) {
          if (jobs.size() > 1) {
            fill_all_outputs(jobs, blocks_[i], tallies);
            continue;
          }
          alignas(64) double g[kBlockRows];
          alignas(64) double h[kBlockRows];
          fill_block(jobs[0], blocks_[i], g, h);
          tallies[0] = tallies[0] + round_block(jobs[0], blocks_[i], g, h);
        }
        return tallies;
      },
      [](Tallies a, const Tallies& b) {
        for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] + b[i];
        return a;
      });
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
                        const Block& block = blocks_[i];
                        int64_t* const largest = softmax_largest_.data() + block.first;
                        double* const inverse = softmax_inverse_.data() + block.first;
                        double terms[kBlockRows];
                        find_largest(block, margins, largest);
                        normalise_softmax(block, margins, largest, 0, terms, inverse);
                      }
                    });
}

// Makes room in `out`, too.
GradientMaker::Job GradientMaker::job_of(uint64_t iteration, uint32_t output,
                                         std::span<const int64_t> margins,
                                         const GradientScale& scale, trees::Gradients& out) const {
  const trees::GradientUnits units = gradient_units(objective_, output_count_, facts_, scale);
  out.wide = scale.wide;
  out.g_unit = units.g;
  out.h_unit = units.h;
  out.narrow.resize(scale.wide ? 0 : row_count_);
  out.wide_pairs.resize(scale.wide ? row_count_ : 0);
  Job job;
  job.output = output;
  job.margins = margins;
  job.key = RandomKey(seed_, "gradient rounding", iteration * output_count_ + output).bits();
  job.gradient_share = 1 / scale.g_max;
  job.out = &out;
  return job;
}

RoundingTally GradientMaker::make(uint64_t iteration, uint32_t output,
                                  std::span<const int64_t> margins, const GradientScale& scale,
                                  trees::Gradients& out) {
  prepare(iteration, output, margins);
  const Job job = job_of(iteration, output, margins, scale, out);
  return fill({&job, 1})[0];
}

void GradientMaker::forget() {
  softmax_iteration_ = ~uint64_t{0};
  softmax_largest_ = {};
  softmax_inverse_ = {};
}

void GradientMaker::make_alone(uint64_t iteration, std::span<const int64_t> margins,
                               std::span<trees::Gradients> out) {
  CHECK(margins.size() == row_count_ * output_count_ && out.size() == output_count_);
  const double g_max = largest(margins);
  std::vector<GradientScale> scales;
  std::vector<Job> jobs;
  for (uint32_t output = 0; output < output_count_; ++output) {
    scales.push_back(scale_to_try(objective_, facts_, g_max, out[output].wide));
    jobs.push_back(job_of(iteration, output, margins, scales[output], out[output]));
  }
  const std::vector<RoundingTally> tallies = fill(jobs);
  for (uint32_t output = 0; output < output_count_; ++output) {
    const bool wide = should_be_wide(objective_, facts_, tallies[output]);
    if (wide == scales[output].wide) continue;
    scales[output].wide = wide;
    make(iteration, output, margins, scales[output], out[output]);
  }
}

}  // namespace evergrove::train
