// Blocks cover all features in their order, as many as are wanted, with about as many bins each.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/blocks.h"

#include <gtest/gtest.h>

#include "evergrove/base/hash.h"

namespace evergrove::cluster {
namespace {

std::vector<model::Feature> features_of(const std::vector<uint32_t>& cut_counts) {
  std::vector<model::Feature> features;
  for (uint32_t count : cut_counts) {
    model::Feature& feature = features.emplace_back();
    for (uint32_t cut = 0; cut < count; ++cut) feature.cuts.push_back(cut);
  }
  return features;
}

TEST(Blocks, CoverAllFeaturesAndAreAsManyAsAreWanted) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const RandomKey key(seed, "blocks");
    std::vector<uint32_t> cut_counts;
    for (uint64_t f = 0; f < 1 + seed % 40; ++f) {
      cut_counts.push_back(static_cast<uint32_t>(key.at(f) % (seed % 3 == 0 ? 2 : 255)));
    }
    const std::vector<model::Feature> features = features_of(cut_counts);
    for (size_t count = 1; count <= kBlocksMax; ++count) {
      const std::vector<Block> blocks = make_blocks(features, count);
      ASSERT_EQ(blocks.size(), std::min(count, features.size()));
      uint32_t feature = 0, bin = 0;
      for (const Block& block : blocks) {
        EXPECT_EQ(block.feature_begin, feature);
        EXPECT_EQ(block.bin_begin, bin);
        EXPECT_LT(block.feature_begin, block.feature_end);
        for (; feature < block.feature_end; ++feature) bin += features[feature].bin_count();
        EXPECT_EQ(block.bin_end, bin);
      }
      EXPECT_EQ(feature, features.size());
    }
  }
}

TEST(Blocks, HaveAboutAsManyBinsEach) {
  const std::vector<Block> blocks = make_blocks(features_of(std::vector<uint32_t>(28, 254)), 4);
  for (const Block& block : blocks) EXPECT_EQ(block.feature_end - block.feature_begin, 7u);
  // One large feature does not leave the last blocks empty.
  const std::vector<Block> uneven = make_blocks(features_of({1, 1, 1, 5000, 1, 1}), 5);
  EXPECT_EQ(uneven.size(), 5u);
  EXPECT_EQ(uneven.back().feature_end, 6u);
}

}  // namespace
}  // namespace evergrove::cluster
