// Every row ends in the leaf that one that is walked by hand ends in.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/binned_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "evergrove/trees/testing_trees.h"

namespace evergrove::trees {
namespace {

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
    bins::BinMatrix bins = random_bins(features, row_count, false, dice);
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
      const std::array bins_of_row = {bins.bin(row, 0), bins.bin(row, 1), bins.bin(row, 2)};
      ASSERT_EQ(margins[row], 7 + (is_out ? 0 : by_hand(tree, features, bins_of_row)))
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
  bins::BinMatrix bins = random_bins(features, kRows, true, dice);
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
