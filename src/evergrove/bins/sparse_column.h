// SparseColumn: the bins of a feature that has one bin in nearly all rows, as the rows that have
// another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace evergrove::bins {

struct SparseColumn {
  uint32_t usual_bin = 0;
  std::vector<uint32_t> rows;  // that have another bin, ascending
  std::vector<uint16_t> bins;  // theirs

  // Where those from a row on begin.
  size_t place(size_t row) const;
  uint32_t bin(size_t row) const;
  // Bins of so many consecutive rows as `to` has room for.
  template <typename Bin>
  void copy(size_t first_row, std::span<Bin> to) const;

  // Of a column in which a row in eight at most has another bin than the usual one; else null.
  template <typename Bin>
  static std::optional<SparseColumn> of(std::span<const Bin> column, uint32_t bin_count);
};

}  // namespace evergrove::bins
