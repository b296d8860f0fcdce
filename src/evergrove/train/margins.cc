// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/margins.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"

namespace evergrove::train {

Margins::Margins(std::span<const int64_t> base, size_t row_count)
    : output_count_(base.size()), row_count_(row_count) {
  values_.resize(base.size() * row_count);
  constexpr size_t kPartRows = 1 << 16;
  for (size_t output = 0; output < base.size(); ++output) {
    const std::span<int64_t> to = of(output);
    tbb::parallel_for(tbb::blocked_range<size_t>(0, row_count, kPartRows), [&](const auto& range) {
      std::fill(to.begin() + static_cast<ptrdiff_t>(range.begin()),
                to.begin() + static_cast<ptrdiff_t>(range.end()), base[output]);
    });
  }
}

Margins Margins::join(std::span<const Margins* const> parts) {
  Margins whole;
  whole.output_count_ = parts[0]->output_count_;
  for (const Margins* part : parts) whole.row_count_ += part->row_count_;
  whole.values_.reserve(whole.output_count_ * whole.row_count_);
  for (size_t output = 0; output < whole.output_count_; ++output) {
    for (const Margins* part : parts) {
      CHECK(part->output_count_ == whole.output_count_);
      const std::span<const int64_t> from = part->of(output);
      whole.values_.insert(whole.values_.end(), from.begin(), from.end());
    }
  }
  return whole;
}

Margins Margins::slice(size_t first_row, size_t row_count) const {
  Margins part;
  part.output_count_ = output_count_;
  part.row_count_ = row_count;
  part.values_.reserve(output_count_ * row_count);
  for (size_t output = 0; output < output_count_; ++output) {
    const std::span<const int64_t> from = of(output).subspan(first_row, row_count);
    part.values_.insert(part.values_.end(), from.begin(), from.end());
  }
  return part;
}

std::vector<uint32_t> sample_rows(const Parameters& parameters, uint64_t iteration,
                                  const Dataset& data, std::vector<uint8_t>& in_sample) {
  std::vector<uint32_t> rows;
  const RandomKey key(parameters.seed, "row sampling", iteration);
  const uint64_t threshold = hash_threshold(parameters.subsample);
  in_sample.assign(data.row_count(), 0);
  uint32_t row = 0;
  const auto take = [&](const RowSegment& segment) {
    for (size_t i = 0; i < segment.row_count; ++i, ++row) {
      if (key.at(segment.first_row + i) >= threshold) continue;
      rows.push_back(row);
      in_sample[row] = 1;
    }
  };
  if (data.segments.empty()) {
    take({0, data.row_count()});
  } else {
    for (const RowSegment& segment : data.segments) take(segment);
  }
  return rows;
}

MetricInput metric_input(const RunHeader& header, const Dataset& data,
                         std::span<const int64_t> margins) {
  MetricInput input;
  input.objective = header.parameters.objective;
  input.value_exponent = header.value_exponent;
  input.output_count = header.base_margins.size();
  input.margins = margins;
  input.classes = data.classes;
  input.targets = data.targets;
  input.weights = data.weights;
  return input;
}

}  // namespace evergrove::train
