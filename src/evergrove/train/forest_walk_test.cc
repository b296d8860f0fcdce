// Margins move by what the trees, walked one by one, move them by.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/forest_walk.h"

#include <gtest/gtest.h>

#include <array>

#include "evergrove/trees/testing_trees.h"

namespace evergrove::train {
namespace {

using Iterations = std::vector<std::vector<model::Tree>>;

RunHeader header_of(size_t cut_count, size_t groups, size_t outputs) {
  RunHeader header;
  for (size_t i = 0; i < groups; ++i) {
    for (model::Feature& feature : trees::features_of(cut_count)) {
      feature.name += std::to_string(i);
      header.features.push_back(std::move(feature));
    }
  }
  header.base_margins.assign(outputs, 11);
  return header;
}

Iterations random_iterations(const RunHeader& header, size_t count, bool has_categories,
                             trees::Dice& dice) {
  Iterations iterations(count);
  for (std::vector<model::Tree>& iteration : iterations) {
    for (uint32_t output = 0; output < header.base_margins.size(); ++output) {
      iteration.push_back(
          trees::random_tree(header.features, dice.below(40), has_categories, dice));
      iteration.back().output = output;
    }
  }
  return iterations;
}

std::vector<int64_t> one_by_one(const Iterations& iterations, const RunHeader& header,
                                const bins::BinMatrix& bins) {
  Margins margins(header.base_margins, bins.row_count());
  for (const auto& iteration : iterations) {
    for (const model::Tree& tree : iteration) {
      trees::BinnedTree::make(tree, header.features)->add(bins, {}, margins.of(tree.output));
    }
  }
  const auto all = margins.all();
  return {all.begin(), all.end()};
}

std::vector<int64_t> together(const Iterations& iterations, const RunHeader& header,
                              const bins::BinMatrix& bins) {
  Margins margins(header.base_margins, bins.row_count());
  const Status status = for_each_walk(
      iterations, header, [&](const ForestWalk& walk, auto /*batch*/) { walk.add(bins, margins); });
  EXPECT_TRUE(status.ok()) << status.message();
  const auto all = margins.all();
  return {all.begin(), all.end()};
}

TEST(ForestWalk, MovesMarginsAsTreesDo) {
  for (uint64_t seed = 0; seed < 36; ++seed) {
    trees::Dice dice(seed);
    // Two bytes a bin, one, and less than one.
    const RunHeader header =
        header_of(std::array{300, 60, 5}[seed % 3], seed % 4 == 0 ? 12 : 1, 1 + seed % 2 * 2);
    const size_t row_count = seed == 7 ? 0 : 1 + dice.below(20'000);
    bins::BinMatrix bins = trees::random_bins(header.features, row_count, seed % 4 == 0, dice);
    bins::BinMatrix rows_alone = bins;
    bins.build_rows();
    rows_alone.build_rows_alone();
    // Few trees, a batch, more than one.
    const size_t count = std::array{0, 3, 50, 600}[dice.below(4)];
    const Iterations iterations = random_iterations(header, count, seed % 5 != 0, dice);
    const auto expected = one_by_one(iterations, header, bins);
    EXPECT_EQ(together(iterations, header, bins), expected) << "seed " << seed;
    EXPECT_EQ(together(iterations, header, rows_alone), expected) << "seed " << seed;
  }
}

TEST(ForestWalk, BatchesHaveBoundsAndMissNothing) {
  trees::Dice dice(1);
  const RunHeader header = header_of(20, 1, 3);
  const Iterations iterations = random_iterations(header, 700, true, dice);
  std::span<const std::vector<model::Tree>> left = iterations;
  size_t batches = 0;
  for (; !left.empty(); ++batches) {
    const auto batch = ForestWalk::next_batch(left);
    ASSERT_FALSE(batch.empty());
    EXPECT_EQ(batch.data(), left.data());
    EXPECT_LE(batch.size() * 3, ForestWalk::kTreesMax);
    left = left.subspan(batch.size());
  }
  EXPECT_EQ(batches, 5);
  // One that is larger than a batch is to be goes alone.
  Iterations large(2);
  for (auto& iteration : large) {
    iteration.resize(1);
    iteration[0].nodes.resize(ForestWalk::kNodesMax + 1);
  }
  EXPECT_EQ(ForestWalk::next_batch(large).size(), 1);
}

TEST(ForestWalk, RefusesTreesThatDoNotFit) {
  trees::Dice dice(2);
  const RunHeader header = header_of(20, 1, 1);
  for (const size_t count : {1, 20}) {
    Iterations iterations = random_iterations(header, count, true, dice);
    iterations.back()[0].output = 1;
    EXPECT_EQ(ForestWalk::make(iterations, header).status().kind(), StatusKind::corrupt);
    iterations.back()[0] = trees::random_tree(header.features, 5, false, dice);
    ASSERT_TRUE(ForestWalk::make(iterations, header).ok());
    iterations.back()[0].nodes[0].threshold = 0.5;  // no cut
    EXPECT_EQ(ForestWalk::make(iterations, header).status().kind(), StatusKind::corrupt);
    iterations.back()[0].nodes[0].feature = 77;
    EXPECT_EQ(ForestWalk::make(iterations, header).status().kind(), StatusKind::corrupt);
  }
}

}  // namespace
}  // namespace evergrove::train
