// Every row ends in the leaf that one that is walked by hand ends in.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/binned_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : key_(seed, "binned tree") {}
  uint64_t below(uint64_t limit) { return key_.at(counter_++) % limit; }

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
};

std::vector<model::Feature> features_of(size_t cut_count) {
  std::vector<model::Feature> features(3);
  for (size_t f = 0; f < 2; ++f) {
    features[f].name = f == 0 ? "a" : "b";
    for (size_t i = 0; i < cut_count; ++i) features[f].cuts.push_back(double(i));
  }
  features[2].name = "c";
  features[2].kind = table::ColumnKind::categorical;
  for (int i = 0; i < 5; ++i) features[2].categories.push_back(std::to_string(i));
  return features;
}

model::Tree random_tree(std::span<const model::Feature> features, size_t splits,
                        bool has_categories, Dice& dice) {
  model::Tree tree;
  tree.nodes.resize(1);
  std::vector<size_t> leaves = {0};
  for (size_t i = 0; i < splits; ++i) {
    const size_t place = dice.below(leaves.size());
    const size_t id = leaves[place];
    leaves.erase(leaves.begin() + static_cast<ptrdiff_t>(place));
    leaves.push_back(tree.nodes.size());
    leaves.push_back(tree.nodes.size() + 1);
    tree.nodes.resize(tree.nodes.size() + 2);
    model::Node& node = tree.nodes[id];
    node.feature = static_cast<int32_t>(dice.below(has_categories ? 3 : 2));
    node.left = static_cast<int32_t>(tree.nodes.size() - 2);
    node.right = node.left + 1;
    node.missing_left = dice.below(2) == 1;
    if (node.feature < 2) {
      const size_t cut = dice.below(features[0].cuts.size() + 1);
      node.threshold = cut < features[0].cuts.size() ? features[0].cuts[cut] : INFINITY;
    } else {
      for (uint32_t c = 0; c < 5; ++c) {
        if (dice.below(2) == 1) node.categories_left.push_back(c);
      }
    }
  }
  for (model::Node& node : tree.nodes) node.value = static_cast<int64_t>(dice.below(1'000'000));
  return tree;
}

int64_t by_hand(const model::Tree& tree, std::span<const model::Feature> features,
                std::span<const uint32_t> bins) {
  const model::Node* node = &tree.nodes[0];
  while (node->feature >= 0) {
    const uint32_t bin = bins[static_cast<size_t>(node->feature)];
    bool left = node->missing_left;
    if (bin > 0 && features[static_cast<size_t>(node->feature)].categories.empty()) {
      const auto& cuts = features[static_cast<size_t>(node->feature)].cuts;
      left = (bin <= cuts.size() ? cuts[bin - 1] : INFINITY) <= node->threshold;
    } else if (bin > 0) {
      left = std::count(node->categories_left.begin(), node->categories_left.end(), bin - 1) > 0;
    }
    node = &tree.nodes[static_cast<size_t>(left ? node->left : node->right)];
  }
  return node->value;
}

TEST(BinnedTree, LeadsEachRowToItsLeaf) {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    Dice dice(seed);
    const auto features = features_of(std::array{300, 20, 5}[seed % 3]);  // two bytes, one, less
    const size_t row_count = seed == 5 ? 0 : 1 + dice.below(5000);
    bins::BinMatrix bins(row_count, features);
    std::vector<std::vector<uint32_t>> rows(row_count);
    for (size_t row = 0; row < row_count; ++row) {
      for (size_t f = 0; f < 3; ++f) {
        rows[row].push_back(static_cast<uint32_t>(dice.below(features[f].bin_count())));
        if (bins.bin_bytes() == 1) bins.column<uint8_t>(f)[row] = uint8_t(rows[row][f]);
        if (bins.bin_bytes() == 2) bins.column<uint16_t>(f)[row] = uint16_t(rows[row][f]);
      }
    }
    bins.build_rows();
    const model::Tree tree = random_tree(features, seed * 3, seed % 2 == 0, dice);
    const auto binned = BinnedTree::make(tree, features);
    ASSERT_TRUE(binned.ok()) << binned.status().message();
    std::vector<uint8_t> excluded(seed % 4 == 0 ? row_count : 0);
    for (uint8_t& each : excluded) each = dice.below(3) == 0;
    std::vector<int64_t> margins(row_count, 7);
    binned->add(bins, excluded, margins);
    for (size_t row = 0; row < row_count; ++row) {
      const bool is_out = !excluded.empty() && excluded[row] != 0;
      ASSERT_EQ(margins[row], 7 + (is_out ? 0 : by_hand(tree, features, rows[row])))
          << "seed " << seed << ", row " << row;
    }
  }
}

TEST(BinnedTree, WalksSparseRowsAsOthers) {
  Dice dice(1);
  std::vector<model::Feature> features;
  for (int i = 0; i < 12; ++i) {
    for (const model::Feature& feature : features_of(60)) features.push_back(feature);
  }
  constexpr size_t kRows = 3000;
  bins::BinMatrix bins(kRows, features);
  for (size_t f = 0; f < features.size(); ++f) {
    for (size_t row = 0; row < kRows; ++row) {
      const bool is_usual = dice.below(40) != 0;
      bins.column<uint8_t>(f)[row] = is_usual ? 2 : uint8_t(dice.below(features[f].bin_count()));
    }
  }
  bins.build_rows();
  ASSERT_FALSE(bins.sparse().empty());
  bins::BinMatrix dense = bins;
  dense.build_rows_alone();
  ASSERT_TRUE(dense.sparse().empty());
  const auto binned = BinnedTree::make(random_tree(features, 60, true, dice), features);
  ASSERT_TRUE(binned.ok()) << binned.status().message();
  std::vector<int64_t> margins(kRows, 7);
  std::vector<int64_t> expected(kRows, 7);
  binned->add(bins, {}, margins);
  binned->add(dense, {}, expected);
  EXPECT_EQ(margins, expected);
  model::Tree leaf;
  leaf.nodes.emplace_back();
  leaf.nodes[0].value = 5;
  const auto binned_leaf = BinnedTree::make(leaf, features);
  ASSERT_TRUE(binned_leaf.ok()) << binned_leaf.status().message();
  binned_leaf->add(bins, {}, margins);
  for (size_t row = 0; row < kRows; ++row) ASSERT_EQ(margins[row], expected[row] + 5);
}

}  // namespace
}  // namespace evergrove::trees
