// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/margins.h"

#include "evergrove/base/hash.h"

namespace evergrove::train {

std::vector<int64_t> base_margins(const RunHeader& header, size_t row_count) {
  const std::vector<int64_t>& base = header.base_margins;
  std::vector<int64_t> margins(row_count * base.size());
  for (size_t i = 0; i < margins.size(); ++i) margins[i] = base[i % base.size()];
  return margins;
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
