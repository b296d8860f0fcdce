// RowLayout: which cell of a row holds which feature's bin.
//
// A row is a run of cells. A feature of more than 16 bins has a cell of its own, which holds its
// bin. Bundles of smaller ones (bundles.h) share a cell as far as they fit: its value has one digit
// a bundle. So a row of flags and small categories is short, and a histogram takes one addition for
// all that share a cell; what each of them has is the sum over the others, which is exact. Sparse
// features have no cell (sparse_bins.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/bins/bundles.h"

namespace evergrove::bins {

class RowLayout {
 public:
  static constexpr uint32_t kNoCell = ~uint32_t{0};
  // A part of a shared cell's value: value / unit % count. 0: the usual bins of all members; of a
  // member, the digits from its start on are its other bins, in their order.
  struct Digit {
    struct Member {
      uint32_t feature;
      uint32_t start;
      uint8_t usual_bin;
      std::vector<uint8_t> other_bins;
      bool operator==(const Member&) const = default;
    };
    uint32_t unit = 1;
    uint32_t count = 1;
    std::vector<Member> members;
    bool operator==(const Digit&) const = default;
  };

  RowLayout() = default;
  // bin_counts: by feature, each at least 1. Features of no bundle have cells of their own, but for
  // sparse ones. Requires: features of bundles have kSharedBinsMax bins at most and are not sparse.
  RowLayout(std::span<const uint32_t> bin_counts, std::span<const Bundle> bundles,
            std::span<const uint32_t> sparse = {});

  size_t cell_count() const { return cells_.size(); }
  // Of a feature: its cell, or kNoCell.
  uint32_t cell(size_t feature) const { return places_[feature].cell; }
  bool is_shared(size_t cell) const { return !cells_[cell].digits.empty(); }
  // Of a cell that is not shared.
  uint32_t feature(size_t cell) const { return cells_[cell].feature; }
  // Of a cell that is shared, by ascending unit.
  std::span<const Digit> digits(size_t cell) const { return cells_[cell].digits; }
  // How many values the cell may have.
  uint32_t value_count(size_t cell) const { return cells_[cell].value_count; }

  // The feature's bin where its cell has that value.
  uint32_t bin(size_t feature, uint32_t value) const;
  // Of a feature in a shared cell: by its bin, what it adds to the cell's value.
  std::vector<uint8_t> steps(size_t feature) const;

  bool operator==(const RowLayout&) const = default;

 private:
  struct Cell {
    uint32_t feature = 0;
    uint32_t value_count = 1;
    std::vector<Digit> digits;
    bool operator==(const Cell&) const = default;
  };
  struct Place {
    uint32_t cell = kNoCell;
    uint32_t digit = 0;
    uint32_t member = 0;
    bool operator==(const Place&) const = default;
  };
  void share(const Bundle& bundle);

  std::vector<Cell> cells_;
  std::vector<Place> places_;  // by feature
};

}  // namespace evergrove::bins
