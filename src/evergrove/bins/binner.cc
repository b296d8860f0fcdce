// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/binner.h"

namespace evergrove::bins {

Binner::Binner(const model::Feature& feature) : kind_(feature.kind), ranks_(feature.cuts) {
  for (size_t i = 0; i < feature.categories.size(); ++i) {
    category_bins_.emplace(feature.categories[i], static_cast<uint32_t>(i + 1));
  }
}

template <typename Bin>
void Binner::bin(const table::ColumnValues& column, std::span<Bin> out) const {
  if (kind_ == table::ColumnKind::numeric) {
    const exact::Ranks::Codes<Bin> codes{.one_more = out.data()};
    return column.f32.empty() ? ranks_.of(column.f64, codes) : ranks_.of(column.f32, codes);
  }
  std::vector<Bin> bin_of_code(column.dictionary.size() + 1, 0);  // code -1 is at place 0
  for (size_t code = 0; code < column.dictionary.size(); ++code) {
    const auto found = category_bins_.find(column.dictionary[code]);
    if (found != category_bins_.end()) bin_of_code[code + 1] = static_cast<Bin>(found->second);
  }
  for (size_t row = 0; row < out.size(); ++row) out[row] = bin_of_code[column.codes[row] + 1];
}

template void Binner::bin<uint8_t>(const table::ColumnValues&, std::span<uint8_t>) const;
template void Binner::bin<uint16_t>(const table::ColumnValues&, std::span<uint16_t>) const;

}  // namespace evergrove::bins
