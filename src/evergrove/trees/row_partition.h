// RowPartition: the rows of a tree, arranged so that each node's rows are a run of them.
//
// Promise: within a node, rows stay in ascending order, so that walking them walks memory forward.
// Runs of different nodes may be split at the same time from different threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/trees/gradients.h"
#include "evergrove/trees/split.h"

namespace evergrove::trees {

class RowPartition {
 public:
  // Starts a tree with these rows (ascending) in one run.
  void start_all(size_t row_count, const Gradients& gradients);
  void start(std::span<const uint32_t> rows, const Gradients& gradients);

  // Rearranges rows [begin, end) by the split; large runs in parallel. Returns how many go left.
  size_t split(size_t begin, size_t end, const Split& split, const bins::BinMatrix& bins,
               bool numeric);

  std::span<const TreeRow> rows(size_t begin, size_t end) const {
    return {rows_.data() + begin, end - begin};
  }
  size_t size() const { return rows_.size(); }

 private:
  template <typename RowAt>
  void fill(size_t row_count, const Gradients& gradients, const RowAt& row_at);
  template <typename Bin>
  size_t split_by(size_t begin, size_t end, const Bin* column, std::span<const uint8_t> goes_left);

  LargeVector<TreeRow> rows_;
  LargeVector<TreeRow> buffer_;
};

}  // namespace evergrove::trees
