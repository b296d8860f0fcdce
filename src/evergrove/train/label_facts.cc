// value: u64 first_row | u64 training_rows | u64 counted_rows | i128 weight | f64 weight_max
// bad rows: u64 count | u64 first; i128: u64 low | u64 high
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/label_facts.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "evergrove/base/check.h"

namespace evergrove::train {
namespace {

using exact::Int128;
using model::ObjectiveKind;

constexpr double kWeightUnits = 1048576;  // 2^20
constexpr int64_t kExponentMax = 1000;    // of value_exponent, either way
constexpr uint64_t kNoRow = std::numeric_limits<uint64_t>::max();

int64_t weight_units(double weight) { return std::llrint(std::min(weight, 1e12) * kWeightUnits); }

template <typename Values>
void keep_smallest(Values& values) {
  while (values.size() > kClassesMax + 1) values.erase(std::prev(values.end()));
}

// Adds rows to the value of each, which is mostly that of the row before.
template <typename Key>
class ValueFinder {
 public:
  explicit ValueFinder(std::map<Key, LabelValue>& values) : values_(values) {}

  // Null for what is not among the smallest.
  LabelValue* find(const Key& key) {
    if (last_ != values_.end() && last_->first == key) return &last_->second;
    last_ = values_.find(key);
    if (last_ != values_.end()) return &last_->second;
    if (values_.size() > kClassesMax && key > std::prev(values_.end())->first) return nullptr;
    last_ = values_.emplace(key, LabelValue{.first_row = kNoRow}).first;
    keep_smallest(values_);
    return &last_->second;
  }

 private:
  std::map<Key, LabelValue>& values_;
  typename std::map<Key, LabelValue>::iterator last_ = values_.end();
};

void write(Int128 value, ByteWriter& out) {
  out.u64(static_cast<uint64_t>(value)).u64(static_cast<uint64_t>(value >> 64));
}
Int128 read_int128(ByteReader& in) {
  const uint64_t low = in.u64();
  return Int128{static_cast<int64_t>(in.u64())} << 64 | Int128{low};
}

void write(const LabelValue& value, ByteWriter& out) {
  out.u64(value.first_row).u64(value.training_rows).u64(value.counted_rows);
  write(value.weight, out);
  out.f64(value.weight_max);
}
// Bad rows are counted, and their values never kept: what is infinite or no number is not of ours.
double read_finite(ByteReader& in) {
  const double number = in.f64();
  if (!std::isfinite(number)) in.fail();
  return in.ok() ? number : 0;
}

LabelValue read_value(ByteReader& in) {
  LabelValue value;
  value.first_row = in.u64();
  value.training_rows = in.u64();
  value.counted_rows = in.u64();
  value.weight = read_int128(in);
  value.weight_max = read_finite(in);
  return value;
}

void write(const BadRows& rows, ByteWriter& out) { out.u64(rows.count).u64(rows.first); }
BadRows read_bad_rows(ByteReader& in) {
  BadRows rows;
  rows.count = in.u64();
  rows.first = in.u64();
  return rows;
}

}  // namespace

void LabelValue::merge(const LabelValue& other) {
  first_row = std::min(first_row, other.first_row);
  training_rows += other.training_rows;
  counted_rows += other.counted_rows;
  weight += other.weight;
  weight_max = std::max(weight_max, other.weight_max);
}

LabelFacts LabelFacts::of(const RawLabels& labels, const RawWeights* weights,
                          const RowDivision& division) {
  LabelFacts facts;
  facts.is_text = labels.is_text;
  facts.has_weights = weights != nullptr;
  facts.missing = labels.missing;
  facts.infinite = labels.infinite;
  facts.all.first_row = kNoRow;
  if (weights != nullptr) {
    CHECK(weights->values.size() == labels.row_count());
    facts.not_finite = weights->not_finite;
    facts.negative = weights->negative;
    facts.any_positive_weight = weights->any_positive;
  }
  ValueFinder numbers(facts.numbers);
  std::map<int32_t, LabelValue> codes;
  ValueFinder code_finder(codes);
  for (uint64_t row = 0; row < labels.row_count(); ++row) {
    const double number = labels.is_text ? 0 : labels.numbers[row];
    const double weight = weights == nullptr ? 1 : double{weights->values[row]};
    // Bad rows are refused by their count.
    if (!std::isfinite(number) || !std::isfinite(weight)) continue;
    if (labels.is_text && labels.codes[row] < 0) continue;
    LabelValue here{.first_row = labels.row_id(row)};
    if (!labels.is_text && is_too_large(number)) {
      if (facts.too_large.count == 0) facts.too_large_value = number;
      facts.too_large.add(here.first_row);
    }
    if (division.in_training(row)) {
      here.training_rows = 1;
      here.counted_rows = weight > 0;
      here.weight = weight_units(weight);
      here.weight_max = weight;
      facts.largest = std::max(facts.largest, std::abs(number));
    } else {
      ++facts.held_out_rows;
      facts.held_out_weight_max = std::max(facts.held_out_weight_max, weight);
    }
    facts.all.merge(here);
    LabelValue* const value =
        labels.is_text ? code_finder.find(labels.codes[row]) : numbers.find(number);
    if (value != nullptr) value->merge(here);
  }
  // Codes are in the order of the names.
  for (const auto& [code, value] : codes) facts.names.emplace(labels.names[code], value);
  return facts;
}

void LabelFacts::merge(const LabelFacts& other) {
  CHECK(is_text == other.is_text && has_weights == other.has_weights);
  const auto merge_values = [](auto& to, const auto& from) {
    for (const auto& [key, value] : from) {
      const auto [at, is_new] = to.emplace(key, value);
      if (!is_new) at->second.merge(value);
    }
    keep_smallest(to);
  };
  merge_values(numbers, other.numbers);
  merge_values(names, other.names);
  if (other.too_large.count > 0 &&
      (too_large.count == 0 || other.too_large.first < too_large.first)) {
    too_large_value = other.too_large_value;
  }
  missing.merge(other.missing);
  infinite.merge(other.infinite);
  not_finite.merge(other.not_finite);
  negative.merge(other.negative);
  too_large.merge(other.too_large);
  any_positive_weight |= other.any_positive_weight;
  all.merge(other.all);
  held_out_rows += other.held_out_rows;
  held_out_weight_max = std::max(held_out_weight_max, other.held_out_weight_max);
  largest = std::max(largest, other.largest);
}

void LabelFacts::encode(ByteWriter& out) const {
  out.u8(is_text).u8(has_weights).u8(any_positive_weight);
  out.u32(static_cast<uint32_t>(numbers.size()));
  for (const auto& [number, value] : numbers) write(value, out.f64(number));
  out.u32(static_cast<uint32_t>(names.size()));
  for (const auto& [name, value] : names) write(value, out.string(name));
  for (const BadRows* rows : {&missing, &infinite, &not_finite, &negative, &too_large}) {
    write(*rows, out);
  }
  out.f64(too_large_value);
  write(all, out);
  out.u64(held_out_rows).f64(held_out_weight_max).f64(largest);
}

Result<LabelFacts> LabelFacts::decode(ByteReader& in) {
  LabelFacts facts;
  facts.is_text = in.u8() != 0;
  facts.has_weights = in.u8() != 0;
  facts.any_positive_weight = in.u8() != 0;
  constexpr size_t kValueBytes = 48;
  const uint32_t number_count = in.count(8 + kValueBytes);
  for (uint32_t i = 0; i < number_count && in.ok(); ++i) {
    const double number = read_finite(in);
    facts.numbers[number] = read_value(in);
  }
  const uint32_t name_count = in.count(4 + kValueBytes);
  for (uint32_t i = 0; i < name_count && in.ok(); ++i) {
    std::string name = in.string();
    facts.names[std::move(name)] = read_value(in);
  }
  for (BadRows* rows :
       {&facts.missing, &facts.infinite, &facts.not_finite, &facts.negative, &facts.too_large}) {
    *rows = read_bad_rows(in);
  }
  facts.too_large_value = read_finite(in);
  facts.all = read_value(in);
  facts.held_out_rows = in.u64();
  facts.held_out_weight_max = read_finite(in);
  facts.largest = read_finite(in);
  if (!in.ok()) return corrupt("What a part says of its labels is cut off or makes no sense");
  return facts;
}

void LabelSumsRequest::encode(ByteWriter& out) const {
  out.u8(static_cast<uint8_t>(objective)).f64(scale_pos_weight);
  out.u32(static_cast<uint32_t>(classes.size()));
  for (const std::string& name : classes) out.string(name);
  out.i32(value_exponent).f64(weight_max);
}

Result<LabelSumsRequest> LabelSumsRequest::decode(ByteReader& in) {
  LabelSumsRequest request;
  const uint8_t objective = in.u8();
  if (objective > static_cast<uint8_t>(ObjectiveKind::regression)) in.fail();
  request.objective = static_cast<ObjectiveKind>(objective);
  request.scale_pos_weight = read_finite(in);
  const uint32_t class_count = in.count(4);
  for (uint32_t i = 0; i < class_count && in.ok(); ++i) request.classes.push_back(in.string());
  request.value_exponent = in.i32();
  if (std::abs(int64_t{request.value_exponent}) > kExponentMax) in.fail();
  request.weight_max = read_finite(in);
  if (!in.ok()) return corrupt("What is asked of the labels is cut off or makes no sense");
  return request;
}

Result<LabelSums> LabelSums::of(const RawLabels& labels, const RawWeights* weights,
                                const RowDivision& division, const LabelSumsRequest& request) {
  const bool is_regression = request.objective == ObjectiveKind::regression;
  Parameters parameters;
  parameters.objective = request.objective;
  parameters.scale_pos_weight = request.scale_pos_weight;
  std::vector<uint16_t> classes;
  if (request.objective == ObjectiveKind::binary && request.scale_pos_weight != 1) {
    EVERGROVE_ASSIGN_OR_RETURN(classes, to_classes(labels, request.classes));
  } else {
    parameters.scale_pos_weight = 1;
  }
  const std::span<const float> values =
      weights == nullptr ? std::span<const float>() : std::span<const float>(weights->values);
  const RowWeights row_weights(parameters, classes, values);
  LabelSums sums;
  for (uint64_t row = 0; row < labels.row_count(); ++row) {
    if (!division.in_training(row)) continue;
    sums.fine_rows += WeightFacts::is_fine(row_weights[row], request.weight_max);
    if (!is_regression) continue;
    const double weight = values.empty() ? 1 : double{values[row]};
    sums.target +=
        Int128{to_value_units(labels.numbers[row], request.value_exponent)} * weight_units(weight);
  }
  return sums;
}

void LabelSums::merge(const LabelSums& other) {
  target += other.target;
  fine_rows += other.fine_rows;
}

void LabelSums::encode(ByteWriter& out) const {
  write(target, out);
  out.u64(fine_rows);
}

Result<LabelSums> LabelSums::decode(ByteReader& in) {
  LabelSums sums;
  sums.target = read_int128(in);
  sums.fine_rows = in.u64();
  if (!in.ok()) return corrupt("What a part sums of its labels is cut off");
  return sums;
}

int64_t to_value_units(double value, int32_t exponent) {
  return std::llrint(std::clamp(std::ldexp(value, -exponent), -0x1p52, 0x1p52));
}

}  // namespace evergrove::train
