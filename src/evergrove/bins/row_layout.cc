// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/row_layout.h"

#include <algorithm>

namespace evergrove::bins {
namespace {

constexpr uint32_t kValuesMax = 256;  // of a cell that is shared

}  // namespace

RowLayout::RowLayout(std::span<const uint32_t> bin_counts, bool is_bytes,
                     std::span<const uint32_t> sparse)
    : places_(bin_counts.size()) {
  for (uint32_t feature : sparse) places_[feature].cell = kNoCell;
  std::vector<uint32_t> small;
  for (uint32_t feature = 0; feature < bin_counts.size(); ++feature) {
    if (places_[feature].cell == kNoCell) continue;
    if (is_bytes && bin_counts[feature] <= kSharedBinsMax) {
      small.push_back(feature);
      continue;
    }
    places_[feature] = {static_cast<uint32_t>(cells_.size()), 1, bin_counts[feature]};
    cells_.push_back({{feature}, bin_counts[feature]});
  }
  // Alike beside alike: so that cells are full.
  std::stable_sort(small.begin(), small.end(),
                   [&](uint32_t a, uint32_t b) { return bin_counts[a] < bin_counts[b]; });
  for (size_t i = 0; i < small.size(); ++i) {
    const uint32_t feature = small[i];
    if (i == 0 || cells_.back().value_count * bin_counts[feature] > kValuesMax) {
      cells_.emplace_back();
    }
    Cell& cell = cells_.back();
    places_[feature] = {static_cast<uint32_t>(cells_.size() - 1), cell.value_count,
                        bin_counts[feature]};
    cell.features.push_back(feature);
    cell.value_count *= bin_counts[feature];
  }
}

}  // namespace evergrove::bins
