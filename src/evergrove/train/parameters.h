// Parameters: everything that a user can set and that can change a model, in one table.
//
// The table has each parameter's name, type, default, range, aliases (scikit-learn's, LightGBM's
// and XGBoost's words for it) and one paragraph of documentation; the command's --set, the Python
// estimators and docs/reference/parameters.md are all made from it, so that they cannot drift.
//
//   Parameters parameters;
//   EVERGROVE_RETURN_IF_ERROR(set_parameter(parameters, "num_leaves", "63", &notes));
//   EVERGROVE_RETURN_IF_ERROR(validate(parameters));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"

namespace evergrove::train {

enum class Growth : uint8_t { leaf, depth, symmetric };

struct Parameters {
  // What is learnt. `objective` is chosen by the label when the user does not say it.
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  int64_t n_estimators = 100;
  double learning_rate = 0.1;
  // Shape of a tree.
  Growth growth = Growth::leaf;
  int64_t max_leaves = 31;
  int64_t max_depth = 0;  // 0: no limit (symmetric: 6)
  int64_t max_bins = 255;
  int64_t min_rows = 20;
  double min_hessian = 1e-3;
  double min_gain = 0;
  double lambda_l1 = 0;
  double lambda_l2 = 1;
  double max_step = 5;  // classification: of a leaf's value before learning_rate; 0: no limit
  // Categories.
  int64_t max_categories = 1000;  // of a feature, apart from all others; max_bins at least
  int64_t max_onehot = 16;        // up to so many categories: one against the rest
  double category_smooth = 10;    // added to the hessian when categories are sorted
  double category_l2 = 10;        // added to lambda_l2 for splits of sorted categories
  int64_t min_category_rows = 0;  // fewer rows in a node: the category is not sorted in
  // Sampling.
  double subsample = 1;
  double colsample_bytree = 1;
  double colsample_bylevel = 1;
  double colsample_bynode = 1;
  // The label.
  double scale_pos_weight = 1;
  double base_score = std::numeric_limits<double>::quiet_NaN();  // NaN: from the data
  // Stopping and evaluation.
  int64_t early_stopping_rounds = 0;  // 0: off
  std::vector<std::string> metrics;   // empty: the objective's own; the first one stops early
  uint64_t seed = 0;
};

struct ParameterInfo {
  std::string_view name;
  std::string_view type;  // "integer", "number", "choice", "list"
  std::string_view default_text;
  std::string_view range;  // for people, such as "2 to 65,535"
  std::vector<std::string_view> aliases;
  std::string_view documentation;
};
std::span<const ParameterInfo> parameter_table();

// Sets one parameter from text, as given to --set or in a configuration file. The name may be an
// alias; then a note such as "num_leaves is called max_leaves here" is added to notes, if given.
// Values that mean the same elsewhere are translated (max_depth=-1, grow_policy=lossguide).
// Returns invalid_input for an unknown name, with the nearest known one, and for a bad value.
Status set_parameter(Parameters& parameters, std::string_view name, std::string_view value,
                     std::vector<std::string>* notes = nullptr);

// The name here of a parameter that is called so or by an alias; empty for an unknown name.
std::string_view parameter_name(std::string_view name_or_alias);

// Checks the ranges and what only makes sense together; without what depends on the objective as
// long as that is to be chosen by the label.
Status validate(const Parameters& parameters, bool objective_is_chosen = true);

// All parameters as one JSON object in table order, and back. base_score NaN is null.
std::string to_json(const Parameters& parameters);
Result<Parameters> from_json(std::string_view json);

// Returns the name of the first parameter that differs in a way that forbids going on from
// another run's log, or an empty string: n_estimators and early_stopping_rounds may differ.
std::string first_difference(const Parameters& a, const Parameters& b);

}  // namespace evergrove::train
