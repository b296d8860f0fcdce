// GradientMaker: from margins to the fixed-point gradients that trees are grown from.
//
// binary:     p = sigmoid(margin), g = w (p - y), h = w p (1 - p)
// multiclass: p = softmax(margins), g = w (p_k - y_k), h = w K/(K-1) p_k (1 - p_k)
// regression: g = w (margin - target), h = w
// where w is the row's weight, times scale_pos_weight for positive rows of `binary`.
//
// Promise: the same bits for any number of threads, any block size and any SIMD width. A unit is a
// bound over the largest integer; the bound is known beforehand (the largest weight, times 1 or
// 1/4), or the maximum over all rows, which has no order (g of regression). Rounding is stochastic
// by a hash of (seed, iteration, output, row): to nearest, all the small gradients of many rows
// would vanish beside one large one. Whole numbers of units, such as h at its maximum in narrow
// units, are never altered.
//
// Narrow or wide? Rounding to narrow units (of which the bound has 4,095) adds a variance of at
// most min(x, 1/4) to a row whose |g| is x units. Narrow pairs are taken when this is little
// beside what the gradients themselves scatter:
// - weights: at least 3/4 of the rows (of weight above 0) have a weight of 64 units, that is 1/64
//   of the largest; else a few heavy rows would make the others coarse;
// - classification: the sum of x^2 is at least 64 times the sum of min(x, 1/4). With one fraud
//   in 1,000 or 100,000 rows it is, for the rare positives' own scatter is far larger than the
//   rounding of the negatives; no longer so when the model is sure of all rows;
// - regression: at least half of the rows (of weight above 0) have x >= 16, so that a few far
//   targets cannot make the others coarse; log-normal targets of a large spread fail this.
// The sums are integers over all rows, so every machine decides alike.
//
// One make() at a time; uses the threads of the TBB arena it is called in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/train/dataset.h"
#include "evergrove/train/parameters.h"
#include "evergrove/trees/gradients.h"

namespace evergrove::train {

class GradientMaker {
 public:
  // Requires: the data outlives the maker, and its classes or targets fit the objective.
  GradientMaker(const Parameters& parameters, const Dataset& data, int32_t value_exponent);

  // Sets `out` for one tree, in its own memory where that suffices. Requires: margins are row by
  // row and in each output by output, and are the same for all outputs of an iteration.
  void make(uint64_t iteration, uint32_t output, std::span<const int64_t> margins,
            trees::Gradients& out);

 private:
  struct Tally;
  struct Job;

  double weight(size_t row) const;
  double residual(size_t row, int64_t margin) const;
  void normalise_softmax(std::span<const int64_t> margins);
  double largest_gradient(std::span<const int64_t> margins) const;
  void fill_block(const Job& job, size_t first, size_t count, double* g, double* h) const;
  Tally run(const Job& job, trees::Gradients& out) const;
  bool should_be_wide(const Tally& tally) const;

  model::ObjectiveKind objective_;
  uint64_t seed_;
  double positive_weight_;
  double unit_;  // of margins
  std::span<const uint16_t> classes_;
  std::span<const double> targets_;
  std::span<const float> weights_;
  size_t row_count_;
  size_t output_count_ = 1;
  double weight_max_ = 1;
  size_t counted_rows_ = 0;  // of weight above 0
  bool weights_are_even_ = true;
  // Softmax: of each row its largest margin and 1 over the sum of exp(margin - largest).
  uint64_t softmax_iteration_ = ~uint64_t{0};
  std::vector<int64_t> softmax_largest_;
  std::vector<double> softmax_inverse_;
};

}  // namespace evergrove::train
