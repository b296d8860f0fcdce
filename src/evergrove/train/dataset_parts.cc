// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/dataset_parts.h"

#include <algorithm>

#include "evergrove/base/check.h"

namespace evergrove::train {
namespace {

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <typename T>
std::vector<T> slice(const std::vector<T>& from, size_t first, size_t count) {
  if (from.empty()) return {};
  const auto begin = from.begin() + static_cast<ptrdiff_t>(first);
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}

std::vector<RowSegment> segments_of(const Dataset& data) {
  if (!data.segments.empty() || data.row_count() == 0) return data.segments;
  return {{0, data.row_count()}};
}

Dataset join_sets(std::vector<Dataset> parts) {
  Dataset whole;
  whole.name = parts[0].name;
  std::vector<bins::BinMatrix> bins;
  for (Dataset& part : parts) {
    append(whole.segments, segments_of(part));
    append(whole.classes, part.classes);
    append(whole.targets, part.targets);
    append(whole.weights, part.weights);
    bins.push_back(std::move(part.bins));
  }
  whole.bins = bins::BinMatrix::join(std::move(bins));
  CHECK(whole.weights.empty() || whole.weights.size() == whole.row_count());
  return whole;
}

Dataset slice_set(const Dataset& whole, size_t first, size_t count) {
  Dataset part;
  part.name = whole.name;
  size_t passed = 0;
  for (const RowSegment& segment : segments_of(whole)) {
    const size_t begin = std::max(first, passed);
    const size_t end = std::min(first + count, passed + segment.row_count);
    if (begin < end) part.segments.push_back({segment.first_row + begin - passed, end - begin});
    passed += segment.row_count;
  }
  part.bins = whole.bins.slice(first, count);
  part.classes = slice(whole.classes, first, count);
  part.targets = slice(whole.targets, first, count);
  part.weights = slice(whole.weights, first, count);
  return part;
}

}  // namespace

RowCounts row_counts(const TrainingData& data) {
  RowCounts counts = {data.train.row_count()};
  for (const Dataset& valid : data.valid) counts.push_back(valid.row_count());
  return counts;
}

TrainingData join_data(std::vector<TrainingData> parts) {
  TrainingData whole;
  std::vector<Dataset> sets;
  sets.reserve(parts.size());
  for (TrainingData& part : parts) sets.push_back(std::move(part.train));
  whole.train = join_sets(std::move(sets));
  for (size_t i = 0; i < parts[0].valid.size(); ++i) {
    sets.clear();
    for (TrainingData& part : parts) sets.push_back(std::move(part.valid[i]));
    whole.valid.push_back(join_sets(std::move(sets)));
  }
  return whole;
}

TrainingData slice_data(const TrainingData& whole, const RowCounts& skipped,
                        const RowCounts& counts) {
  TrainingData part;
  part.train = slice_set(whole.train, skipped[0], counts[0]);
  for (size_t i = 0; i < whole.valid.size(); ++i) {
    part.valid.push_back(slice_set(whole.valid[i], skipped[i + 1], counts[i + 1]));
  }
  return part;
}

}  // namespace evergrove::train
