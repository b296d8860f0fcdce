// From margins to probabilities less labels, the loops of GradientMaker around exp and sigmoid,
// with SIMD. Every step is one IEEE operation a row, so that the width is no part of a result.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace evergrove::train {

// out = margin * unit.
void scale_margins(const int64_t* margins, double unit, size_t count, double* out);
// out = (margin - largest) * unit. Requires: the difference fits 64 bits.
void scale_margins_below(const int64_t* margins, const int64_t* largest, double unit, size_t count,
                         double* out);
// largest = max(largest, margin).
void raise_to_largest(const int64_t* margins, size_t count, int64_t* largest);

// g = share * residual, where the residual is margin * unit - target, kept within +-most.
void residuals_to_gradients(const int64_t* margins, const double* targets, double unit, double most,
                            double share, size_t count, double* g);
// The largest residual so kept, without its sign.
double largest_residual(const int64_t* margins, const double* targets, double unit, double most,
                        size_t count);

// p = shares, or min(1, shares * scales) where there are scales: the probability of the output's
// class. Sets g = p - (class is the output), h = 4 p (1 - p). g may be the shares.
void probabilities_to_gradients(const double* shares, const double* scales, const uint16_t* classes,
                                uint16_t output, size_t count, double* g, double* h);

}  // namespace evergrove::train
