// Eight rows take a step together, without a branch: the code's comparison is added to the place
// of the left child. That hides the latency of the loads, and there is nothing to mispredict.
//
// Leaves are not equally deep. All rows of a tile first take as many steps as most rows need; those
// that are not in a leaf by then are listed, take a few more, and the list is made shorter, until
// it is empty. Walking all rows to the depth of the deepest leaf took a sixth longer, and would
// take far longer in trees that are chains.
//
// Nodes are laid out level by level, so that the top of a tree, which all rows pass, is together.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/score/compact_forest.h"

#include <algorithm>
#include <limits>

#include "evergrove/base/check.h"

namespace evergrove::score {
namespace {

constexpr uint32_t kMoreSteps = 3;  // between two looks at the rows that are under way

// The nodes in order of their level, the two children of a node together.
std::vector<int32_t> level_order(const model::Tree& tree) {
  std::vector<int32_t> order{0};
  order.reserve(tree.nodes.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const model::Node& node = tree.nodes[order[i]];
    if (node.feature < 0) continue;
    order.push_back(node.left);
    order.push_back(node.right);
  }
  return order;
}

// How many steps bring about half of the leaves to their end, the tree's shape being all that is
// known of its rows.
uint32_t median_depth(const model::Tree& tree, std::span<const int32_t> order) {
  std::vector<uint32_t> depth(tree.nodes.size(), 0);
  std::vector<uint32_t> leaf_depths;
  for (int32_t index : order) {
    const model::Node& node = tree.nodes[index];
    if (node.feature < 0) {
      leaf_depths.push_back(depth[index]);
    } else {
      depth[node.left] = depth[node.right] = depth[index] + 1;
    }
  }
  return leaf_depths[leaf_depths.size() / 2];  // ascending, as levels are
}

}  // namespace

template <typename Code>
bool CompactForest<Code>::can_hold(const model::Model& model, uint64_t code_max) {
  if (code_max > std::numeric_limits<Code>::max()) return false;
  constexpr uint64_t kNodesMax = std::numeric_limits<decltype(Node::left)>::max();
  return std::all_of(model.trees.begin(), model.trees.end(),
                     [](const model::Tree& tree) { return tree.nodes.size() <= kNodesMax; });
}

template <typename Code>
CompactForest<Code>::CompactForest(const model::Model& model, std::span<const FeatureCoder> coders,
                                   std::span<const FeatureColumns> columns, size_t tile_rows) {
  uint64_t code_max = 0;
  for (const FeatureCoder& coder : coders) code_max = std::max(code_max, coder.code_max());
  category_bits_.resize(code_max / 32 + 1);
  for (const model::Tree& tree : model.trees) add_tree(tree, coders, columns, tile_rows);
}

template <typename Code>
uint32_t CompactForest<Code>::add_category_bits(const model::Node& node,
                                                const FeatureCoder& coder) {
  const size_t start = category_bits_.size();
  CHECK(start <= std::numeric_limits<uint32_t>::max());
  category_bits_.resize(start + coder.code_max() / 32 + 1, ~uint32_t{0});
  const auto send_left = [&](uint32_t code) {
    category_bits_[start + code / 32] &= ~(uint32_t{1} << code % 32);
  };
  for (uint32_t category : node.categories_left) send_left(category + 1);
  if (node.missing_left) send_left(0);
  return static_cast<uint32_t>(start);
}

template <typename Code>
void CompactForest<Code>::add_tree(const model::Tree& tree, std::span<const FeatureCoder> coders,
                                   std::span<const FeatureColumns> columns, size_t tile_rows) {
  using Limit = decltype(Node::limit);
  using Place = decltype(Node::left);
  const std::vector<int32_t> order = level_order(tree);
  Tree added;
  added.first_node = nodes_.size();
  added.output = tree.output;
  added.first_steps = median_depth(tree, order);
  size_t next_child = 1;
  for (size_t place = 0; place < order.size(); ++place) {
    const model::Node& from = tree.nodes[order[place]];
    Node to{0, std::numeric_limits<Limit>::max(), static_cast<Place>(place)};
    uint32_t bit_start = 0;
    if (from.feature >= 0) {
      const FeatureCoder& coder = coders[from.feature];
      int32_t column = columns[from.feature].lowest;
      if (!coder.is_numeric()) {
        bit_start = add_category_bits(from, coder);
        added.has_categories = true;
      } else {
        if (!from.missing_left) column = columns[from.feature].highest;
        to.limit = static_cast<Limit>(coder.limit(
            from.threshold, from.missing_left ? MissingCode::lowest : MissingCode::highest));
      }
      to.column_start = static_cast<uint32_t>(static_cast<size_t>(column) * tile_rows);
      to.left = static_cast<Place>(next_child);
      next_child += 2;
    }
    nodes_.push_back(to);
    bit_starts_.push_back(bit_start);
    values_.push_back(from.value);
    node_indices_.push_back(order[place]);
  }
  trees_.push_back(added);
}

template <typename Code>
template <bool kCategories>
void CompactForest<Code>::walk_tree(const Tree& tree, const Code* tile, size_t row_count,
                                    Walk& walk) const {
  const Node* nodes = nodes_.data() + tree.first_node;
  const uint32_t* bit_starts = bit_starts_.data() + tree.first_node;
  const uint32_t* category_bits = category_bits_.data();
  uint32_t* places = walk.places.data();
  uint32_t* unfinished = walk.unfinished.data();

  const auto next = [&](uint32_t place, size_t row) -> uint32_t {
    const Node& node = nodes[place];
    const uint32_t code = tile[node.column_start + row];
    const uint32_t right = code > node.limit ? 1 : 0;
    if constexpr (!kCategories) return node.left + right;
    const uint32_t bits = category_bits[bit_starts[place] + (code >> 5)];
    return node.left + (right | ((bits >> (code & 31)) & 1));
  };

  size_t unfinished_count = 0;
  for (size_t row = 0; row < row_count; row += kLanes) {
    uint32_t at[kLanes] = {};
    for (uint32_t step = 0; step < tree.first_steps; ++step) {
      for (size_t lane = 0; lane < kLanes; ++lane) at[lane] = next(at[lane], row + lane);
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      places[row + lane] = at[lane];
      unfinished[unfinished_count] = static_cast<uint32_t>(row + lane);
      unfinished_count += nodes[at[lane]].left != at[lane];
    }
  }
  while (unfinished_count > 0) {
    // The last group is filled up with a row that is walked twice, to the same end.
    for (size_t i = unfinished_count; i % kLanes != 0; ++i) {
      unfinished[i] = unfinished[unfinished_count - 1];
    }
    size_t kept = 0;
    for (size_t first = 0; first < unfinished_count; first += kLanes) {
      uint32_t at[kLanes];
      uint32_t row[kLanes];
      for (size_t lane = 0; lane < kLanes; ++lane) {
        row[lane] = unfinished[first + lane];
        at[lane] = places[row[lane]];
      }
      for (uint32_t step = 0; step < kMoreSteps; ++step) {
        for (size_t lane = 0; lane < kLanes; ++lane) at[lane] = next(at[lane], row[lane]);
      }
      const size_t count = std::min(kLanes, unfinished_count - first);
      for (size_t lane = 0; lane < count; ++lane) {
        places[row[lane]] = at[lane];
        unfinished[kept] = row[lane];
        kept += nodes[at[lane]].left != at[lane];
      }
    }
    unfinished_count = kept;
  }
}

template <typename Code>
void CompactForest<Code>::walk(size_t tree, const Code* tile, size_t row_count, Walk& walk) const {
  // Room for whole groups, and for writing one row too many.
  const size_t size = (row_count + kLanes - 1) / kLanes * kLanes + kLanes;
  if (walk.places.size() < size) {
    walk.places.resize(size);
    walk.unfinished.resize(size);
  }
  if (trees_[tree].has_categories) {
    walk_tree<true>(trees_[tree], tile, row_count, walk);
  } else {
    walk_tree<false>(trees_[tree], tile, row_count, walk);
  }
}

template class CompactForest<uint8_t>;
template class CompactForest<uint16_t>;
template class CompactForest<uint32_t>;

}  // namespace evergrove::score
