// Gradients: the fixed-point first and second derivatives of the loss, one pair a row.
//
// Narrow pairs are what histograms are fast with: 13 bits of g and 12 bits of h, so that 8,191
// rows can be summed, with their count, in one 64-bit word. Wide pairs are for gradients whose
// distribution has a heavy tail (train/gradient_scale.h has the rule). The real derivative of a
// row is g * g_unit and h * h_unit; a pair's h is at least 0. A TreeRow is a row of a tree that
// takes its narrow pair along wherever it is moved to, so that who walks a node's rows need not
// gather pairs from all over memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "evergrove/base/large_vector.h"

namespace evergrove::trees {

struct NarrowGradient {
  int16_t g;   // -kNarrowMax..kNarrowMax
  uint16_t h;  // 0..kNarrowMax
};
struct WideGradient {
  int32_t g;  // -kWideMax..kWideMax
  int32_t h;  // 0..kWideMax
};
inline constexpr int32_t kNarrowMax = 4095;
inline constexpr int32_t kWideMax = (1 << 30) - 1;

struct TreeRow {
  uint32_t row;
  NarrowGradient gradient;  // the row's, where gradients are narrow
};

struct Gradients {
  bool wide = false;
  double g_unit = 1;
  double h_unit = 1;
  // One of the two has an entry a row, the other is empty.
  LargeVector<NarrowGradient> narrow;
  LargeVector<WideGradient> wide_pairs;
};

}  // namespace evergrove::trees
