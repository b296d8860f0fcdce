// Tiles of rows, so that a tile's rows stay in the cache while all columns pass by.
//
//   for_each_tile(row_count, [&](size_t first, size_t last) { ... });
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>

#include "evergrove/base/phase.h"

namespace evergrove::bins {

inline constexpr size_t kTileRows = 256;

// Calls back with each tile's first row and the one after its last, in parallel.
template <typename Visit>
void for_each_tile(size_t row_count, const Visit& visit) {
  const size_t tile_count = (row_count + kTileRows - 1) / kTileRows;
  tbb::parallel_for(tbb::blocked_range<size_t>(0, tile_count, 16), [&](const auto& range) {
    const PhaseScope scope(Phase::lay_out);
    for (size_t tile = range.begin(); tile < range.end(); ++tile) {
      visit(tile * kTileRows, std::min((tile + 1) * kTileRows, row_count));
    }
  });
}

}  // namespace evergrove::bins
