// Labels and weights: reading them from a source, or a part of one, and checking them. What follows
// from all of them together is in label_facts.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

namespace evergrove::train {

// The ids of rows in the data set that a source is a part of; messages name rows by them. Null: the
// source is a whole data set, and its rows' places are their ids.
using RowIds = std::function<uint64_t(uint64_t row)>;

// Rows that are refused: how many, and the id of the first.
struct BadRows {
  uint64_t count = 0;
  uint64_t first = 0;
  void add(uint64_t row) { merge({1, row}); }
  void merge(const BadRows& other);
  bool operator==(const BadRows&) const = default;
};

// One value a row: numbers, or codes into names (text).
struct RawLabels {
  std::string column;
  RowIds row_ids;
  bool is_text = false;
  std::vector<double> numbers;
  std::vector<int32_t> codes;      // -1 where the label is missing
  std::vector<std::string> names;  // text: distinct, ascending
  BadRows missing, infinite;

  uint64_t row_id(uint64_t row) const { return row_ids ? row_ids(row) : row; }
  size_t row_count() const { return is_text ? codes.size() : numbers.size(); }
};
struct RawWeights {
  std::vector<float> values;
  BadRows not_finite, negative;
  bool any_positive = false;
};

// Reads the label or weight of every row; bad rows are counted. Refuses a missing column, and text
// as weight.
Result<RawLabels> read_raw_labels(const table::RowSource& source, const std::string& column,
                                  const RowIds& row_ids = nullptr);
Result<RawWeights> read_raw_weights(const table::RowSource& source, const std::string& column,
                                    const RowIds& row_ids = nullptr);
// Refuse a label that is missing or infinite, and a weight that is missing, infinite or negative.
Status refuse_labels(const BadRows& missing, const BadRows& infinite, const std::string& column);
Status refuse_weights(const BadRows& not_finite, const BadRows& negative,
                      const std::string& column);

// Both at once, for rows of which none may be bad; weights of a whole data set may not be all 0.
Result<RawLabels> read_labels(const table::RowSource& source, const std::string& column,
                              const RowIds& row_ids = nullptr);
Result<std::vector<float>> read_weights(const table::RowSource& source, const std::string& column,
                                        const RowIds& row_ids = nullptr);
Status all_weights_are_zero(const std::string& column);

// Each row's place in classes; refuses a value that is not among them. Requires: no bad rows.
Result<std::vector<uint16_t>> to_classes(const RawLabels& labels,
                                         std::span<const std::string> classes);
Status refuse_class(const std::string& column, const std::string& value, uint64_t row_id);
// The numbers of a regression label; refuses text and what is_too_large().
Result<std::vector<double>> to_targets(const RawLabels& labels);
bool is_too_large(double target);
Status refuse_target(const std::string& column, double value, uint64_t row_id);
Status refuse_text_target(const std::string& column, const std::string& value);

}  // namespace evergrove::train
