// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/label_choice.h"

#include <algorithm>
#include <cmath>

#include "evergrove/base/number_text.h"
#include "evergrove/exact/exp_log.h"

namespace evergrove::train {
namespace {

using exact::Int128;
using model::ObjectiveKind;

size_t distinct_count(const LabelFacts& facts) {
  return facts.is_text ? facts.names.size() : facts.numbers.size();
}

// Names of the values, in their order.
std::vector<std::pair<std::string, LabelValue>> named_values(const LabelFacts& facts) {
  if (facts.is_text) return {facts.names.begin(), facts.names.end()};
  std::vector<std::pair<std::string, LabelValue>> values;
  for (const auto& [number, value] : facts.numbers) values.emplace_back(number_text(number), value);
  return values;
}

// The values' facts in the order of the classes; of a class that no row has, nothing.
std::vector<LabelValue> values_of(std::span<const std::string> classes, const LabelFacts& facts) {
  std::vector<LabelValue> values(classes.size());
  for (const auto& [name, value] : named_values(facts)) {
    const auto at = std::find(classes.begin(), classes.end(), name);
    if (at != classes.end()) values[static_cast<size_t>(at - classes.begin())] = value;
  }
  return values;
}

// Zeros alone are refused when they are read; these are tiny, or the rest went to validation.
Status no_weight() {
  return invalid_input(
      "All weights of the training rows are 0 or as good as (below 5e-7); give larger ones");
}

int32_t value_exponent(const Parameters& parameters, const LabelFacts& facts) {
  constexpr int32_t kUsual = -32;
  if (parameters.objective != ObjectiveKind::regression || !(facts.largest > 0)) return kUsual;
  // Targets take 40 bits, which leaves 12 for margins beyond them and for double's 53.
  return std::max(std::ilogb(facts.largest) + 1 - 40, -1000);
}

// Positive rows of `binary` count so many times.
double positive_weight(const Parameters& parameters) {
  return parameters.objective == ObjectiveKind::binary ? parameters.scale_pos_weight : 1;
}

double weight_max(const Parameters& parameters, std::span<const std::string> classes,
                  const LabelFacts& facts) {
  double largest = facts.all.weight_max;
  if (positive_weight(parameters) != 1) {
    const std::vector<LabelValue> values = values_of(classes, facts);
    largest = std::max(values[0].weight_max, values[1].weight_max * positive_weight(parameters));
  }
  return largest > 0 ? largest : 1;
}

}  // namespace

Status check_rows(const LabelFacts& facts, const std::string& label, const std::string& weight) {
  EVERGROVE_RETURN_IF_ERROR(refuse_labels(facts.missing, facts.infinite, label));
  if (!facts.has_weights) return {};
  EVERGROVE_RETURN_IF_ERROR(refuse_weights(facts.not_finite, facts.negative, weight));
  return facts.any_positive_weight ? Status() : all_weights_are_zero(weight);
}

ObjectiveKind suggested_objective(const LabelFacts& facts) {
  if (distinct_count(facts) <= 2) return ObjectiveKind::binary;
  return facts.is_text ? ObjectiveKind::multiclass : ObjectiveKind::regression;
}

Result<std::vector<std::string>> find_classes(const LabelFacts& facts, const std::string& label,
                                              ObjectiveKind objective) {
  std::vector<std::string> classes;
  for (const auto& [name, value] : named_values(facts)) classes.push_back(name);
  if (classes.size() < 2) {
    return invalid_input(
        "The label is constant, so there is nothing to learn; check the column",
        {{"column", label}, {"value", classes.empty() ? std::string("none") : classes[0]}});
  }
  if (facts.has_many()) {
    return invalid_input("The label has too many classes; is it a number for regression?",
                         {{"column", label}, {"at most", std::to_string(kClassesMax)}});
  }
  if (objective == ObjectiveKind::binary && classes.size() > 2) {
    std::string some;
    for (size_t i = 0; i < classes.size() && i < 5; ++i) some += (i > 0 ? ", " : "") + classes[i];
    return invalid_input(
        "A binary objective needs a label of two values; use objective multiclass or regression",
        {{"column", label},
         {"distinct values", std::to_string(classes.size())},
         {"such as", some}});
  }
  return classes;
}

Status check_classes(const LabelFacts& facts, const std::string& label,
                     std::span<const std::string> classes) {
  const std::string* bad = nullptr;
  uint64_t first_row = 0;
  const auto values = named_values(facts);
  for (const auto& [name, value] : values) {
    if (std::find(classes.begin(), classes.end(), name) != classes.end()) continue;
    if (bad != nullptr && value.first_row > first_row) continue;
    bad = &name;
    first_row = value.first_row;
  }
  return bad == nullptr ? Status() : refuse_class(label, *bad, first_row);
}

Status check_targets(const LabelFacts& facts, const std::string& label, bool must_vary) {
  if (facts.is_text) return refuse_text_target(label, facts.names.begin()->first);
  if (must_vary && facts.numbers.size() < 2) {
    return invalid_input("The label is constant, so there is nothing to learn; check the column",
                         {{"column", label}});
  }
  if (facts.too_large.count == 0) return {};
  return refuse_target(label, facts.too_large_value, facts.too_large.first);
}

bool needs_sums(const Parameters& parameters, const LabelFacts& facts) {
  return facts.has_weights || parameters.objective == ObjectiveKind::regression;
}

LabelSumsRequest sums_request(const Parameters& parameters, std::span<const std::string> classes,
                              const LabelFacts& facts) {
  return {.objective = parameters.objective,
          .scale_pos_weight = positive_weight(parameters),
          .classes = {classes.begin(), classes.end()},
          .value_exponent = value_exponent(parameters, facts),
          .weight_max = weight_max(parameters, classes, facts)};
}

Result<MarginStart> margin_start(const Parameters& parameters, std::span<const std::string> classes,
                                 const LabelFacts& facts, const LabelSums& sums) {
  MarginStart start;
  start.value_exponent = value_exponent(parameters, facts);
  const double given = parameters.base_score;
  const Int128 weight_sum = facts.all.weight;
  if (weight_sum == 0) return no_weight();
  const auto to_units = [&](double margin) { return to_value_units(margin, start.value_exponent); };
  if (parameters.objective == ObjectiveKind::regression) {
    start.base_margins = {std::isnan(given) ? std::llrint(double(sums.target) / double(weight_sum))
                                            : to_units(given)};
    return start;
  }
  const std::vector<LabelValue> values = values_of(classes, facts);
  const auto share = [&](size_t k) {
    return std::clamp(double(values[k].weight) / double(weight_sum), 1e-15, 1 - 1e-15);
  };
  if (parameters.objective == ObjectiveKind::binary) {
    const double p = std::isnan(given) ? share(1) : given;
    start.base_margins = {to_units(exact::log(p) - exact::log(1 - p))};
    return start;
  }
  for (size_t k = 0; k < classes.size(); ++k) {
    start.base_margins.push_back(to_units(exact::log(share(k))));
  }
  return start;
}

WeightFacts weight_facts(const Parameters& parameters, std::span<const std::string> classes,
                         const LabelFacts& facts, const LabelSums& sums) {
  WeightFacts result;
  result.counted_rows = facts.all.counted_rows;
  const double positive = positive_weight(parameters);
  if (!facts.has_weights && positive == 1) return result;
  result.weight_max = weight_max(parameters, classes, facts);
  uint64_t fine_rows = sums.fine_rows;
  if (!facts.has_weights) {  // then a class's rows all weigh the same
    const std::vector<LabelValue> values = values_of(classes, facts);
    fine_rows = 0;
    for (size_t k = 0; k < values.size(); ++k) {
      if (!WeightFacts::is_fine(k == 1 ? positive : 1, result.weight_max)) continue;
      fine_rows += values[k].training_rows;
    }
  }
  result.weights_are_even = fine_rows >= result.counted_rows - result.counted_rows / 4;
  return result;
}

}  // namespace evergrove::train
