// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/label.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "evergrove/base/number_text.h"
#include "evergrove/train/block_loop.h"

namespace evergrove::train {
namespace {

constexpr double kTargetMax = 1e100;  // squares of sums over all rows and weights stay finite

Result<size_t> find_column(const table::RowSource& source, const std::string& name,
                           std::string_view role) {
  const auto index = source.schema().find(name);
  if (index) return *index;
  std::string known;
  for (size_t i = 0; i < source.schema().columns.size() && i < 20; ++i) {
    known += (i > 0 ? ", " : "") + source.schema().columns[i].name;
  }
  return invalid_input(
      "The data has no column for the " + std::string(role) + "; name one of its columns",
      {{"asked for", name}, {"columns", known}});
}

Status refuse(std::string_view message, const std::string& column, const BadRows& rows) {
  return invalid_input(message, {{"column", column},
                                 {"rows", std::to_string(rows.count)},
                                 {"first row", std::to_string(rows.first)}});
}

// From each block's own codes to places among all names that rows have.
void unify_codes(std::span<const table::BlockExtent> blocks,
                 const std::vector<std::vector<std::string>>& dictionaries, RawLabels& labels) {
  std::map<std::string, int32_t> places;
  std::vector<std::vector<uint8_t>> used(dictionaries.size());
  for (size_t b = 0; b < dictionaries.size(); ++b) {
    used[b].assign(dictionaries[b].size(), 0);
    for (size_t i = 0; i < blocks[b].row_count; ++i) {
      const int32_t code = labels.codes[blocks[b].first_row + i];
      if (code >= 0) used[b][code] = 1;
    }
    for (size_t code = 0; code < dictionaries[b].size(); ++code) {
      if (used[b][code]) places.emplace(dictionaries[b][code], 0);
    }
  }
  for (auto& [name, place] : places) {
    place = static_cast<int32_t>(labels.names.size());
    labels.names.push_back(name);
  }
  for (size_t b = 0; b < dictionaries.size(); ++b) {
    std::vector<int32_t> place_of_code(dictionaries[b].size(), -1);
    for (size_t code = 0; code < dictionaries[b].size(); ++code) {
      if (used[b][code]) place_of_code[code] = places[dictionaries[b][code]];
    }
    for (size_t i = 0; i < blocks[b].row_count; ++i) {
      int32_t& code = labels.codes[blocks[b].first_row + i];
      if (code >= 0) code = place_of_code[code];
    }
  }
}

}  // namespace

void BadRows::merge(const BadRows& other) {
  if (other.count == 0) return;
  first = count == 0 ? other.first : std::min(first, other.first);
  count += other.count;
}

Result<RawLabels> read_raw_labels(const table::RowSource& source, const std::string& column,
                                  const RowIds& row_ids) {
  EVERGROVE_ASSIGN_OR_RETURN(const size_t index, find_column(source, column, "label"));
  RawLabels labels;
  labels.column = column;
  labels.row_ids = row_ids;
  labels.is_text = source.schema().columns[index].kind == table::ColumnKind::categorical;
  const size_t row_count = source.row_count();
  if (labels.is_text) {
    labels.codes.resize(row_count);
  } else {
    labels.numbers.resize(row_count);
  }
  const size_t block_count = source.blocks().size();
  std::vector<BadRows> missing(block_count);
  std::vector<BadRows> infinite(block_count);
  std::vector<std::vector<std::string>> dictionaries(block_count);
  const size_t columns[] = {index};
  EVERGROVE_RETURN_IF_ERROR(
      for_each_block(source, columns, [&](size_t b, const table::RowBlock& block) -> Status {
        const table::ColumnValues& values = block.columns[0];
        for (size_t i = 0; i < block.row_count; ++i) {
          const uint64_t row = block.first_row + i;
          if (labels.is_text) {
            labels.codes[row] = values.codes[i];
            if (values.codes[i] < 0) missing[b].add(labels.row_id(row));
          } else {
            labels.numbers[row] = values.number(i) + 0.0;  // -0 is 0
            if (std::isnan(labels.numbers[row])) missing[b].add(labels.row_id(row));
            if (std::isinf(labels.numbers[row])) infinite[b].add(labels.row_id(row));
          }
        }
        dictionaries[b] = values.dictionary;
        return {};
      }));
  for (const BadRows& bad : missing) labels.missing.merge(bad);
  for (const BadRows& bad : infinite) labels.infinite.merge(bad);
  if (labels.is_text) unify_codes(source.blocks(), dictionaries, labels);
  return labels;
}

Result<RawWeights> read_raw_weights(const table::RowSource& source, const std::string& column,
                                    const RowIds& row_ids) {
  EVERGROVE_ASSIGN_OR_RETURN(const size_t index, find_column(source, column, "weight"));
  if (source.schema().columns[index].kind != table::ColumnKind::numeric) {
    return invalid_input(
        "The weight must be a number, but its column holds text; name another column",
        {{"column", column}});
  }
  const auto row_id = [&](uint64_t row) { return row_ids ? row_ids(row) : row; };
  RawWeights weights;
  weights.values.resize(source.row_count());
  const size_t block_count = source.blocks().size();
  std::vector<BadRows> not_finite(block_count);
  std::vector<BadRows> negative(block_count);
  std::vector<uint8_t> any_positive(block_count, 0);
  const size_t columns[] = {index};
  EVERGROVE_RETURN_IF_ERROR(
      for_each_block(source, columns, [&](size_t b, const table::RowBlock& block) -> Status {
        for (size_t i = 0; i < block.row_count; ++i) {
          const double weight = block.columns[0].number(i);
          const uint64_t row = block.first_row + i;
          weights.values[row] = static_cast<float>(weight);
          if (!std::isfinite(weights.values[row])) not_finite[b].add(row_id(row));
          if (weight < 0) negative[b].add(row_id(row));
          if (weight > 0) any_positive[b] = 1;
        }
        return {};
      }));
  for (const BadRows& bad : not_finite) weights.not_finite.merge(bad);
  for (const BadRows& bad : negative) weights.negative.merge(bad);
  for (const uint8_t any : any_positive) weights.any_positive |= any != 0;
  return weights;
}

Status refuse_labels(const BadRows& missing, const BadRows& infinite, const std::string& column) {
  if (missing.count > 0) {
    return refuse("The label has missing values; drop or fill those rows", column, missing);
  }
  if (infinite.count > 0) {
    return refuse("The label has infinite values; drop or fix those rows", column, infinite);
  }
  return {};
}

Status refuse_weights(const BadRows& not_finite, const BadRows& negative,
                      const std::string& column) {
  if (not_finite.count > 0) {
    return refuse(
        "The weight has missing, NaN or infinite values (3.4e38 is the largest); fix those rows",
        column, not_finite);
  }
  if (negative.count > 0) {
    return refuse("The weight has negative values; weights must be 0 or more", column, negative);
  }
  return {};
}

Status all_weights_are_zero(const std::string& column) {
  return invalid_input("All weights are 0; some row must count", {{"column", column}});
}

Result<RawLabels> read_labels(const table::RowSource& source, const std::string& column,
                              const RowIds& row_ids) {
  EVERGROVE_ASSIGN_OR_RETURN(RawLabels labels, read_raw_labels(source, column, row_ids));
  EVERGROVE_RETURN_IF_ERROR(refuse_labels(labels.missing, labels.infinite, column));
  return labels;
}

Result<std::vector<float>> read_weights(const table::RowSource& source, const std::string& column,
                                        const RowIds& row_ids) {
  EVERGROVE_ASSIGN_OR_RETURN(RawWeights weights, read_raw_weights(source, column, row_ids));
  EVERGROVE_RETURN_IF_ERROR(refuse_weights(weights.not_finite, weights.negative, column));
  if (!row_ids && !weights.any_positive) return all_weights_are_zero(column);
  return std::move(weights.values);
}

Result<std::vector<uint16_t>> to_classes(const RawLabels& labels,
                                         std::span<const std::string> classes) {
  std::map<std::string, uint16_t> places;
  for (size_t i = 0; i < classes.size(); ++i) places[classes[i]] = static_cast<uint16_t>(i);
  const auto refuse = [&](const std::string& name, size_t row) {
    return refuse_class(labels.column, name, labels.row_id(row));
  };
  std::vector<uint16_t> result;
  if (labels.is_text) {
    std::vector<int32_t> place_of_code;
    for (const std::string& name : labels.names) {
      const auto found = places.find(name);
      place_of_code.push_back(found == places.end() ? -1 : found->second);
    }
    result.resize(labels.codes.size());
    for (size_t row = 0; row < result.size(); ++row) {
      const int32_t place = place_of_code[labels.codes[row]];
      if (place < 0) return refuse(labels.names[labels.codes[row]], row);
      result[row] = static_cast<uint16_t>(place);
    }
    return result;
  }
  std::map<double, int32_t> place_of_number;
  result.resize(labels.numbers.size());
  double last = std::nan("");
  int32_t last_place = -1;
  for (size_t row = 0; row < result.size(); ++row) {
    const double x = labels.numbers[row];
    if (x != last) {
      const auto known = place_of_number.find(x);
      if (known != place_of_number.end()) {
        last_place = known->second;
      } else {
        const auto found = places.find(number_text(x));
        if (found == places.end()) return refuse(number_text(x), row);
        last_place = place_of_number[x] = found->second;
      }
      last = x;
    }
    result[row] = static_cast<uint16_t>(last_place);
  }
  return result;
}

Status refuse_class(const std::string& column, const std::string& value, uint64_t row_id) {
  return invalid_input(
      "The label has a value that is not among the model's classes; drop such rows, or "
      "train with them",
      {{"column", column}, {"value", value}, {"row", std::to_string(row_id)}});
}

Result<std::vector<double>> to_targets(const RawLabels& labels) {
  if (labels.is_text) return refuse_text_target(labels.column, labels.names[0]);
  for (size_t row = 0; row < labels.numbers.size(); ++row) {
    const double target = labels.numbers[row];
    if (is_too_large(target)) return refuse_target(labels.column, target, labels.row_id(row));
  }
  return labels.numbers;
}

bool is_too_large(double target) { return std::abs(target) > kTargetMax; }

Status refuse_target(const std::string& column, double value, uint64_t row_id) {
  return invalid_input(
      "The label has values beyond 1e100; divide it by a constant",
      {{"column", column}, {"value", number_text(value)}, {"row", std::to_string(row_id)}});
}

Status refuse_text_target(const std::string& column, const std::string& value) {
  return invalid_input(
      "A regression needs a number as label, but the column holds text; name another "
      "column, or use objective multiclass",
      {{"column", column}, {"such as", value}});
}

}  // namespace evergrove::train
