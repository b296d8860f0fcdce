// Rounding of gradients to fixed point, the inner loop of GradientMaker, with SIMD.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "evergrove/train/gradient_scale.h"
#include "evergrove/trees/gradients.h"

namespace evergrove::train {

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
