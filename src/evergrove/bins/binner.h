// Binner: turns the values of one feature into bins.
//
// A number's bin is how many cuts lie below it, and one; a category's comes through a table from
// the block's own codes to bins. Immutable after construction; safe to use from many threads.
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

#include "evergrove/exact/ranks.h"
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
  table::ColumnKind kind_;
  exact::Ranks ranks_;  // of the cuts
  std::unordered_map<std::string, uint32_t> category_bins_;
};

}  // namespace evergrove::bins
