// Ranks are found by a branch-free binary search, sixteen rows at a time so that their look-ups
// overlap.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/score/feature_coder.h"

#include <algorithm>
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
  code_max_ = thresholds_.size() + 1;
  ranks_ = exact::Ranks(thresholds_);
}

uint32_t FeatureCoder::limit(double threshold, MissingCode missing) const {
  const auto rank =
      std::lower_bound(thresholds_.begin(), thresholds_.end(), threshold) - thresholds_.begin();
  return static_cast<uint32_t>(rank) + (missing == MissingCode::lowest ? 1 : 0);
}

template <typename Code>
void FeatureCoder::encode_numbers(const table::ColumnValues& column, size_t first, size_t count,
                                  Code* lowest, Code* highest) const {
  const exact::Ranks::Codes<Code> codes{lowest, highest, static_cast<Code>(code_max_)};
  if (!column.f32.empty()) {
    ranks_.of(column.f32.subspan(first, count), codes);
  } else {
    ranks_.of(column.f64.subspan(first, count), codes);
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
