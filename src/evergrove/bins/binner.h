// Binner: turns the values of one feature into bins.
//
// Numbers are found among the cuts by a branch-free binary search, sixteen rows at a time so that
// their look-ups overlap; categories through a table from the block's own codes to bins.
// Immutable after construction; safe to use from many threads.
//
//   Binner binner(feature);
//   binner.bin(block.columns[i], out);   // out: uint8_t or uint16_t, one a row
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/table/row_source.h"

namespace evergrove::bins {

class Binner {
 public:
  explicit Binner(const model::Feature& feature);

  // Requires: the column is of the feature's kind and has out.size() rows.
  template <typename Bin>
  void bin(const table::ColumnValues& column, std::span<Bin> out) const;

 private:
  template <typename Bin, typename Number>
  void bin_numbers(std::span<const Number> values, std::span<Bin> out) const;

  table::ColumnKind kind_;
  std::vector<double> cuts_;  // padded with +infinity to 2^steps_ - 1
  int steps_ = 0;
  std::unordered_map<std::string, uint32_t> category_bins_;
};

}  // namespace evergrove::bins
