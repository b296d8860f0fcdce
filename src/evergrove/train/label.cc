// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/label.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "evergrove/base/check.h"
#include "evergrove/base/number_text.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/block_loop.h"

namespace evergrove::train {
namespace {

constexpr size_t kClassesMax = 1000;
constexpr double kTargetMax = 1e100;  // squares of sums over all rows and weights stay finite
__extension__ using Int128 = __int128;

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

std::string id_text(const RowIds& row_ids, uint64_t row) {
  return std::to_string(row_ids ? row_ids(row) : row);
}

struct BadRows {
  uint64_t count = 0;
  uint64_t first = 0;
  void add(uint64_t row) {
    if (count == 0 || row < first) first = row;
    ++count;
  }
  void add(const BadRows& other) {
    if (other.count == 0) return;
    first = count == 0 ? other.first : std::min(first, other.first);
    count += other.count;
  }
  Status refuse(std::string_view message, const std::string& column, const RowIds& ids) const {
    return invalid_input(
        message,
        {{"column", column}, {"rows", std::to_string(count)}, {"first row", id_text(ids, first)}});
  }
};

// Weights and targets as integers, for sums that have no order.
constexpr double kWeightUnits = 1048576;  // 2^20
int64_t weight_units(std::span<const float> weights, size_t row) {
  if (weights.empty()) return static_cast<int64_t>(kWeightUnits);
  return std::llrint(std::min(double(weights[row]), 1e12) * kWeightUnits);
}

// Zeros alone are refused when they are read; these are tiny, or the rest went to validation.
Status no_weight() {
  return invalid_input(
      "All weights of the training rows are 0 or as good as (below 5e-7); give larger ones");
}

int64_t to_units(double margin, int32_t exponent) {
  return std::llrint(std::clamp(std::ldexp(margin, -exponent), -0x1p52, 0x1p52));
}

// The distinct numbers, ascending; gives up beyond the limit.
std::vector<double> distinct_numbers(std::span<const double> numbers, size_t limit) {
  std::set<double> distinct;
  for (double x : numbers) {
    distinct.insert(x);
    if (distinct.size() > limit) break;
  }
  return {distinct.begin(), distinct.end()};
}

}  // namespace

Result<RawLabels> read_labels(const table::RowSource& source, const std::string& column,
                              const RowIds& row_ids) {
  EVERGROVE_ASSIGN_OR_RETURN(const size_t index, find_column(source, column, "label"));
  RawLabels labels;
  labels.column = column;
  labels.row_ids = row_ids;
  labels.is_text = source.schema().columns[index].kind == table::ColumnKind::categorical;
  const size_t row_count = source.manifest().row_count;
  if (labels.is_text) {
    labels.codes.resize(row_count);
  } else {
    labels.numbers.resize(row_count);
  }
  std::vector<BadRows> missing(source.blocks().size());
  std::vector<BadRows> infinite(source.blocks().size());
  std::vector<std::vector<std::string>> dictionaries(source.blocks().size());
  const size_t columns[] = {index};
  EVERGROVE_RETURN_IF_ERROR(
      for_each_block(source, columns, [&](size_t b, const table::RowBlock& block) -> Status {
        const table::ColumnValues& values = block.columns[0];
        for (size_t i = 0; i < block.row_count; ++i) {
          const uint64_t row = block.first_row + i;
          if (labels.is_text) {
            labels.codes[row] = values.codes[i];
            if (values.codes[i] < 0) missing[b].add(row);
          } else {
            labels.numbers[row] = values.number(i);
            if (std::isnan(labels.numbers[row])) missing[b].add(row);
            if (std::isinf(labels.numbers[row])) infinite[b].add(row);
          }
        }
        dictionaries[b] = values.dictionary;
        return {};
      }));
  BadRows all_missing;
  BadRows all_infinite;
  for (const BadRows& bad : missing) all_missing.add(bad);
  for (const BadRows& bad : infinite) all_infinite.add(bad);
  if (all_missing.count > 0) {
    return all_missing.refuse("The label has missing values; drop or fill those rows", column,
                              row_ids);
  }
  if (all_infinite.count > 0) {
    return all_infinite.refuse("The label has infinite values; drop or fix those rows", column,
                               row_ids);
  }
  if (!labels.is_text) return labels;

  // From each block's own codes to places among all names that rows have.
  std::map<std::string, int32_t> places;
  std::vector<std::vector<uint8_t>> used(dictionaries.size());
  for (size_t b = 0; b < dictionaries.size(); ++b) {
    used[b].assign(dictionaries[b].size(), 0);
    const table::BlockExtent extent = source.blocks()[b];
    for (size_t i = 0; i < extent.row_count; ++i) used[b][labels.codes[extent.first_row + i]] = 1;
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
    const table::BlockExtent extent = source.blocks()[b];
    for (size_t i = 0; i < extent.row_count; ++i) {
      int32_t& code = labels.codes[extent.first_row + i];
      code = place_of_code[code];
    }
  }
  return labels;
}

Result<std::vector<float>> read_weights(const table::RowSource& source, const std::string& column,
                                        const RowIds& row_ids) {
  EVERGROVE_ASSIGN_OR_RETURN(const size_t index, find_column(source, column, "weight"));
  if (source.schema().columns[index].kind != table::ColumnKind::numeric) {
    return invalid_input(
        "The weight must be a number, but its column holds text; name another column",
        {{"column", column}});
  }
  std::vector<float> weights(source.manifest().row_count);
  std::vector<BadRows> wrong(source.blocks().size());
  std::vector<BadRows> negative(source.blocks().size());
  std::vector<uint8_t> any_positive(source.blocks().size(), 0);
  const size_t columns[] = {index};
  EVERGROVE_RETURN_IF_ERROR(
      for_each_block(source, columns, [&](size_t b, const table::RowBlock& block) -> Status {
        for (size_t i = 0; i < block.row_count; ++i) {
          const double weight = block.columns[0].number(i);
          const uint64_t row = block.first_row + i;
          weights[row] = static_cast<float>(weight);
          if (!std::isfinite(weights[row])) wrong[b].add(row);
          if (weight < 0) negative[b].add(row);
          if (weight > 0) any_positive[b] = 1;
        }
        return {};
      }));
  BadRows all_wrong;
  BadRows all_negative;
  for (const BadRows& bad : wrong) all_wrong.add(bad);
  for (const BadRows& bad : negative) all_negative.add(bad);
  if (all_wrong.count > 0) {
    return all_wrong.refuse(
        "The weight has missing, NaN or infinite values (3.4e38 is the largest); fix those rows",
        column, row_ids);
  }
  if (all_negative.count > 0) {
    return all_negative.refuse("The weight has negative values; weights must be 0 or more", column,
                               row_ids);
  }
  const bool is_whole = !row_ids;
  if (is_whole && std::find(any_positive.begin(), any_positive.end(), 1) == any_positive.end()) {
    return invalid_input("All weights are 0; some row must count", {{"column", column}});
  }
  return weights;
}

model::ObjectiveKind suggested_objective(const RawLabels& labels) {
  if (labels.is_text) {
    return labels.names.size() <= 2 ? model::ObjectiveKind::binary
                                    : model::ObjectiveKind::multiclass;
  }
  return distinct_numbers(labels.numbers, 2).size() <= 2 ? model::ObjectiveKind::binary
                                                         : model::ObjectiveKind::regression;
}

Result<std::vector<std::string>> find_classes(const RawLabels& labels,
                                              model::ObjectiveKind objective) {
  std::vector<std::string> classes = labels.names;
  if (!labels.is_text) {
    for (double x : distinct_numbers(labels.numbers, kClassesMax)) {
      classes.push_back(number_text(x));
    }
  }
  if (classes.size() < 2) {
    return invalid_input(
        "The label is constant, so there is nothing to learn; check the column",
        {{"column", labels.column}, {"value", classes.empty() ? std::string("none") : classes[0]}});
  }
  if (classes.size() > kClassesMax) {
    return invalid_input("The label has too many classes; is it a number for regression?",
                         {{"column", labels.column}, {"at most", std::to_string(kClassesMax)}});
  }
  if (objective == model::ObjectiveKind::binary && classes.size() > 2) {
    std::string some;
    for (size_t i = 0; i < classes.size() && i < 5; ++i) some += (i > 0 ? ", " : "") + classes[i];
    return invalid_input(
        "A binary objective needs a label of two values; use objective multiclass or regression",
        {{"column", labels.column},
         {"distinct values", std::to_string(classes.size())},
         {"such as", some}});
  }
  return classes;
}

Result<std::vector<uint16_t>> to_classes(const RawLabels& labels,
                                         std::span<const std::string> classes) {
  std::map<std::string, uint16_t> places;
  for (size_t i = 0; i < classes.size(); ++i) places[classes[i]] = static_cast<uint16_t>(i);
  const auto refuse = [&](const std::string& name, size_t row) {
    return invalid_input(
        "The label has a value that is not among the model's classes; drop such rows, or "
        "train with them",
        {{"column", labels.column}, {"value", name}, {"row", id_text(labels.row_ids, row)}});
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

Result<std::vector<double>> to_targets(const RawLabels& labels, bool must_vary) {
  if (labels.is_text) {
    return invalid_input(
        "A regression needs a number as label, but the column holds text; name another "
        "column, or use objective multiclass",
        {{"column", labels.column}, {"such as", labels.names[0]}});
  }
  if (must_vary && distinct_numbers(labels.numbers, 1).size() < 2) {
    return invalid_input("The label is constant, so there is nothing to learn; check the column",
                         {{"column", labels.column}});
  }
  for (size_t row = 0; row < labels.numbers.size(); ++row) {
    if (std::abs(labels.numbers[row]) <= kTargetMax) continue;
    return invalid_input("The label has values beyond 1e100; divide it by a constant",
                         {{"column", labels.column},
                          {"value", number_text(labels.numbers[row])},
                          {"row", id_text(labels.row_ids, row)}});
  }
  return labels.numbers;
}

Result<MarginStart> margin_start(const Parameters& parameters, size_t class_count,
                                 std::span<const uint16_t> classes, std::span<const double> targets,
                                 std::span<const float> weights) {
  MarginStart start;
  const double given = parameters.base_score;
  if (parameters.objective == model::ObjectiveKind::regression) {
    double largest = 0;
    for (double y : targets) largest = std::max(largest, std::abs(y));
    // Targets take 40 bits, which leaves 12 for margins beyond them and for double's 53.
    start.value_exponent = largest > 0 ? std::max(std::ilogb(largest) + 1 - 40, -1000) : -32;
    Int128 sum = 0;
    Int128 weight_sum = 0;
    for (size_t row = 0; row < targets.size(); ++row) {
      const int64_t weight = weight_units(weights, row);
      sum += Int128{to_units(targets[row], start.value_exponent)} * weight;
      weight_sum += weight;
    }
    if (weight_sum == 0) return no_weight();
    start.base_margins = {std::isnan(given) ? std::llrint(double(sum) / double(weight_sum))
                                            : to_units(given, start.value_exponent)};
    return start;
  }
  std::vector<Int128> class_weights(class_count, 0);
  Int128 weight_sum = 0;
  for (size_t row = 0; row < classes.size(); ++row) {
    const int64_t weight = weight_units(weights, row);
    class_weights[classes[row]] += weight;
    weight_sum += weight;
  }
  if (weight_sum == 0) return no_weight();
  const auto share = [&](size_t k) {
    return std::clamp(double(class_weights[k]) / double(weight_sum), 1e-15, 1 - 1e-15);
  };
  if (parameters.objective == model::ObjectiveKind::binary) {
    const double p = std::isnan(given) ? share(1) : given;
    start.base_margins = {to_units(exact::log(p) - exact::log(1 - p), start.value_exponent)};
    return start;
  }
  for (size_t k = 0; k < class_count; ++k) {
    start.base_margins.push_back(to_units(exact::log(share(k)), start.value_exponent));
  }
  return start;
}

}  // namespace evergrove::train
