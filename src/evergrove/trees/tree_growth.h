// TreeGrowth: a tree while it grows, but for its rows: which nodes are expanded next (tree_walk.h),
// what is known of each, and the search for its best split.
//
// Whoever has the rows divides them, node by node or a batch of nodes at a time, and gives the
// histogram of each node's smaller child; the larger one's is what is left of its parent's. Some
// nodes are expanded in vain, before it is known whether the tree comes to them: node by node, as
// many as others are under way.
//
// Promise: the tree is the same whichever nodes are expanded in vain.
//
//   TreeGrowth growth(place, tree_index, columns, gradients.wide, units, std::move(root), pool);
//   growth.grow_by_node(threads, [&](const TreeGrowth::Expansion& expansion) {
//     ...; growth.take(expansion, std::move(histogram_of_small_child));
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
#include "evergrove/trees/row_partition.h"
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
  // What is kept of a node beside the walk.
  struct Item {
    std::unique_ptr<Histogram> histogram;  // until expanded
    RowRun run;                            // for who has all rows in one place; until split
  };
  // A node to expand, and its children.
  struct Expansion {
    uint32_t id, left_id, right_id;
    TreeWalk::Node *node, *left, *right;
    Item *item, *left_item, *right_item;
    bool may_split_left, may_split_right;
    size_t threads = 1;  // that have nothing else to do, this one among them

    // Whether any of the children may be split; else nobody asks for their histograms.
    bool wants_histogram() const { return may_split_left || may_split_right; }
    bool is_small_left() const { return 2 * node->split.left.count <= node->sums.count; }
    uint32_t small_id() const { return is_small_left() ? left_id : right_id; }
    const TreeWalk::Node& small() const { return is_small_left() ? *left : *right; }
    Item& small_item() const { return is_small_left() ? *left_item : *right_item; }
  };
  // Splits the rows of nodes, and calls take() or take_none() for each.
  using ExpandBatch = std::function<Status(std::span<const Expansion> batch)>;
  using ExpandNode = std::function<void(const Expansion& expansion)>;

  // columns: of this tree, ascending, not empty. root: the histogram of all rows, over these.
  TreeGrowth(const Place& place, uint64_t tree_index, std::vector<uint32_t> columns, bool wide,
             const GradientUnits& units, Item root, HistogramPool& pool);
  TreeGrowth(const TreeGrowth&) = delete;
  TreeGrowth& operator=(const TreeGrowth&) = delete;
  ~TreeGrowth();

  // Grows to the end, or to expand's first failure, which it returns. nodes_min: how many nodes the
  // caller likes to have in a batch, at least.
  Status grow_by_batch(size_t nodes_min, const ExpandBatch& expand);
  // Grows to the end with so many nodes under way at once, from different threads; beside others
  // only those of at least that gain, for below it they are likely to be expanded in vain.
  // (Symmetric growth has a level under way.)
  void grow_by_node(size_t under_way, double gain_min, const ExpandNode& expand);

  // The histogram of the small child; different nodes' from different threads.
  void take(const Expansion& expansion, std::unique_ptr<Histogram> small);
  void take_none(const Expansion& expansion);

  const TreeWalk& walk() const { return walk_; }
  const TreeWalk::Node& node(uint32_t id) const { return walk_.node(id); }
  const Item& item(uint32_t id) const { return items_[id]; }
  std::span<const uint32_t> columns() const { return columns_; }
  const GradientUnits& units() const { return search_.units; }
  bool is_wide() const { return wide_; }
  uint64_t round_count() const { return round_count_; }
  // Of the splits of the finished tree; 0 if it has none.
  double least_gain() const { return walk_.least_gain(); }
  // The finished tree; `output` is left to the caller.
  model::Tree tree(std::vector<uint32_t>* leaf_ids) const {
    return walk_.tree(search_.features, search_.units, leaf_ids);
  }

 private:
  class NodeByNode;

  struct Sought;

  std::vector<uint32_t> columns_of(const TreeWalk::Node& node) const;
  void find_root_split();
  size_t features_of_part(size_t threads) const;
  void search_part(Subtraction& large, std::span<Sought> sought, size_t part,
                   size_t part_features) const;
  Expansion expansion_of(uint32_t id);
  std::vector<Expansion> expansions_of(std::span<const uint32_t> ids);
  void tell_walk(const Expansion& expansion);
  Status grow_ordered(size_t nodes_min, const ExpandBatch& expand);
  Status grow_symmetric(const ExpandBatch& expand);

  uint64_t tree_index_;
  std::vector<uint32_t> columns_;
  bool wide_;
  std::vector<uint32_t> usual_bins_;
  SplitSearch search_;
  TreeWalk walk_;
  std::deque<Item> items_;  // by the walk's ids
  HistogramPool& pool_;
  uint64_t round_count_ = 0;
};

}  // namespace evergrove::trees
