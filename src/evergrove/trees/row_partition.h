// RowPartition: the rows of a tree, arranged so that each node's rows are a run of them.
//
// A large node's rows are bits, one for each row there is: to split it a column is read from end to
// end, 64 rows at a time, and nothing is moved. Its rows are listed, with their gradients, when
// they are asked for. A smaller node's rows are listed, and moved when it is split.
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
#include <deque>
#include <memory>
#include <mutex>
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
  bool is_listed = true;  // else they are not written down
  int32_t bits = -1;      // which bits say what its rows are; -1: none; not listed: all rows

  bool is_all() const { return !is_listed && bits < 0; }
};

// Some rows of a leaf, all of them together with others of that value: a leaf that was expanded in
// vain is in pieces.
struct LeafRows {
  RowRun run;
  int64_t value = 0;
};

class RowPartition {
 public:
  explicit RowPartition(bool is_tight = false) : is_tight_(is_tight) {}

  // Starts a tree with all rows, or with these (ascending). Requires: the gradients stay as they
  // are until the run is split or listed.
  RowRun start_all(size_t row_count, const Gradients& gradients);
  RowRun start(std::span<const uint32_t> rows, const Gradients& gradients);

  // Splits a run; large ones in parallel. Returns the left and the right one. Bins are read by
  // column, or by row where the matrix has no columns.
  std::pair<RowRun, RowRun> split(const RowRun& run, const Split& split,
                                  const bins::BinMatrix& bins, bool numeric);

  // The same run, with its rows written down. Different runs may be listed at the same time.
  RowRun listed(const RowRun& run);
  // Adds each leaf's value to those of its rows (values are by row), in parallel. Requires: no row
  // is in two of them.
  void add(std::span<const LeafRows> leaves, std::span<int64_t> values) const;
  // Requires: the run is listed and was not split.
  std::span<const TreeRow> rows(const RowRun& run) const {
    return {slots_.data() + run.begin, run.count};
  }

 private:
  // Of nodes with so many times fewer rows than there are, the rows are listed.
  static constexpr size_t kListedShare = 6;

  template <typename RowAt>
  void fill(size_t row_count, const Gradients& gradients, const RowAt& row_at);
  void make_room(size_t row_count);
  template <typename Bin>
  std::pair<RowRun, RowRun> split_by(const RowRun& run, const Bin* column, size_t stride,
                                     std::span<const uint8_t> goes_left);
  template <typename Bin>
  std::pair<RowRun, RowRun> split_by_sparse(const RowRun& run, const bins::SparseColumn& column,
                                            size_t row_count, std::span<const uint8_t> goes_left);
  template <typename Bin>
  std::pair<RowRun, RowRun> split_tightly(const RowRun& run, const BinChoice<Bin>& choice);

  template <typename Bin>
  std::pair<RowRun, RowRun> split_bits(const RowRun& run, const BinChoice<Bin>& choice);
  RowRun listed_if_small(RowRun run);

  bool is_tight_;
  size_t row_count_ = 0;  // of which bits are
  // Bits for as many nodes as have some, and those that none has. Safe to use from many threads.
  class BitPool {
   public:
    void start(size_t row_count);  // none is in use
    int32_t take();
    void give_back(int32_t bits);
    uint64_t* words(int32_t bits);

   private:
    std::mutex mutex_;
    size_t word_count_ = 0;
    std::deque<LargeVector<uint64_t>> words_;
    std::vector<int32_t> free_;
  };
  std::unique_ptr<BitPool> bits_ = std::make_unique<BitPool>();
  LargeVector<TreeRow> slots_;  // twice as many as rows, or as many where it is tight
  const Gradients* gradients_ = nullptr;
};

}  // namespace evergrove::trees
