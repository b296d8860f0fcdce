// Labels and weights: reading them from a source, checking them, and what is learnt from them
// before the first tree (classes, the objective, base margins).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"
#include "evergrove/train/parameters.h"

namespace evergrove::train {

// The ids of rows in the data set that a source is a part of; messages name rows by them. Null: the
// source is a whole data set, and its rows' places are their ids.
using RowIds = std::function<uint64_t(uint64_t row)>;

// One value a row: numbers, or codes into names (text).
struct RawLabels {
  std::string column;
  RowIds row_ids;
  bool is_text = false;
  std::vector<double> numbers;
  std::vector<int32_t> codes;
  std::vector<std::string> names;  // text: distinct, ascending
};

// Reads the label of every row. Refuses a missing column and missing or infinite values.
Result<RawLabels> read_labels(const table::RowSource& source, const std::string& column,
                              const RowIds& row_ids = nullptr);

// Reads the weight of every row; refuses text, missing, infinite and negative ones, and of a whole
// data set all zero.
Result<std::vector<float>> read_weights(const table::RowSource& source, const std::string& column,
                                        const RowIds& row_ids = nullptr);

// The objective that the label suggests: text or two distinct values are classes, else a number.
model::ObjectiveKind suggested_objective(const RawLabels& labels);

// The classes of the rows, as names in order: numbers ascending (named by number_text()), text in
// byte order. Refuses a constant label, and more than two classes for binary.
Result<std::vector<std::string>> find_classes(const RawLabels& labels,
                                              model::ObjectiveKind objective);
// Each row's place in classes; refuses a value that is not among them.
Result<std::vector<uint16_t>> to_classes(const RawLabels& labels,
                                         std::span<const std::string> classes);
// The numbers of a regression label; refuses text, and a constant one if must_vary.
Result<std::vector<double>> to_targets(const RawLabels& labels, bool must_vary);

// Where margins start and what their unit is. Sums are exact integers, so the order of the rows is
// all the same.
struct MarginStart {
  int32_t value_exponent = -32;
  std::vector<int64_t> base_margins;
};
Result<MarginStart> margin_start(const Parameters& parameters, size_t class_count,
                                 std::span<const uint16_t> classes, std::span<const double> targets,
                                 std::span<const float> weights);

}  // namespace evergrove::train
