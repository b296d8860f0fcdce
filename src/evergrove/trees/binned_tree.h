// BinnedTree: a model's tree over the bins of a matrix, to walk rows that were not in a leaf's run
// (left out by sampling, of validation sets, of a run that is resumed).
//
// Promise: a row ends in the leaf that scoring its raw values would end in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/model/model.h"

namespace evergrove::trees {

class BinnedTree {
 public:
  // Refuses a tree whose thresholds are not cuts of the features, as corrupt.
  static Result<BinnedTree> make(const model::Tree& tree, std::span<const model::Feature> features);

  // Adds the value of each row's leaf to its margin, for all rows of the matrix, or for those with
  // excluded[row] == 0 when it is not empty. In parallel.
  void add(const bins::BinMatrix& bins, std::span<const uint8_t> excluded,
           std::span<int64_t> margins) const;

 private:
  // A leaf leads to itself, whatever the row.
  struct Node {
    uint64_t feature = 0;  // of a Walk: how far from a row's beginning its bin lies
    uint32_t first = 0;    // numeric: bins first, first + 1, ..., first + span go left
    uint32_t span = 0;
    int32_t table = -1;  // categorical: where its table starts; -1: numeric
    uint32_t left = 0, right = 0;
  };
  // The nodes as they are for the rows of one matrix.
  struct Walk {
    std::vector<Node> nodes;
    std::vector<uint8_t> tables;
    // The features of nodes, where rows are gone along by column: kBlockRows of each, one after the
    // other. Empty: by row.
    std::vector<uint32_t> columns;
  };
  static constexpr size_t kBlockRows = 4096;
  bool goes_left(const Node& node, uint32_t bin) const;
  Walk walk_of(const bins::BinMatrix& bins) const;
  template <typename Bin, bool kTables>
  void add_rows(const Walk& walk, const bins::BinMatrix& bins, std::span<const uint8_t> excluded,
                std::span<int64_t> margins) const;
  template <typename Bin, bool kTables>
  void add_block(const Walk& walk, const bins::BinMatrix& bins, size_t first_row, size_t row_count,
                 std::span<const uint8_t> excluded, std::span<int64_t> margins) const;

  std::vector<Node> nodes_;
  std::vector<int64_t> values_;  // of leaves, by node
  std::vector<uint8_t> tables_;
};

}  // namespace evergrove::trees
