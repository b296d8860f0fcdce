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

}  // namespace evergrove::trees
