// facts: f64 weight_max | u64 counted_rows | u8 weights_are_even
// tally: u64 squares | u64 noise | u64 large_rows
// scale: u8 wide | f64 g_max
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/gradient_scale.h"

#include <algorithm>
#include <string>

#include "evergrove/base/check.h"
#include "evergrove/base/number_text.h"
#include "evergrove/trees/gradients.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr uint64_t kNoiseRatio = 64;    // variance of g to that of its rounding, at least
constexpr double kWeightUnitsMin = 64;  // of an ordinary row's weight, in narrow units
constexpr double kGradientMin = 0x1p-1000;
constexpr double kWeightMax = 0x1p1023;

bool is_between(double x, double least, double most) { return x > least && x <= most; }

}  // namespace

WeightFacts WeightFacts::of(const Parameters& parameters, std::span<const uint16_t> classes,
                            std::span<const float> weights, size_t row_count) {
  const RowWeights row_weights(parameters, classes, weights);
  WeightFacts facts;
  facts.counted_rows = row_count;
  if (row_weights.all_one()) return facts;
  CHECK(weights.empty() || weights.size() == row_count);
  CHECK(parameters.objective == ObjectiveKind::regression || classes.size() == row_count);

  facts.weight_max = 0;
  for (size_t row = 0; row < row_count; ++row) {
    facts.weight_max = std::max(facts.weight_max, row_weights[row]);
  }
  if (!(facts.weight_max > 0)) facts.weight_max = 1;
  facts.counted_rows = 0;
  uint64_t fine_rows = 0;
  for (size_t row = 0; row < row_count; ++row) {
    facts.counted_rows += row_weights[row] > 0;
    fine_rows += is_fine(row_weights[row], facts.weight_max);
  }
  facts.weights_are_even = fine_rows >= facts.counted_rows - facts.counted_rows / 4;
  return facts;
}

bool WeightFacts::is_fine(double weight, double weight_max) {
  return weight / weight_max * trees::kNarrowMax >= kWeightUnitsMin;
}

GradientScale scale_to_try(ObjectiveKind objective, const WeightFacts& facts, double largest,
                           bool last_wide) {
  GradientScale scale;
  scale.wide = last_wide || !facts.weights_are_even;
  // At a smaller one nothing is left to learn: all round to 0.
  if (objective == ObjectiveKind::regression && largest > kGradientMin) scale.g_max = largest;
  return scale;
}

bool should_be_wide(ObjectiveKind objective, const WeightFacts& facts, const RoundingTally& total) {
  if (!facts.weights_are_even) return true;
  if (objective == ObjectiveKind::regression) return 2 * total.large_rows < facts.counted_rows;
  // squares / 16 < ratio * noise / 2^20, with integers.
  static_assert(kNoiseRatio * 16 == 1 << 10);
  return total.squares == 0 || total.squares < total.noise >> 10;
}

trees::GradientUnits gradient_units(ObjectiveKind objective, size_t output_count,
                                    const WeightFacts& facts, const GradientScale& scale) {
  trees::GradientUnits bounds{facts.weight_max, facts.weight_max};
  if (objective == ObjectiveKind::regression) {
    bounds.g = scale.g_max;
  } else if (objective == ObjectiveKind::binary) {
    bounds.h *= 0.25;
  } else {
    const auto classes = static_cast<double>(output_count);
    bounds.h *= 0.25 * (classes / (classes - 1));
  }
  const double steps = scale.wide ? trees::kWideMax : trees::kNarrowMax;
  return {bounds.g / steps, bounds.h / steps};
}

void WeightFacts::encode(ByteWriter& out) const {
  out.f64(weight_max).u64(counted_rows).u8(weights_are_even ? 1 : 0);
}

Result<WeightFacts> WeightFacts::decode(ByteReader& in) {
  WeightFacts facts;
  facts.weight_max = in.f64();
  facts.counted_rows = in.u64();
  const uint8_t even = in.u8();
  facts.weights_are_even = even != 0;
  if (!in.ok() || !is_between(facts.weight_max, 0, kWeightMax) || even > 1) {
    return corrupt("Facts about weights are cut off or out of range; send or read them again",
                   {{"weight_max", number_text(facts.weight_max)},
                    {"weights_are_even", std::to_string(even)}});
  }
  return facts;
}

void RoundingTally::encode(ByteWriter& out) const { out.u64(squares).u64(noise).u64(large_rows); }

Result<RoundingTally> RoundingTally::decode(ByteReader& in) {
  RoundingTally tally;
  tally.squares = in.u64();
  tally.noise = in.u64();
  tally.large_rows = in.u64();
  if (!in.ok()) return corrupt("A tally of rounding is cut off; send or read it again");
  return tally;
}

void GradientScale::encode(ByteWriter& out) const { out.u8(wide ? 1 : 0).f64(g_max); }

Result<GradientScale> GradientScale::decode(ByteReader& in) {
  GradientScale scale;
  const uint8_t wide = in.u8();
  scale.wide = wide != 0;
  scale.g_max = in.f64();
  if (!in.ok() || wide > 1 || !is_between(scale.g_max, kGradientMin, kGradientMax)) {
    return corrupt("A scale of gradients is cut off or out of range; send or read it again",
                   {{"wide", std::to_string(wide)}, {"g_max", number_text(scale.g_max)}});
  }
  return scale;
}

}  // namespace evergrove::train
