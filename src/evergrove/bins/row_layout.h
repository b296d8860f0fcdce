// RowLayout: which cell of a row holds which feature's bin.
//
// A row is a run of cells. A feature of more than 16 bins has a cell of its own, which holds its
// bin. Features of fewer bins share one, as far as they fit: its value is their bins as the digits
// of a number, the bin of the feature with unit u being value / u % bin count. So a row of flags
// and small categories is short, and a histogram takes one addition for all that share a cell; what
// each of them has is the sum over the others, which is exact. Sparse features have no cell
// (sparse_bins.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evergrove::bins {

class RowLayout {
 public:
  struct Place {
    uint32_t cell = 0;
    uint32_t unit = 1;
    uint32_t bin_count = 1;
    // Of a cell with that value.
    uint32_t bin(uint32_t value) const { return value / unit % bin_count; }
  };
  static constexpr uint32_t kNoCell = ~uint32_t{0};
  // Sharing saves an addition a row and costs some a value of the cell, once for 8,191 rows at
  // most.
  static constexpr uint32_t kSharedBinsMax = 16;

  RowLayout() = default;
  // bin_counts: by feature, each at least 1. Cells are shared only if those of a byte are asked for
  // (then no count is above 256). sparse: features without a cell, ascending.
  RowLayout(std::span<const uint32_t> bin_counts, bool is_bytes,
            std::span<const uint32_t> sparse = {});

  size_t cell_count() const { return cells_.size(); }
  Place place(size_t feature) const { return places_[feature]; }
  // By ascending unit; one, where the cell is its own.
  std::span<const uint32_t> features(size_t cell) const { return cells_[cell].features; }
  // How many values the cell may have.
  uint32_t value_count(size_t cell) const { return cells_[cell].value_count; }

 private:
  struct Cell {
    std::vector<uint32_t> features;
    uint32_t value_count = 1;
  };
  std::vector<Cell> cells_;
  std::vector<Place> places_;  // by feature
};

}  // namespace evergrove::bins
