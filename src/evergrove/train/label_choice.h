// What is chosen and refused by the labels and weights of all rows: the objective, the classes,
// where margins start, what gradients have to know of the weights.
//
//   EVERGROVE_RETURN_IF_ERROR(check_rows(facts, label, weight));
//   parameters.objective = suggested_objective(facts);
//   EVERGROVE_ASSIGN_OR_RETURN(classes, find_classes(facts, label, parameters.objective));
//   LabelSums sums;                                   // over the rows, if needs_sums()
//   EVERGROVE_ASSIGN_OR_RETURN(MarginStart start, margin_start(parameters, classes, facts, sums));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/label_facts.h"
#include "evergrove/train/parameters.h"

namespace evergrove::train {

// Refuses rows without a proper label or weight, and weights that are all 0.
Status check_rows(const LabelFacts& facts, const std::string& label, const std::string& weight);

// The objective that the label suggests: text or two distinct values are classes, else a number.
model::ObjectiveKind suggested_objective(const LabelFacts& facts);

// The classes of the rows, as names in order: numbers ascending (named by number_text()), text in
// byte order. Refuses a constant label, and more than two classes for binary.
Result<std::vector<std::string>> find_classes(const LabelFacts& facts, const std::string& label,
                                              model::ObjectiveKind objective);
// Refuses a label that is not among the classes.
Status check_classes(const LabelFacts& facts, const std::string& label,
                     std::span<const std::string> classes);
// Refuses text as the label of a regression, what is too large, and a constant if must_vary.
Status check_targets(const LabelFacts& facts, const std::string& label, bool must_vary);

// What the facts leave open, if anything: LabelSums by this request. Requires: checked labels.
bool needs_sums(const Parameters& parameters, const LabelFacts& facts);
LabelSumsRequest sums_request(const Parameters& parameters, std::span<const std::string> classes,
                              const LabelFacts& facts);

// Where margins start and what their unit is. Sums are exact integers, so the order of the rows is
// all the same. sums: as sums_request() asks, or none if none are needed.
struct MarginStart {
  int32_t value_exponent = -32;
  std::vector<int64_t> base_margins;
};
Result<MarginStart> margin_start(const Parameters& parameters, std::span<const std::string> classes,
                                 const LabelFacts& facts, const LabelSums& sums);
// As WeightFacts::of() finds of all training rows.
WeightFacts weight_facts(const Parameters& parameters, std::span<const std::string> classes,
                         const LabelFacts& facts, const LabelSums& sums);

}  // namespace evergrove::train
