// GradientScale: what is decided for the gradients of one tree, and the facts that decide it.
//
// The largest gradient and the width of the pairs belong to all rows, of which a worker holds some.
// So each fact is a value: the largest |g| is merged by max, a tally by +, both the same for any
// cut of the rows; WeightFacts, of which one part needs another, are found once over all rows.
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
// The tally is the same for either width, so a width that was tried wrongly is tried once only.
//
//   GradientScale scale = scale_to_try(objective, facts, largest_of_all, last_wide);
//   RoundingTally total = ...;  // all rows' gradients at this scale
//   if (should_be_wide(objective, facts, total) != scale.wide) ...  // again, with the other width
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/train/parameters.h"
#include "evergrove/trees/split.h"

namespace evergrove::train {

inline constexpr double kGradientMax = 0x1p1000;  // keeps products from becoming infinite

// The weight of each row: its own, and of a positive row of `binary` times scale_pos_weight.
class RowWeights {
 public:
  RowWeights(const Parameters& parameters, std::span<const uint16_t> classes,
             std::span<const float> weights)
      : classes_(classes),
        weights_(weights),
        positive_weight_(parameters.objective == model::ObjectiveKind::binary
                             ? parameters.scale_pos_weight
                             : 1) {}

  bool all_one() const { return weights_.empty() && positive_weight_ == 1; }
  double operator[](size_t row) const {
    const double weight = weights_.empty() ? 1.0 : double{weights_[row]};
    return positive_weight_ != 1 && classes_[row] != 0 ? weight * positive_weight_ : weight;
  }

 private:
  std::span<const uint16_t> classes_;
  std::span<const float> weights_;
  double positive_weight_;
};

// What is to be known about the weights of all training rows; they are read twice, once a run.
struct WeightFacts {
  double weight_max = 1;      // 1 if all are 0
  uint64_t counted_rows = 0;  // of weight above 0
  bool weights_are_even = true;

  // Requires: classes (classification only) and weights (or none) of row_count rows.
  static WeightFacts of(const Parameters& parameters, std::span<const uint16_t> classes,
                        std::span<const float> weights, size_t row_count);
  // Whether a row's weight has enough narrow units when the largest has all of them.
  static bool is_fine(double weight, double weight_max);
  bool operator==(const WeightFacts&) const = default;
  void encode(ByteWriter& out) const;
  static Result<WeightFacts> decode(ByteReader& in);
};

// What decides between narrow and wide, summed over rows; x is |g| in narrow units.
struct RoundingTally {
  uint64_t squares = 0;     // sum of x^2, in 1/16, each rounded
  uint64_t noise = 0;       // sum of min(x, 1/4), in 2^-20, each rounded
  uint64_t large_rows = 0;  // rows with x >= 16

  RoundingTally operator+(const RoundingTally& o) const {
    return {squares + o.squares, noise + o.noise, large_rows + o.large_rows};
  }
  bool operator==(const RoundingTally&) const = default;
  void encode(ByteWriter& out) const;
  static Result<RoundingTally> decode(ByteReader& in);
};

struct GradientScale {
  bool wide = false;
  double g_max = 1;  // regression: the bound of |g|; other objectives have theirs by the weights

  bool operator==(const GradientScale&) const = default;
  void encode(ByteWriter& out) const;
  static Result<GradientScale> decode(ByteReader& in);
};

// The scale to make gradients with at first. `largest` is GradientMaker::largest() of all rows, and
// last_wide the width of the tree before it, with which a second try is seldom needed.
GradientScale scale_to_try(model::ObjectiveKind objective, const WeightFacts& facts, double largest,
                           bool last_wide);

// Returns the width that gradients with this tally, of all rows, have to have.
bool should_be_wide(model::ObjectiveKind objective, const WeightFacts& facts,
                    const RoundingTally& total);

// What one of a pair's integers is worth: g_unit and h_unit of trees::Gradients.
trees::GradientUnits gradient_units(model::ObjectiveKind objective, size_t output_count,
                                    const WeightFacts& facts, const GradientScale& scale);

}  // namespace evergrove::train
