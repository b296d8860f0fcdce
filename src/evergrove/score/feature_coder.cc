// Ranks are found by a branch-free binary search, sixteen rows at a time so that their look-ups
// overlap.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/score/feature_coder.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace evergrove::score {

FeatureCoder::FeatureCoder(const model::Feature& feature, std::vector<double> thresholds)
    : is_numeric_(feature.kind == table::ColumnKind::numeric), thresholds_(std::move(thresholds)) {
  if (!is_numeric_) {
    thresholds_.clear();
    code_max_ = feature.categories.size();
    // Of a name that is there twice, the first one counts.
    for (size_t i = 0; i < feature.categories.size(); ++i) {
      category_codes_.emplace(feature.categories[i], static_cast<uint32_t>(i + 1));
    }
    return;
  }
  std::erase_if(thresholds_, [](double x) { return !std::isfinite(x); });
  std::sort(thresholds_.begin(), thresholds_.end());
  thresholds_.erase(std::unique(thresholds_.begin(), thresholds_.end()), thresholds_.end());
  threshold_count_ = thresholds_.size();
  code_max_ = threshold_count_ + 1;
  step_count_ = std::bit_width(threshold_count_);
  thresholds_.resize((size_t{1} << step_count_) - 1, std::numeric_limits<double>::infinity());
}

uint32_t FeatureCoder::limit(double threshold, MissingCode missing) const {
  const auto end = thresholds_.begin() + static_cast<std::ptrdiff_t>(threshold_count_);
  const auto rank = std::lower_bound(thresholds_.begin(), end, threshold) - thresholds_.begin();
  return static_cast<uint32_t>(rank) + (missing == MissingCode::lowest ? 1 : 0);
}

namespace {

// Calls store(place, rank, is_missing) for every row. The same code for whole groups and the rest.
template <typename Number, typename Store>
void find_ranks(const double* thresholds, int step_count, std::span<const Number> values,
                Store store) {
  constexpr size_t kLanes = 16;
  const auto search = [&](size_t first, size_t count) {
    uint32_t rank[kLanes] = {};
    double value[kLanes];
    for (size_t i = 0; i < count; ++i) value[i] = values[first + i];
    for (uint32_t step = (uint32_t{1} << step_count) >> 1; step > 0; step >>= 1) {
      for (size_t i = 0; i < count; ++i) {
        rank[i] += thresholds[rank[i] + step - 1] < value[i] ? step : 0;
      }
    }
    for (size_t i = 0; i < count; ++i) store(first + i, rank[i], value[i] != value[i]);
  };
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) search(i, kLanes);
  if (whole < values.size()) search(whole, values.size() - whole);
}

}  // namespace

template <typename Code>
void FeatureCoder::encode_numbers(const table::ColumnValues& column, size_t first, size_t count,
                                  Code* lowest, Code* highest) const {
  const Code missing_highest = static_cast<Code>(code_max_);
  const auto encode = [&](auto values) {
    const double* thresholds = thresholds_.data();
    if (highest == nullptr) {
      find_ranks(thresholds, step_count_, values, [&](size_t i, uint32_t rank, bool missing) {
        lowest[i] = static_cast<Code>(missing ? 0 : rank + 1);
      });
    } else if (lowest == nullptr) {
      find_ranks(thresholds, step_count_, values, [&](size_t i, uint32_t rank, bool missing) {
        highest[i] = missing ? missing_highest : static_cast<Code>(rank);
      });
    } else {
      find_ranks(thresholds, step_count_, values, [&](size_t i, uint32_t rank, bool missing) {
        lowest[i] = static_cast<Code>(missing ? 0 : rank + 1);
        highest[i] = missing ? missing_highest : static_cast<Code>(rank);
      });
    }
  };
  if (!column.f32.empty()) {
    encode(column.f32.subspan(first, count));
  } else {
    encode(column.f64.subspan(first, count));
  }
}

std::vector<uint32_t> FeatureCoder::dictionary_codes(
    std::span<const std::string> dictionary) const {
  std::vector<uint32_t> codes(dictionary.size() + 1, 0);
  for (size_t i = 0; i < dictionary.size(); ++i) {
    const auto found = category_codes_.find(dictionary[i]);
    if (found != category_codes_.end()) codes[i + 1] = found->second;
  }
  return codes;
}

template void FeatureCoder::encode_numbers<uint8_t>(const table::ColumnValues&, size_t, size_t,
                                                    uint8_t*, uint8_t*) const;
template void FeatureCoder::encode_numbers<uint16_t>(const table::ColumnValues&, size_t, size_t,
                                                     uint16_t*, uint16_t*) const;
template void FeatureCoder::encode_numbers<uint32_t>(const table::ColumnValues&, size_t, size_t,
                                                     uint32_t*, uint32_t*) const;

}  // namespace evergrove::score
