// Which columns a tree, a level or a node may split on: a choice by hash, never by a stream.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/trees/growth_options.h"

namespace evergrove::trees {

// Returns the round(fraction * n) columns, at least one, with the smallest hashes; ascending.
inline std::vector<uint32_t> sample_columns(std::span<const uint32_t> columns, double fraction,
                                            const RandomKey& key) {
  std::vector<uint32_t> chosen(columns.begin(), columns.end());
  if (fraction >= 1 || chosen.size() <= 1) return chosen;
  const auto size = std::clamp<size_t>(
      static_cast<size_t>(std::nearbyint(fraction * double(columns.size()))), 1, columns.size());
  std::vector<std::pair<uint64_t, uint32_t>> hashed;
  for (uint32_t column : columns) hashed.emplace_back(key.at(column), column);
  std::sort(hashed.begin(), hashed.end());
  chosen.resize(size);
  for (size_t i = 0; i < size; ++i) chosen[i] = hashed[i].second;
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// The columns of a tree, out of all.
inline std::vector<uint32_t> tree_columns(size_t column_count, const GrowthOptions& options,
                                          uint64_t tree_index) {
  std::vector<uint32_t> all(column_count);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  return sample_columns(all, options.columns_by_tree,
                        RandomKey(options.seed, "colsample_bytree", tree_index));
}

// Those of a node, out of its tree's.
inline std::vector<uint32_t> node_columns(std::span<const uint32_t> of_tree,
                                          const GrowthOptions& options, uint64_t tree_index,
                                          uint32_t depth, uint64_t path) {
  const std::vector<uint32_t> of_level =
      sample_columns(of_tree, options.columns_by_level,
                     RandomKey(options.seed, "colsample_bylevel", mix64(tree_index) + depth));
  return sample_columns(of_level, options.columns_by_node,
                        RandomKey(options.seed, "colsample_bynode", mix64(tree_index) + path));
}

// Those of a level of a symmetric tree, out of the tree's.
inline std::vector<uint32_t> level_columns(std::span<const uint32_t> of_tree,
                                           const GrowthOptions& options, uint64_t tree_index,
                                           uint32_t depth) {
  return sample_columns(of_tree, options.columns_by_level * options.columns_by_node,
                        RandomKey(options.seed, "colsample_bylevel", mix64(tree_index) + depth));
}

}  // namespace evergrove::trees
