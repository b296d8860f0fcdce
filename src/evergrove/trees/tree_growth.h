// TreeGrowth: a tree while it grows, but for its rows: which nodes are expanded next (tree_walk.h),
// what is known of each, and the search for its best split.
//
// Whoever has the rows divides them, a batch of nodes at a time, and gives the histogram of each
// node's smaller child; the larger one's is what is left of its parent's.
//
//   TreeGrowth growth(place, tree_index, columns, gradients.wide, units, std::move(root), pool);
//   Status status = growth.grow(threads, [&](std::span<const uint32_t> batch) -> Status {
//     for (uint32_t id : batch) { ...; growth.take(id, std::move(histogram_of_small_child)); }
//     return {};
//   });
//   model::Tree tree = growth.tree(&leaf_ids);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/trees/growth_options.h"
#include "evergrove/trees/histogram.h"
#include "evergrove/trees/split.h"
#include "evergrove/trees/tree_walk.h"

namespace evergrove::trees {

class TreeGrowth {
 public:
  // What all trees of a run have in common; outlives the growth.
  struct Place {
    std::span<const uint32_t> offsets;  // BinMatrix::histogram_offsets()
    std::span<const model::Feature> features;
    const GrowthOptions* options;
  };
  // Splits the rows of these nodes, and calls take() or take_none() for each.
  using Expand = std::function<Status(std::span<const uint32_t> batch)>;

  // columns: of this tree, ascending, not empty. root: the histogram of all rows, over these.
  TreeGrowth(const Place& place, uint64_t tree_index, std::vector<uint32_t> columns, bool wide,
             const GradientUnits& units, std::unique_ptr<Histogram> root, HistogramPool& pool);
  TreeGrowth(const TreeGrowth&) = delete;
  TreeGrowth& operator=(const TreeGrowth&) = delete;
  ~TreeGrowth();

  // Grows to the end, or to expand's first failure, which it returns. parallel: how many nodes the
  // caller likes to have in a batch, at least.
  Status grow(size_t parallel, const Expand& expand);

  // For a node in a batch, whose children exist. Whether any of them may be split; else nobody asks
  // for their histograms.
  bool wants_histogram(uint32_t id) const;
  uint32_t small_child(uint32_t id) const;
  // The histogram of the small child. Different nodes' from different threads.
  void take(uint32_t id, std::unique_ptr<Histogram> small);
  void take_none(uint32_t id);

  const TreeWalk& walk() const { return walk_; }
  const TreeWalk::Node& node(uint32_t id) const { return walk_.node(id); }
  std::span<const uint32_t> columns() const { return columns_; }
  const GradientUnits& units() const { return search_.units; }
  bool is_wide() const { return wide_; }
  uint64_t round_count() const { return round_count_; }
  // The finished tree; `output` is left to the caller.
  model::Tree tree(std::vector<uint32_t>* leaf_ids) const {
    return walk_.tree(search_.features, search_.units, leaf_ids);
  }

 private:
  Split find_split(uint32_t id) const;
  Status grow_ordered(size_t parallel, const Expand& expand);
  Status grow_symmetric(const Expand& expand);
  Status expand_batch(std::vector<uint32_t>& batch, const Expand& expand);

  uint64_t tree_index_;
  std::vector<uint32_t> columns_;
  bool wide_;
  SplitSearch search_;
  TreeWalk walk_;
  std::deque<std::unique_ptr<Histogram>> histograms_;  // by the walk's ids; until expanded
  HistogramPool& pool_;
  uint64_t round_count_ = 0;
};

}  // namespace evergrove::trees
