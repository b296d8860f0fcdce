// LabelFacts: what is to be known of the labels and weights of all rows of a set before the first
// tree; found part by part, and merged in any order with the same result.
//
// Some of it can only be summed when the rest is known of all rows: these are LabelSums, of a
// second look at the same parts.
//
//   LabelFacts facts = LabelFacts::of(labels, weights, division);
//   facts.merge(facts_of_another_part);                           // label_choice.h decides by them
//   if (needs_sums(parameters, facts)) sums.merge(*LabelSums::of(labels, weights, division,
//   request));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/exact/exact_sum.h"
#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/label.h"
#include "evergrove/train/set_reader.h"

namespace evergrove::train {

inline constexpr size_t kClassesMax = 1000;

// The rows with one value of the label. Weights are in units of 2^-20.
struct LabelValue {
  uint64_t first_row = 0;  // its id; of all rows, what follows of those to train on
  uint64_t training_rows = 0;
  uint64_t counted_rows = 0;  // of weight above 0
  exact::Int128 weight = 0;
  double weight_max = 0;

  void merge(const LabelValue& other);
  bool operator==(const LabelValue&) const = default;
};

struct LabelFacts {
  bool is_text = false;
  bool has_weights = false;
  // Of these at most the kClassesMax + 1 smallest.
  std::map<double, LabelValue> numbers;
  std::map<std::string, LabelValue> names;
  BadRows missing, infinite;         // of the label
  BadRows not_finite, negative;      // of the weight
  bool any_positive_weight = false;  // of all rows
  BadRows too_large;                 // is_too_large(); too_large_value is that of the first
  double too_large_value = 0;
  LabelValue all;  // of all values
  uint64_t held_out_rows = 0;
  double held_out_weight_max = 0;
  double largest = 0;  // of the magnitudes of numbers to train on

  // Requires: weights of all rows or none; a division of as many rows.
  static LabelFacts of(const RawLabels& labels, const RawWeights* weights,
                       const RowDivision& division);
  // Requires: another part of the same set.
  void merge(const LabelFacts& other);
  bool has_many() const { return numbers.size() > kClassesMax || names.size() > kClassesMax; }
  bool operator==(const LabelFacts&) const = default;
  void encode(ByteWriter& out) const;
  static Result<LabelFacts> decode(ByteReader& in);
};

struct LabelSumsRequest {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  double scale_pos_weight = 1;
  std::vector<std::string> classes;
  int32_t value_exponent = -32;
  double weight_max = 1;  // WeightFacts::weight_max

  bool operator==(const LabelSumsRequest&) const = default;
  void encode(ByteWriter& out) const;
  static Result<LabelSumsRequest> decode(ByteReader& in);
};

// Of the training rows.
struct LabelSums {
  exact::Int128 target = 0;  // regression: units of value, times units of weight
  uint64_t fine_rows = 0;    // whose weight is fine enough (WeightFacts::is_fine())

  // Fails as to_classes() does.
  static Result<LabelSums> of(const RawLabels& labels, const RawWeights* weights,
                              const RowDivision& division, const LabelSumsRequest& request);
  void merge(const LabelSums& other);
  bool operator==(const LabelSums&) const = default;
  void encode(ByteWriter& out) const;
  static Result<LabelSums> decode(ByteReader& in);
};

// A margin or target in units of 2^exponent.
int64_t to_value_units(double value, int32_t exponent);

}  // namespace evergrove::train
