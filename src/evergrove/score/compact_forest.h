// CompactForest: the trees of a model over a tile of codes, laid out for walking many rows at once.
//
// A tile holds the codes of up to tile_rows rows, column by column, each column tile_rows long. A
// node is 8 bytes (12 when codes need 32 bits): where its column starts in the tile, the largest
// code that goes left, and its left child; the right child is the next node. Leaves lead to
// themselves. Nodes that split on categories look a bit up as well.
// Immutable after construction; safe to use from many threads, each with its own Walk.
//
//   forest.walk(tree, tile, row_count, walk);
//   for (size_t row = 0; row < row_count; ++row) sum[row] += forest.value(tree, walk.places[row]);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/score/feature_coder.h"

namespace evergrove::score {

// Scratch of one thread.
struct Walk {
  std::vector<uint32_t> places;  // of each row: its node, counted from the tree's first
  std::vector<uint32_t> unfinished;
};

template <typename Code>
class CompactForest {
 public:
  static constexpr size_t kLanes = 8;  // rows that are walked in lock step

  // Whether the nodes of these trees can be told by this width of code.
  static bool can_hold(const model::Model& model, uint64_t code_max);

  // Requires: model::validate(model) is ok; coders and columns are by feature; tile_rows is a
  // multiple of kLanes.
  CompactForest(const model::Model& model, std::span<const FeatureCoder> coders,
                std::span<const FeatureColumns> columns, size_t tile_rows);

  size_t tree_count() const { return trees_.size(); }
  size_t output(size_t tree) const { return trees_[tree].output; }
  int64_t value(size_t tree, uint32_t place) const {
    return values_[trees_[tree].first_node + place];
  }
  // The index that the model has for the node.
  int32_t node_index(size_t tree, uint32_t place) const {
    return node_indices_[trees_[tree].first_node + place];
  }

  // Sets walk.places of the rows 0 to row_count - 1 to their leaves. Codes of the tile's rows after
  // those must be valid codes too.
  void walk(size_t tree, const Code* tile, size_t row_count, Walk& walk) const;

 private:
  struct NarrowNode {
    uint32_t column_start;
    uint16_t limit;
    uint16_t left;
  };
  struct WideNode {
    uint32_t column_start;
    uint32_t limit;
    uint32_t left;
  };
  using Node = std::conditional_t<sizeof(Code) <= 2, NarrowNode, WideNode>;
  struct Tree {
    size_t first_node = 0;
    uint32_t output = 0;
    uint32_t first_steps = 0;  // that are taken before any row is looked at
    bool has_categories = false;
  };

  void add_tree(const model::Tree& tree, std::span<const FeatureCoder> coders,
                std::span<const FeatureColumns> columns, size_t tile_rows);
  // Returns where the bits of a categorical node start: one a code, set for those that go right.
  uint32_t add_category_bits(const model::Node& node, const FeatureCoder& coder);
  template <bool kCategories>
  void walk_tree(const Tree& tree, const Code* tile, size_t row_count, Walk& walk) const;

  std::vector<Tree> trees_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> bit_starts_;  // by node; 0 for what is not categorical
  std::vector<int64_t> values_;
  std::vector<int32_t> node_indices_;
  // Starts with zeros for all codes, which numeric nodes and leaves look up in trees that have
  // categorical ones.
  std::vector<uint32_t> category_bits_;
};

}  // namespace evergrove::score
