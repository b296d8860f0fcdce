// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/features.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <unordered_map>

#include "evergrove/bins/cuts.h"

namespace evergrove::train {
namespace {

using table::ColumnKind;

constexpr size_t kCategoriesMax = 100'000;

// What a pass gathers of one column; guarded by the mutex while blocks come in.
struct ColumnSample {
  std::mutex mutex;
  std::vector<double> values;                        // numeric: the sample
  std::unordered_map<std::string, uint64_t> counts;  // categorical: rows by category
  bool too_many = false;
};

void add_numbers(const table::RowBlock& block, const table::ColumnValues& column,
                 const bins::RowSample& sample, const std::function<bool(uint64_t)>& in_training,
                 ColumnSample& to) {
  std::vector<double> values;
  for (size_t i = 0; i < block.row_count; ++i) {
    const uint64_t row = block.first_row + i;
    if (!sample.has(row) || (in_training && !in_training(row))) continue;
    const double value = column.number(i);
    if (!std::isnan(value)) values.push_back(value);
  }
  std::lock_guard lock(to.mutex);
  to.values.insert(to.values.end(), values.begin(), values.end());
}

// Returns whether there are still few enough.
bool add_categories(const table::RowBlock& block, const table::ColumnValues& column,
                    const std::function<bool(uint64_t)>& in_training, ColumnSample& to) {
  std::vector<uint64_t> counts(column.dictionary.size(), 0);
  for (size_t i = 0; i < block.row_count; ++i) {
    if (in_training && !in_training(block.first_row + i)) continue;
    if (column.codes[i] >= 0) ++counts[column.codes[i]];
  }
  std::lock_guard lock(to.mutex);
  if (to.too_many) return false;
  for (size_t code = 0; code < counts.size(); ++code) {
    if (counts[code] > 0) to.counts[column.dictionary[code]] += counts[code];
  }
  to.too_many = to.counts.size() > kCategoriesMax;
  return !to.too_many;
}

void finish(ColumnSample& sample, const Parameters& parameters, model::Feature& feature) {
  const auto bins_max = static_cast<uint32_t>(parameters.max_bins);
  if (feature.kind == ColumnKind::numeric) {
    feature.cuts = bins::make_cuts(std::move(sample.values), bins_max);
    return;
  }
  std::vector<std::pair<std::string, uint64_t>> counted(sample.counts.begin(), sample.counts.end());
  std::sort(counted.begin(), counted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (counted.size() > bins_max) counted.resize(bins_max);
  for (auto& [name, count] : counted) feature.categories.push_back(name);
}

std::string_view kind_text(ColumnKind kind) {
  return kind == ColumnKind::numeric ? "numbers" : "categories";
}

}  // namespace

bool is_index_column(std::string_view name) {
  return name.starts_with("__index_level_") && name.ends_with("__");
}

Result<std::vector<size_t>> feature_columns(const DataSpec& spec) {
  const table::Schema& schema = spec.data->schema();
  for (const auto* names : {&spec.exclude, &spec.categorical}) {
    for (const std::string& name : *names) {
      if (schema.find(name)) continue;
      return invalid_input(
          "The data has no such column; check the name",
          {{"column", name}, {"given to", names == &spec.exclude ? "exclude" : "categorical"}});
    }
  }
  std::vector<size_t> columns;
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    const std::string& name = schema.columns[i].name;
    if (name == spec.label || name == spec.weight || is_index_column(name) ||
        std::find(spec.exclude.begin(), spec.exclude.end(), name) != spec.exclude.end()) {
      continue;
    }
    if (!schema.columns[i].usable) {
      return invalid_input("A column has a type that cannot be learnt from; exclude it",
                           {{"column", name}, {"type", schema.columns[i].source_type}});
    }
    columns.push_back(i);
  }
  if (columns.empty()) {
    return invalid_input(
        "The data has no column to learn from besides label and weight; exclude fewer");
  }
  return columns;
}

Result<std::vector<size_t>> match_columns(std::span<const model::Feature> features,
                                          const table::RowSource& source,
                                          std::string_view data_name) {
  std::vector<size_t> columns;
  for (const model::Feature& feature : features) {
    const auto index = source.schema().find(feature.name);
    if (!index) {
      return invalid_input(
          "The data lacks a column that the model needs; add it as it was in training",
          {{"column", feature.name}, {"data", std::string(data_name)}});
    }
    const table::ColumnSpec& column = source.schema().columns[*index];
    if (column.kind != feature.kind) {
      return invalid_input("A column has another type than in training; give it as it was then",
                           {{"column", feature.name},
                            {"in training", std::string(kind_text(feature.kind))},
                            {"here", column.source_type},
                            {"data", std::string(data_name)}});
    }
    columns.push_back(*index);
  }
  return columns;
}

Result<std::vector<model::Feature>> find_features(
    const table::RowSource& source, std::span<const size_t> columns, const Parameters& parameters,
    const std::function<bool(uint64_t row)>& in_training, uint64_t training_row_count,
    ProgressMeter& meter) {
  const bins::RowSample row_sample(parameters.seed, training_row_count);
  std::vector<model::Feature> features(columns.size());
  std::vector<ColumnSample> samples(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    const table::ColumnSpec& column = source.schema().columns[columns[i]];
    features[i].name = column.name;
    features[i].kind = column.kind;
  }
  EVERGROVE_RETURN_IF_ERROR(for_each_column(
      source, columns, meter,
      [&](size_t, size_t i, const table::RowBlock& block,
          const table::ColumnValues& values) -> Status {
        if (features[i].kind == ColumnKind::numeric) {
          add_numbers(block, values, row_sample, in_training, samples[i]);
          return {};
        }
        if (add_categories(block, values, in_training, samples[i])) return {};
        return invalid_input(
            "A text column has too many categories; exclude it (an identifier?) or group its "
            "values",
            {{"column", features[i].name}, {"at most", std::to_string(kCategoriesMax)}});
      },
      [&](size_t i) {
        finish(samples[i], parameters, features[i]);
        samples[i].values = {};
        samples[i].counts = {};
      }));
  return features;
}

}  // namespace evergrove::train
