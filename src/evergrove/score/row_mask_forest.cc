// SPDX-License-Identifier: Apache-2.0
#include "evergrove/score/row_mask_forest.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace evergrove::score {
namespace {

uint32_t four_times(size_t byte) { return static_cast<uint32_t>(byte) * 0x01010101u; }

bool is_leaf(const model::Tree& tree, int32_t node) { return tree.nodes[node].feature < 0; }

bool split_alike(const model::Node& a, const model::Node& b) {
  return a.feature == b.feature && a.missing_left == b.missing_left && a.threshold == b.threshold &&
         a.categories_left == b.categories_left;
}

// A node of each way to split that there is in the tree, if there are few.
std::optional<std::vector<int32_t>> ways_to_split(const model::Tree& tree, size_t count_max) {
  std::vector<int32_t> ways;
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    const model::Node& node = tree.nodes[i];
    const bool is_known =
        node.feature < 0 || std::any_of(ways.begin(), ways.end(), [&](int32_t way) {
          return split_alike(tree.nodes[way], node);
        });
    if (is_known) continue;
    if (ways.size() == count_max) return std::nullopt;
    ways.push_back(static_cast<int32_t>(i));
  }
  return ways;
}

// The first leaf (from left to right) under each node, by node; and the leaves.
struct LeafOrder {
  explicit LeafOrder(const model::Tree& tree) : first(tree.nodes.size(), 0) {
    std::vector<int32_t> open = {0};
    while (!open.empty()) {
      const int32_t node = open.back();
      open.pop_back();
      first[node] = leaves.size();
      if (is_leaf(tree, node)) {
        leaves.push_back(node);
      } else {
        open.push_back(tree.nodes[node].right);
        open.push_back(tree.nodes[node].left);
      }
    }
  }
  std::vector<size_t> first;
  std::vector<int32_t> leaves;
};

}  // namespace

struct RowMaskForest::Builder {
  RowMaskForest& forest;
  std::span<const FeatureCoder> coders;
  std::span<const FeatureColumns> columns;
  size_t column_count, tile_rows;

  // ways: ways_to_split(tree, kMaskWaysMax)
  bool add_tree(const model::Tree& tree, const std::optional<std::vector<int32_t>>& ways);
  void add_ways(const model::Tree& tree, std::span<const int32_t> ways, MaskTree& to);
  void add_nodes(const model::Tree& tree, MaskTree& to);
  MaskNode node_of(const model::Node& from, MaskTree& to);
  void add_values(std::span<const int64_t> values, uint32_t output, MaskTree& to);
};

// Where its codes are and above which one rows go right.
MaskNode RowMaskForest::Builder::node_of(const model::Node& from, MaskTree& to) {
  const FeatureCoder& coder = coders[from.feature];
  const FeatureColumns& wanted = columns[from.feature];
  const auto start = [&](size_t column) { return static_cast<uint32_t>(column * tile_rows); };
  MaskNode node;
  if (coder.is_numeric()) {
    const bool is_lowest = from.missing_left;
    node.column_start = start(static_cast<size_t>(is_lowest ? wanted.lowest : wanted.highest));
    node.limit = four_times(
        coder.limit(from.threshold, is_lowest ? MissingCode::lowest : MissingCode::highest));
    return node;
  }
  std::vector<uint8_t>& bits = forest.tables_.category_bits;
  MaskCategories categories;
  categories.from = start(static_cast<size_t>(wanted.lowest));
  categories.to = node.column_start = start(column_count + to.categories_count);
  categories.table = static_cast<uint32_t>(bits.size());
  bits.resize(bits.size() + 32, 255);
  const auto send_left = [&](size_t code) {
    bits[categories.table + code / 8] &= static_cast<uint8_t>(~(1u << code % 8));
  };
  for (const uint32_t category : from.categories_left) send_left(category + 1);
  if (from.missing_left) send_left(0);
  forest.tables_.categories.push_back(categories);
  ++to.categories_count;
  return node;
}

void RowMaskForest::Builder::add_values(std::span<const int64_t> values, uint32_t output,
                                        MaskTree& to) {
  MaskTables& tables = forest.tables_;
  to.leaf_count = static_cast<uint16_t>(values.size());
  if (values.size() > kTableLeaves) {
    to.first_value = static_cast<uint32_t>(tables.values.size());
    tables.values.insert(tables.values.end(), values.begin(), values.end());
    return;
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  forest.least_[output] = wrapping_sum(forest.least_[output], *least);
  const uint64_t range = static_cast<uint64_t>(*most) - static_cast<uint64_t>(*least);
  to.first_value = static_cast<uint32_t>(tables.value_digits.size());
  const uint64_t digit_max = (uint64_t{1} << tables.digit_bits) - 1;
  for (int shift = 0; shift < 64 && range >> shift != 0; shift += tables.digit_bits) {
    ++to.plane_count;
    for (const int64_t value : values) {
      const uint64_t above = static_cast<uint64_t>(value) - static_cast<uint64_t>(*least);
      tables.value_digits.push_back(static_cast<uint8_t>(above >> shift & digit_max));
    }
    tables.value_digits.resize(to.first_value + to.plane_count * kTableLeaves);
  }
}

// A bit of a leaf's number says which way the rows go at all nodes that split so; what a row's
// leaf does not depend on may be either.
void RowMaskForest::Builder::add_ways(const model::Tree& tree, std::span<const int32_t> ways,
                                      MaskTree& to) {
  for (size_t way = 0; way < ways.size(); ++way) {
    MaskNode node = node_of(tree.nodes[ways[way]], to);
    node.step = four_times(size_t{1} << way);
    forest.tables_.nodes.push_back(node);
  }
  to.has_few_ways = true;
  to.node_count = static_cast<uint16_t>(ways.size());
  // Filled up to as many as the table has, with what nothing goes right of.
  for (; to.node_count < kTableWays; ++to.node_count) {
    MaskNode none = ways.empty() ? MaskNode() : forest.tables_.nodes.back();
    none.limit = four_times(255);
    forest.tables_.nodes.push_back(none);
  }
  const auto goes_right = [&](size_t number, const model::Node& node) {
    size_t way = 0;
    while (!split_alike(tree.nodes[ways[way]], node)) ++way;
    return (number >> way & 1) != 0;
  };
  std::vector<int64_t> values(size_t{1} << ways.size());
  for (size_t number = 0; number < values.size(); ++number) {
    int32_t at = 0;
    while (!is_leaf(tree, at)) {
      const model::Node& node = tree.nodes[at];
      at = goes_right(number, node) ? node.right : node.left;
    }
    values[number] = tree.nodes[at].value;
  }
  add_values(values, tree.output, to);
}

void RowMaskForest::Builder::add_nodes(const model::Tree& tree, MaskTree& to) {
  const LeafOrder order(tree);
  std::vector<int32_t> inner;  // level by level, those first that lead to another
  std::vector<int32_t> last;
  std::vector<int32_t> open = {0};
  for (size_t i = 0; i < open.size(); ++i) {
    const model::Node& node = tree.nodes[open[i]];
    const bool is_last = is_leaf(tree, node.left) && is_leaf(tree, node.right);
    (is_last ? last : inner).push_back(open[i]);
    for (const int32_t child : {node.left, node.right}) {
      if (!is_leaf(tree, child)) open.push_back(child);
    }
  }
  to.branch_count = static_cast<uint16_t>(inner.size());
  inner.insert(inner.end(), last.begin(), last.end());
  to.node_count = static_cast<uint16_t>(inner.size());
  std::vector<uint16_t> place(tree.nodes.size(), to.node_count);  // of a leaf: behind all
  for (size_t i = 0; i < inner.size(); ++i) place[inner[i]] = static_cast<uint16_t>(i);
  for (const int32_t index : inner) {
    const model::Node& from = tree.nodes[index];
    MaskNode node = node_of(from, to);
    node.step = four_times(order.first[from.left] ^ order.first[from.right]);
    node.left = place[from.left];
    node.right = place[from.right];
    forest.tables_.nodes.push_back(node);
  }
  std::vector<int64_t> values;
  for (const int32_t leaf : order.leaves) values.push_back(tree.nodes[leaf].value);
  add_values(values, tree.output, to);
}

bool RowMaskForest::Builder::add_tree(const model::Tree& tree,
                                      const std::optional<std::vector<int32_t>>& ways) {
  const size_t leaves_max = std::min(kMaskLeavesMax, 4 * mask_lanes());
  MaskTree to;
  to.first_node = static_cast<uint32_t>(forest.tables_.nodes.size());
  to.first_categories = static_cast<uint32_t>(forest.tables_.categories.size());
  const size_t leaf_count = tree.nodes.size() / 2 + 1;
  if (ways && size_t{1} << ways->size() <= leaves_max) {
    add_ways(tree, *ways, to);
  } else if (leaf_count <= leaves_max) {
    add_nodes(tree, to);
  } else {
    return false;
  }
  forest.own_columns_ = std::max<size_t>(forest.own_columns_, to.categories_count);
  forest.trees_[tree.output].push_back(to);
  return true;
}

RowMaskForest::RowMaskForest(const model::Model& model, std::span<const FeatureCoder> coders,
                             std::span<const FeatureColumns> columns, size_t column_count,
                             size_t tile_rows)
    : trees_(model.output_count()), least_(model.output_count()) {
  Builder builder{*this, coders, columns, column_count, tile_rows};
  std::vector<std::optional<std::vector<int32_t>>> ways;  // by tree
  size_t few_ways = 0;
  for (const model::Tree& tree : model.trees) {
    ways.push_back(ways_to_split(tree, kMaskWaysMax));
    few_ways += ways.back() && ways.back()->size() <= kTableWays ? 1 : 0;
  }
  tables_.digit_bits = mask_digit_bits(2 * few_ways > model.trees.size());
  for (size_t i = 0; i < model.trees.size(); ++i) {
    has_.push_back(builder.add_tree(model.trees[i], ways[i]));
  }
  // Sums are whole numbers: trees may come in any order.
  for (std::vector<MaskTree>& trees : trees_) {
    std::stable_sort(trees.begin(), trees.end(), [](const MaskTree& a, const MaskTree& b) {
      const auto kind = [](const MaskTree& tree) {
        return std::tuple(tree.is_small(), tree.categories_count == 0, tree.plane_count);
      };
      return kind(a) > kind(b);
    });
  }
}

void RowMaskForest::add(uint8_t* tile, size_t row_count, int64_t* sums,
                        MaskScratch& scratch) const {
  const size_t outputs = trees_.size();
  for (size_t output = 0; output < outputs; ++output) {
    for (size_t row = 0; row < row_count; ++row) {
      int64_t& sum = sums[row * outputs + output];
      sum = wrapping_sum(sum, least_[output]);
    }
    if (trees_[output].empty()) continue;
    add_mask_trees(tables_, trees_[output], tile, row_count, sums + output, outputs, scratch);
  }
}

}  // namespace evergrove::score
