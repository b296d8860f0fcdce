// RowPartition: the rows of a tree, arranged so that each node's rows are a run of them.
//
// Beside each run there is room for as many rows. A run is split into what it occupies and its
// room, so that no row is moved twice, and its children divide both: it is gone then, and its rows
// are those of its children. A tight partition takes half of the memory: a run is split in its
// place, by one thread, and its rights are moved twice.
//
// Promise: within a node, rows stay in ascending order, so that walking them walks memory forward.
// Different runs may be split at the same time from different threads.
//
//   RowRun root = partition.start_all(row_count, gradients);
//   auto [left, right] = partition.split(root, split, bins, is_numeric);
//   for (const TreeRow& row : partition.rows(left)) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/trees/gradients.h"
#include "evergrove/trees/partition_kernel.h"
#include "evergrove/trees/split.h"

namespace evergrove::trees {

struct RowRun {
  size_t begin = 0;
  size_t count = 0;
  size_t room = 0;        // where there is room for as many
  bool is_listed = true;  // else it is all rows, and they are not written down
};

class RowPartition {
 public:
  explicit RowPartition(bool is_tight = false) : is_tight_(is_tight) {}

  // Starts a tree with all rows, or with these (ascending). Requires: the gradients stay as they
  // are until the run is split or listed.
  RowRun start_all(size_t row_count, const Gradients& gradients);
  RowRun start(std::span<const uint32_t> rows, const Gradients& gradients);

  // Whether the split's counts are those of the run's rows, as where nobody else has some of them.
  enum class Counts : uint8_t { are_of_the_run, are_of_more };

  // Splits a run; large ones in parallel. Returns the left and the right one. Bins are read by
  // column, or by row where the matrix has no columns.
  std::pair<RowRun, RowRun> split(const RowRun& run, const Split& split,
                                  const bins::BinMatrix& bins, bool numeric,
                                  Counts counts = Counts::are_of_more);

  // The same run, with its rows written down.
  RowRun listed(const RowRun& run);
  // Requires: the run is listed and was not split.
  std::span<const TreeRow> rows(const RowRun& run) const {
    return {slots_.data() + run.begin, run.count};
  }

 private:
  template <typename RowAt>
  void fill(size_t row_count, const Gradients& gradients, const RowAt& row_at);
  void make_room(size_t row_count);
  template <typename Bin>
  std::pair<RowRun, RowRun> split_by(const RowRun& run, const Bin* column, size_t stride,
                                     std::span<const uint8_t> goes_left,
                                     std::optional<size_t> left_count);
  template <typename Bin>
  std::pair<RowRun, RowRun> split_by_two(const RowRun& run, const RowSource& source,
                                         const BinChoice<Bin>& choice, size_t left_count);
  template <typename Bin>
  std::pair<RowRun, RowRun> split_tightly(const RowRun& run, const RowSource& source,
                                          const BinChoice<Bin>& choice);

  bool is_tight_;
  LargeVector<TreeRow> slots_;  // twice as many as rows, or as many where it is tight
  const Gradients* gradients_ = nullptr;
};

}  // namespace evergrove::trees
