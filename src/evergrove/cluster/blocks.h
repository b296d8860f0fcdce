// Blocks: the features of a run in ranges of about equal numbers of bins, each owned by a worker.
//
// A function of the features alone, so that everybody has the same without being told.
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

inline std::vector<Block> make_blocks(std::span<const model::Feature> features) {
  uint64_t bins = 0;
  for (const model::Feature& feature : features) bins += feature.bin_count();
  const uint64_t wanted = bins / std::min(features.size(), kBlocksMax);
  std::vector<Block> blocks;
  Block block;
  for (uint32_t f = 0; f < features.size(); ++f) {
    block.feature_end = f + 1;
    block.bin_end += features[f].bin_count();
    const bool full = block.bin_end - block.bin_begin >= wanted && blocks.size() + 1 < kBlocksMax;
    if (!full && f + 1 < features.size()) continue;
    blocks.push_back(block);
    block.feature_begin = f + 1;
    block.bin_begin = block.bin_end;
  }
  return blocks;
}

}  // namespace evergrove::cluster
