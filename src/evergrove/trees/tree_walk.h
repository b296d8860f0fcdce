// TreeWalk: the order in which a tree grows, from the best split of each node.
//
// It holds every node that exists, in the tree or not, and walks over them: the best leaf is split,
// its children join. It keeps the order in which it would take those that are known, as far as
// somebody asked, and puts new ones into their places, so that a question costs next to nothing
// when many threads ask. Which nodes are expanded, and when, is the caller's affair: next_batch()
// proposes those that the walk would come to if no node unknown so far were to matter, more of them
// than it is yet sure to need. Several batches may be under way at once, and the tree is the same
// whatever was proposed, because the walk goes on only where it knows both children.
//
// Promise: the tree is a function of the nodes' splits and the options alone.
// One owner, one thread at a time; nodes stay where they are while others are added.
//
//   TreeWalk walk(options, root_sums);
//   walk.set_split(0, best_split_of_root);
//   while (!walk.finished()) {
//     for (uint32_t id : walk.next_batch(8)) { ...; walk.set_split(walk.node(id).left, ...); ... }
//   }
//   model::Tree tree = walk.tree(features, units);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/trees/growth_options.h"
#include "evergrove/trees/histogram.h"
#include "evergrove/trees/split.h"

namespace evergrove::trees {

class TreeWalk {
 public:
  struct Node {
    Sums sums;
    uint32_t depth = 0;
    uint64_t path = 1;  // hash of the way from the root; the same in whatever order nodes are made
    Split split;
    bool is_known = false;          // split is the node's best one, or there is none
    uint32_t parent = 0;            // the root's is itself
    int32_t left = -1, right = -1;  // children, once it is in a batch
    bool taken = false;             // split in the tree

    bool in_batch() const { return left >= 0; }
  };

  TreeWalk(const GrowthOptions& options, const Sums& root);

  // Whether a node could be split at all; of one that cannot the split need not be searched.
  bool may_split(uint32_t id) const;
  // Says a node's best split (not found(): it stays a leaf). Requires: it was not said before.
  void set_split(uint32_t id, Split split);

  // The leaves to expand next, in the order in which the walk is likely to need them; their
  // children exist from now on. Empty: finished, or the walk waits for what is under way and
  // nothing else promises to be of the tree. parallel: how many the caller likes to have at once,
  // at least; window: how many batches it has under way, which share what is tried early.
  // gain_min: leaves that promise less are left out.
  std::vector<uint32_t> next_batch(size_t parallel, size_t window = 1, double gain_min = 0);
  bool finished();
  // For who chooses himself: the leaves that next_batch() would choose among, `count` at most, in
  // that order. The first sure_count of them are all but sure to be of the tree, if it will leave
  // out what the tree before did (gain_left). Of those that he takes the children exist after
  // expand().
  struct Ahead {
    std::vector<uint32_t> nodes;
    size_t sure_count = 0;
  };
  Ahead ahead(size_t count, double gain_left, double gain_min = 0);
  void expand(std::span<const uint32_t> ids);

  // Symmetric growth: splits nodes of a level (ascending), each by its own split, for good, where
  // one was found and the tree has room for another leaf. Returns those; their children exist.
  std::vector<uint32_t> take_level(std::span<const uint32_t> nodes, std::vector<Split> splits);
  // The nodes that the next level's split is sought for, ascending: those that stayed leaves, and
  // the children of the others that may be split.
  std::vector<uint32_t> next_level(std::span<const uint32_t> nodes) const;

  Node& node(uint32_t id) { return nodes_[id]; }
  const Node& node(uint32_t id) const { return nodes_[id]; }
  size_t node_count() const { return nodes_.size(); }
  size_t leaf_count() const { return 1 + taken_count_; }
  uint64_t expanded_count() const { return expanded_count_; }
  // Of the nodes taken; 0 if there are none.
  double least_gain() const;
  // Of the split that would follow if the finished tree had room for it; 0 if there is none.
  double gain_left() const;

  // The tree of the nodes taken; leaf_ids, if given, are the nodes that are its leaves, in the
  // order of the tree's own. `output` is left to the caller.
  model::Tree tree(std::span<const model::Feature> features, const GradientUnits& units,
                   std::vector<uint32_t>* leaf_ids = nullptr) const;

 private:
  void advance();
  bool knows_children(const Node& node) const;
  bool after(uint32_t a, uint32_t b) const;
  void add_children(uint32_t id);
  void come_later(uint32_t id);
  void join(uint32_t parent);
  bool comes_to(size_t place);

  GrowthOptions options_;
  std::deque<Node> nodes_;
  // As the walk takes them if nodes that are not known have no children; the first taken_count_ it
  // has taken.
  std::vector<uint32_t> order_;
  size_t taken_count_ = 0;
  // A heap: leaves of the tree that all of order_ make, which come after them.
  std::vector<uint32_t> later_;
  uint64_t expanded_count_ = 0;
};

}  // namespace evergrove::trees
