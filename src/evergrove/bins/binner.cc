// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/binner.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace evergrove::bins {

Binner::Binner(const model::Feature& feature) : kind_(feature.kind), cuts_(feature.cuts) {
  steps_ = std::bit_width(cuts_.size());
  cuts_.resize((size_t{1} << steps_) - 1, std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < feature.categories.size(); ++i) {
    category_bins_.emplace(feature.categories[i], static_cast<uint32_t>(i + 1));
  }
}

template <typename Bin, typename Number>
void Binner::bin_numbers(std::span<const Number> values, std::span<Bin> out) const {
  constexpr size_t kLanes = 16;
  const double* cuts = cuts_.data();
  const auto search = [&](const Number* x, Bin* result, size_t count) {
    uint32_t position[kLanes] = {};
    double value[kLanes];
    for (size_t i = 0; i < count; ++i) value[i] = x[i];
    for (uint32_t step = (uint32_t{1} << steps_) >> 1; step > 0; step >>= 1) {
      for (size_t i = 0; i < count; ++i) {
        position[i] += cuts[position[i] + step - 1] < value[i] ? step : 0;
      }
    }
    for (size_t i = 0; i < count; ++i) {
      result[i] = static_cast<Bin>(value[i] == value[i] ? position[i] + 1 : 0);
    }
  };
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) search(&values[i], &out[i], kLanes);
  if (whole < values.size()) search(&values[whole], &out[whole], values.size() - whole);
}

template <typename Bin>
void Binner::bin(const table::ColumnValues& column, std::span<Bin> out) const {
  if (kind_ == table::ColumnKind::numeric) {
    if (!column.f32.empty()) return bin_numbers(column.f32, out);
    return bin_numbers(column.f64, out);
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
