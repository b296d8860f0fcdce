// Rounding of gradients to fixed point, the inner loop of GradientMaker, with SIMD.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "evergrove/trees/gradients.h"

namespace evergrove::train {

// What decides between narrow and wide, summed over rows; x is |g| in narrow units.
struct RoundingTally {
  uint64_t squares = 0;     // sum of x^2, in 1/16, each rounded
  uint64_t noise = 0;       // sum of min(x, 1/4), in 2^-20, each rounded
  uint64_t large_rows = 0;  // rows with x >= 16
  RoundingTally operator+(const RoundingTally& o) const {
    return {squares + o.squares, noise + o.noise, large_rows + o.large_rows};
  }
};

inline constexpr double kLargeGradient = 16;

// Rounds g in -1..1 and h in 0..1 (shares of their bounds) to fixed point. `key` is the row key's
// bits() and first_row the counter of the first; the upper half of a row's hash rounds g, the
// lower half h. Requires: count is a multiple of kKernelRows, and all arrays are that long.
inline constexpr size_t kKernelRows = 16;
RoundingTally round_narrow(const double* g, const double* h, uint64_t key, uint64_t first_row,
                           size_t count, trees::NarrowGradient* out);
RoundingTally round_wide(const double* g, const double* h, uint64_t key, uint64_t first_row,
                         size_t count, trees::WideGradient* out);

}  // namespace evergrove::train
