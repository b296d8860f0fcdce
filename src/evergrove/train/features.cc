// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"

namespace evergrove::train {
namespace {

using table::ColumnKind;

constexpr size_t kCategoriesMax = 100'000;

// Adds a block to what is known of its column; guarded by a mutex while blocks come in.
class ColumnReader {
 public:
  explicit ColumnReader(bool is_numeric) : is_numeric_(is_numeric) {}

  // Returns whether there are still few enough categories.
  bool add(size_t block_index, const table::RowBlock& block, const table::ColumnValues& values,
           BlockSamples& samples) {
    const PhaseScope scope(Phase::sample);
    ColumnFacts here;
    if (is_numeric_) {
      const std::span<const uint32_t> places = samples.of(block_index, block);
      values.f32.empty() ? add_numbers(values.f64, places, here)
                         : add_numbers(values.f32, places, here);
    } else {
      add_categories(block, values, samples.rows(), here);
    }
    const std::lock_guard lock(mutex_);
    facts_.merge(std::move(here));
    return !facts_.has_too_many;
  }
  ColumnFacts take() { return std::move(facts_); }

 private:
  template <typename Number>
  static void add_numbers(std::span<const Number> values, std::span<const uint32_t> places,
                          ColumnFacts& to) {
    const auto others = std::make_unique_for_overwrite<double[]>(places.size());
    size_t count = 0;
    uint64_t zeros = 0;
    for (const uint32_t place : places) {
      const auto value = double{values[place]};
      others[count] = value;
      count += value < 0 || value > 0 ? 1 : 0;  // NaN is neither
      zeros += value == 0 ? 1 : 0;
    }
    to.sample.assign(others.get(), others.get() + count);
    to.zeros = zeros;
  }
  static void add_categories(const table::RowBlock& block, const table::ColumnValues& values,
                             const TrainingRows& rows, ColumnFacts& to) {
    std::vector<uint64_t> counts(values.dictionary.size(), 0);
    for (size_t i = 0; i < block.row_count; ++i) {
      if (rows.in_training && !rows.in_training(block.first_row + i)) continue;
      if (values.codes[i] >= 0) ++counts[values.codes[i]];
    }
    for (size_t code = 0; code < counts.size(); ++code) {
      if (counts[code] > 0) to.counts[values.dictionary[code]] += counts[code];
    }
  }

  bool is_numeric_;
  std::mutex mutex_;
  ColumnFacts facts_;
};

Status refuse_categories(const std::string& column) {
  return invalid_input(
      "A text column has too many categories; exclude it (an identifier?) or group its values",
      {{"column", column}, {"at most", std::to_string(kCategoriesMax)}});
}

// Whether all are numbers of 32 bits, as those of such a column are.
bool are_narrow(std::span<const double> values) {
  bool are = true;
  for (const double value : values) {
    const bool is_small = std::abs(value) <= double{std::numeric_limits<float>::max()};
    are &= is_small && double{static_cast<float>(is_small ? value : 0)} == value;
  }
  return are;
}

template <typename Number>
std::string_view bytes_of(std::span<const Number> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

// Bytes of each, how many, and they themselves; these are most of what a part says.
void write_numbers(std::span<const double> numbers, ByteWriter& out) {
  const bool are_32 = are_narrow(numbers);
  out.u8(are_32 ? 4 : 8).u32(static_cast<uint32_t>(numbers.size()));
  out.reserve(numbers.size() * (are_32 ? 4 : 8));
  if (!are_32) {
    out.raw(bytes_of(numbers));
    return;
  }
  std::array<float, 1024> some;
  for (size_t first = 0; first < numbers.size(); first += some.size()) {
    const size_t count = std::min(some.size(), numbers.size() - first);
    for (size_t i = 0; i < count; ++i) some[i] = static_cast<float>(numbers[first + i]);
    out.raw(bytes_of(std::span<const float>(some).first(count)));
  }
}

template <typename Number>
std::vector<double> numbers_of(std::string_view bytes) {
  std::vector<double> numbers(bytes.size() / sizeof(Number));
  for (size_t i = 0; i < numbers.size(); ++i) {
    Number number;
    std::memcpy(&number, bytes.data() + i * sizeof(Number), sizeof(Number));
    numbers[i] = double{number};
  }
  return numbers;
}

// Fails where one is none.
std::vector<double> read_numbers(ByteReader& in) {
  const uint8_t bytes_each = in.u8();
  if (bytes_each != 4 && bytes_each != 8) in.fail();
  const size_t count = in.ok() ? in.count(bytes_each) : 0;
  const std::string_view bytes = in.raw(count * bytes_each);
  std::vector<double> numbers =
      bytes_each == 4 ? numbers_of<float>(bytes) : numbers_of<double>(bytes);
  size_t nan_count = 0;
  for (const double number : numbers) nan_count += number != number ? 1 : 0;
  if (nan_count > 0) in.fail();
  return numbers;
}

bool is_ascending(std::span<const double> numbers) {
  return std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) ==
         numbers.end();
}

std::deque<ColumnReader> readers_of(const table::RowSource& source,
                                    std::span<const size_t> columns) {
  std::deque<ColumnReader> readers;  // they do not move
  for (const size_t column : columns) {
    readers.emplace_back(source.schema().columns[column].kind == ColumnKind::numeric);
  }
  return readers;
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

std::span<const uint32_t> BlockSamples::of(size_t block_index, const table::RowBlock& block) {
  Block& known = blocks_[block_index];
  std::call_once(known.is_known, [&] {
    // Rows of a block follow one another, in whatever source they are counted.
    const uint64_t first_id = rows_.row_ids ? rows_.row_ids(block.first_row) : block.first_row;
    for (uint32_t i = 0; i < block.row_count; ++i) {
      if (!rows_.sample.has(first_id + i)) continue;
      if (!rows_.in_training || rows_.in_training(block.first_row + i)) known.places.push_back(i);
    }
  });
  return known.places;
}

void ColumnFacts::merge(ColumnFacts other) {
  if (sample.empty()) {
    sample = std::move(other.sample);
  } else {
    sample.insert(sample.end(), other.sample.begin(), other.sample.end());
  }
  zeros += other.zeros;
  has_too_many |= other.has_too_many;
  if (!has_too_many) {
    if (counts.empty()) counts.swap(other.counts);
    for (const auto& [name, count] : other.counts) counts[name] += count;
    has_too_many = counts.size() > kCategoriesMax;
  }
  if (has_too_many) counts.clear();
}

void ColumnFacts::find_cuts(uint32_t bins_max) {
  const PhaseScope scope(Phase::cut);
  cuts = bins::make_cuts(std::exchange(sample, {}), bins_max, std::exchange(zeros, 0));
}

void ColumnFacts::encode(ByteWriter& out) const {
  out.u8(has_too_many).u64(zeros).u8(cuts.has_value());
  write_numbers(cuts ? *cuts : sample, out);
  out.u32(static_cast<uint32_t>(counts.size()));
  for (const auto& [name, count] : counts) out.string(name).varint(count);
}

Result<ColumnFacts> ColumnFacts::decode(ByteReader& in) {
  ColumnFacts facts;
  facts.has_too_many = in.u8() != 0;
  facts.zeros = in.u64();
  const uint8_t has_cuts = in.u8();
  if (has_cuts > 1) in.fail();
  if (has_cuts == 0) {
    facts.sample = read_numbers(in);
  } else {
    facts.cuts = read_numbers(in);
    if (!is_ascending(*facts.cuts)) in.fail();
  }
  const uint32_t name_count = in.count(5);
  for (uint32_t i = 0; i < name_count && in.ok(); ++i) {
    std::string name = in.string();
    facts.counts[std::move(name)] = in.varint();
  }
  if (!in.ok()) return corrupt("What a part says of its columns is cut off or makes no sense");
  return facts;
}

Result<std::vector<ColumnFacts>> read_column_facts(const table::RowSource& source,
                                                   std::span<const size_t> columns,
                                                   BlockSamples& samples, ProgressMeter& meter) {
  std::deque<ColumnReader> readers = readers_of(source, columns);
  EVERGROVE_RETURN_IF_ERROR(for_each_column(
      source, columns, meter,
      [&](size_t block_index, size_t i, const table::RowBlock& block,
          const table::ColumnValues& values) -> Status {
        readers[i].add(block_index, block, values, samples);
        return {};
      },
      nullptr));
  std::vector<ColumnFacts> facts;
  for (ColumnReader& reader : readers) facts.push_back(reader.take());
  return facts;
}

Result<model::Feature> make_feature(const table::ColumnSpec& column, ColumnFacts facts,
                                    const Parameters& parameters) {
  if (facts.has_too_many) return refuse_categories(column.name);
  model::Feature feature;
  feature.name = column.name;
  feature.kind = column.kind;
  const auto bins_max = static_cast<uint32_t>(parameters.max_bins);
  if (feature.kind == ColumnKind::numeric) {
    if (!facts.cuts) facts.find_cuts(bins_max);
    if (facts.cuts->size() >= bins_max) {
      return corrupt("A worker has cut a column into more bins than were asked for",
                     {{"column", column.name}});
    }
    feature.cuts = *std::move(facts.cuts);
    return feature;
  }
  std::vector<std::pair<std::string, uint64_t>> counted(facts.counts.begin(), facts.counts.end());
  std::sort(counted.begin(), counted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  const size_t categories_max =
      std::max<size_t>(bins_max, static_cast<size_t>(parameters.max_categories));
  if (counted.size() > categories_max) counted.resize(categories_max);
  for (auto& [name, count] : counted) feature.categories.push_back(name);
  return feature;
}

Result<std::vector<model::Feature>> find_features(const table::RowSource& source,
                                                  std::span<const size_t> columns,
                                                  const Parameters& parameters,
                                                  const TrainingRows& rows, ProgressMeter& meter,
                                                  const ColumnTaker& take) {
  CHECK(!take || source.reads_single_columns());
  std::deque<ColumnReader> readers = readers_of(source, columns);
  BlockSamples samples(source, rows);
  std::vector<Result<model::Feature>> found(columns.size(), model::Feature());
  std::vector<std::vector<table::RowBlock>> kept(
      columns.size(), std::vector<table::RowBlock>(take ? source.blocks().size() : 0));
  const auto column_of = [&](size_t i) -> const table::ColumnSpec& {
    return source.schema().columns[columns[i]];
  };
  EVERGROVE_RETURN_IF_ERROR(for_each_column(
      source, columns, meter,
      [&](size_t block_index, size_t i, const table::RowBlock& block,
          const table::ColumnValues& values) -> Status {
        if (!readers[i].add(block_index, block, values, samples)) {
          return refuse_categories(column_of(i).name);
        }
        if (take) kept[i][block_index] = block;
        return {};
      },
      [&](size_t i) {
        found[i] = make_feature(column_of(i), readers[i].take(), parameters);
        if (take && found[i].ok()) take(i, *found[i], kept[i]);
        kept[i].clear();
      }));
  std::vector<model::Feature> features;
  for (Result<model::Feature>& feature : found) {
    EVERGROVE_ASSIGN_OR_RETURN(features.emplace_back(), std::move(feature));
  }
  return features;
}

}  // namespace evergrove::train
