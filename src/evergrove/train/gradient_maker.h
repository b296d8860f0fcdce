// GradientMaker: from margins to the fixed-point gradients that trees are grown from.
//
// binary:     p = sigmoid(margin), g = w (p - y), h = w p (1 - p)
// multiclass: p = softmax(margins), g = w (p_k - y_k), h = w K/(K-1) p_k (1 - p_k)
// regression: g = w (margin - target), h = w
// where w is the row's weight, times scale_pos_weight for positive rows of `binary`.
//
// Promise: the same bits for any number of threads, any block size, any SIMD width, and any cut of
// the rows over makers. A unit is a bound over the largest integer; the bound is known beforehand
// (the largest weight, times 1 or 1/4), or the maximum over all rows, which has no order (g of
// regression). Rounding is stochastic by a hash of (seed, iteration, output, row): to nearest, all
// the small gradients of many rows would vanish beside one large one. Whole numbers of units, such
// as h at its maximum in narrow units, are never altered. What is a matter of all rows, the bound
// and whether pairs are narrow or wide, is a GradientScale.
//
// One call at a time; uses the threads of the TBB arena it is called in.
//
//   GradientMaker maker(header, facts, data);                     // some of the rows
//   double largest = maker.largest(margins);                      // merged by max over workers,
//   RoundingTally tally = maker.make(7, 0, margins, scale, out);  // by +; see gradient_scale.h
//
//   maker.make_alone(7, margins, outs);                           // all of the rows, all outputs
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/train/dataset.h"
#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/run_record.h"
#include "evergrove/trees/gradients.h"

namespace evergrove::train {

class GradientMaker {
 public:
  // Requires: the data outlives the maker and stays as it is, and its classes or targets fit the
  // objective; the facts are of all training rows, these among them. The data may have no rows.
  GradientMaker(const RunHeader& header, const WeightFacts& facts, const Dataset& data);

  // Margins, here and below, are output by output and in each row by row.
  // Returns the largest |g| of these rows for regression, and 0 for other objectives.
  double largest(std::span<const int64_t> margins) const;

  // Sets `out` for one tree at that very scale, in its own memory where that suffices. Requires:
  // largest() is at most scale.g_max, and the margins are the same for all outputs of an iteration.
  RoundingTally make(uint64_t iteration, uint32_t output, std::span<const int64_t> margins,
                     const GradientScale& scale, trees::Gradients& out);

  // Gives back the memory that is kept from one call to the next.
  void forget();

  // The same for all trees of an iteration, where these are all the rows, so that scales can be
  // decided here. The width tried first is that of the output's `out`.
  void make_alone(uint64_t iteration, std::span<const int64_t> margins,
                  std::span<trees::Gradients> out);

 private:
  // Rows that are made together: never of two segments.
  struct Block {
    size_t first;
    size_t count;
    uint64_t first_row;  // the place of the first among all training rows
  };
  struct Job;

  double residual(size_t row, int64_t margin) const;
  void prepare(uint64_t iteration, uint32_t output, std::span<const int64_t> margins);
  void fill_softmax_terms(const Block& block, std::span<const int64_t> margins,
                          const int64_t* largest, size_t output, double* terms) const;
  void find_largest(const Block& block, std::span<const int64_t> margins, int64_t* largest) const;
  void normalise_softmax(const Block& block, std::span<const int64_t> margins,
                         const int64_t* largest, size_t stride, double* terms,
                         double* inverse) const;
  void fill_from_softmax(uint32_t output, const Block& block, const double* inverse, double* g,
                         double* h) const;
  void weigh(const Block& block, double* g, double* h) const;
  void fill_block(const Job& job, const Block& block, double* g, double* h) const;
  RoundingTally round_block(const Job& job, const Block& block, double* g, double* h) const;
  void fill_all_outputs(std::span<const Job> jobs, const Block& block,
                        std::span<RoundingTally> tallies) const;
  std::vector<RoundingTally> fill(std::span<const Job> jobs) const;
  Job job_of(uint64_t iteration, uint32_t output, std::span<const int64_t> margins,
             const GradientScale& scale, trees::Gradients& out) const;

  model::ObjectiveKind objective_;
  uint64_t seed_;
  double unit_;  // of margins
  size_t output_count_;
  WeightFacts facts_;
  std::span<const uint16_t> classes_;
  std::span<const double> targets_;
  RowWeights weights_;
  size_t row_count_;
  std::vector<Block> blocks_;
  // Softmax: of each row its largest margin and 1 over the sum of exp(margin - largest).
  uint64_t softmax_iteration_ = ~uint64_t{0};
  std::vector<int64_t> softmax_largest_;
  std::vector<double> softmax_inverse_;
};

}  // namespace evergrove::train
