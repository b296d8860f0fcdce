// Blocks: the features of a run in ranges of about equal numbers of bins, each owned by a worker.
//
// There are as many as members, up to 16: the more there are, the more is spent on each of them,
// and a member that owns several might as well own one. A function of the features and of how many
// are wanted alone, so that everybody has the same without being told.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/model/model.h"

namespace evergrove::cluster {

struct Block {
  uint32_t feature_begin = 0, feature_end = 0;
  uint32_t bin_begin = 0, bin_end = 0;
};

inline constexpr size_t kBlocksMax = 16;

// So many, or one a feature where there are fewer of them. Requires: features, and count > 0.
inline std::vector<Block> make_blocks(std::span<const model::Feature> features, size_t count) {
  count = std::min(count, features.size());
  uint64_t bins = 0;
  for (const model::Feature& feature : features) bins += feature.bin_count();
  std::vector<Block> blocks;
  Block block;
  for (uint32_t f = 0; f < features.size(); ++f) {
    block.feature_end = f + 1;
    block.bin_end += features[f].bin_count();
    const size_t features_left = features.size() - block.feature_end;
    const size_t blocks_left = count - blocks.size() - 1;
    const bool is_full = block.bin_end * count >= bins * (blocks.size() + 1);
    const bool ends =
        blocks_left == 0 ? features_left == 0 : is_full || features_left == blocks_left;
    if (!ends) continue;
    blocks.push_back(block);
    block.feature_begin = f + 1;
    block.bin_begin = block.bin_end;
  }
  return blocks;
}

}  // namespace evergrove::cluster
