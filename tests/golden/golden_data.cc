// SPDX-License-Identifier: Apache-2.0
#include "golden_data.h"

#include <limits>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/table/memory_source.h"

namespace evergrove::golden {
namespace {

using table::ColumnKind;
using table::ColumnValues;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// Uniform numbers in [0, 1), one for each (row, column).
class Dice {
 public:
  explicit Dice(std::string_view name) : key_(11, name) {}
  double at(size_t row, size_t column) const {
    return static_cast<double>(key_.at(row * 64 + column) >> 11) * 0x1p-53;
  }
  // About normal: twelve uniforms less six.
  double bell(size_t row, size_t column) const {
    double sum = 0;
    for (size_t i = 0; i < 12; ++i) sum += at(row, column + i);
    return sum - 6;
  }

 private:
  RandomKey key_;
};

struct Columns {
  std::vector<table::ColumnSpec> schema;
  std::vector<ColumnValues> values;
  size_t row_count;

  void number(const std::string& name, std::vector<double> column) {
    schema.push_back({name, ColumnKind::numeric, "double"});
    values.push_back(ColumnValues::of(std::move(column)));
  }
  // x0, x1, ...
  void numbers(const std::string& name, std::vector<std::vector<double>> of_columns) {
    for (size_t f = 0; f < of_columns.size(); ++f) {
      number(name + std::to_string(f), std::move(of_columns[f]));
    }
  }
  void category(const std::string& name, std::vector<int32_t> codes,
                std::vector<std::string> dictionary) {
    schema.push_back({name, ColumnKind::categorical, "string"});
    values.push_back(ColumnValues::of(std::move(codes), std::move(dictionary)));
  }
};

// One positive in about 150 rows, hidden in four of fifteen columns.
Columns fraud() {
  constexpr size_t kRows = 20'000;
  const Dice dice("fraud");
  Columns columns{{}, {}, kRows};
  std::vector<std::vector<double>> x(15);
  std::vector<double> label;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t f = 0; f < x.size(); ++f) {
      const double u = dice.at(row, f);
      // Amounts have a long tail, counts are whole, shares are often zero.
      x[f].push_back(f % 3 == 0   ? 20 * u / (1.02 - u)
                     : f % 3 == 1 ? static_cast<double>(static_cast<int>(u * u * 40))
                                  : (u < 0.7 ? 0 : (u - 0.7) / 0.3));
    }
    const bool risky = x[2][row] > 0.6 || (x[0][row] > 220 && x[1][row] < 9);
    label.push_back(dice.at(row, 20) < (risky ? 0.05 : 0.001) ? 1 : 0);
  }
  columns.numbers("x", std::move(x));
  columns.number("label", std::move(label));
  return columns;
}

// Numbers and categories with missing values among both, and a weight.
Columns census() {
  constexpr size_t kRows = 6'000;
  const Dice dice("census");
  Columns columns{{}, {}, kRows};
  std::vector<double> age, gain, weight, label;
  std::vector<int32_t> job, kind;
  std::vector<std::string> jobs, kinds = {"private", "state", "self"};
  for (int i = 0; i < 40; ++i) jobs.push_back("job " + std::to_string(i));
  for (size_t row = 0; row < kRows; ++row) {
    age.push_back(dice.at(row, 0) < 0.08 ? kMissing : 17 + static_cast<int>(dice.at(row, 1) * 70));
    gain.push_back(dice.at(row, 2) < 0.9 ? 0 : dice.at(row, 3) * 1e5);
    const double u = dice.at(row, 4);
    job.push_back(dice.at(row, 5) < 0.05 ? -1 : static_cast<int32_t>(u * u * 40));
    kind.push_back(dice.at(row, 6) < 0.03 ? -1 : static_cast<int32_t>(dice.at(row, 7) * 3));
    double score = (age[row] == age[row] ? (age[row] - 40) / 20 : 0.3) + gain[row] / 4e4;
    score += job[row] >= 0 && job[row] * 7 % 10 < 4 ? 0.8 : -0.3;
    label.push_back(score + dice.bell(row, 10) > 0.9 ? 1 : 0);
    weight.push_back(0.25 + static_cast<int>(dice.at(row, 30) * 8) / 4.0);
  }
  columns.number("age", std::move(age));
  columns.number("gain", std::move(gain));
  columns.category("job", std::move(job), std::move(jobs));
  columns.category("kind", std::move(kind), std::move(kinds));
  columns.number("weight", std::move(weight));
  columns.number("label", std::move(label));
  return columns;
}

Columns classes() {
  constexpr size_t kRows = 4'000;
  const Dice dice("classes");
  Columns columns{{}, {}, kRows};
  std::vector<std::vector<double>> x(8);
  std::vector<int32_t> label;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t f = 0; f < x.size(); ++f) x[f].push_back(dice.at(row, f) * 2 - 1);
    int32_t best = 0;
    double highest = -100;
    for (int32_t c = 0; c < 5; ++c) {
      const double score =
          x[c][row] * x[c + 1][row] * 4 + x[c + 3][row] - 0.2 * c + 0.5 * dice.bell(row, 10);
      if (score > highest) best = c, highest = score;
    }
    label.push_back(best);
  }
  columns.numbers("x", std::move(x));
  columns.category("label", std::move(label), {"ash", "beech", "cedar", "elm", "fir"});
  return columns;
}

// A target of whole numbers and a half, or one with a tail of a million times the median.
Columns numbers(bool heavy) {
  constexpr size_t kRows = 5'000;
  const Dice dice(heavy ? "heavy" : "numbers");
  Columns columns{{}, {}, kRows};
  std::vector<std::vector<double>> x(6);
  std::vector<double> label;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t f = 0; f < x.size(); ++f) x[f].push_back(dice.at(row, f));
    double y = 10 * x[0][row] * x[1][row] + 20 * (x[2][row] - 0.5) * (x[2][row] - 0.5) +
               5 * x[3][row] + 0.3 * dice.bell(row, 10);
    if (heavy) y = y * y * y / (1.0001 - dice.at(row, 30));
    label.push_back(y);
  }
  columns.numbers("x", std::move(x));
  columns.number("label", std::move(label));
  return columns;
}

}  // namespace

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* data : {"fraud", "census", "classes", "numbers", "heavy"}) {
    const std::string_view name(data);
    for (train::Growth growth :
         {train::Growth::leaf, train::Growth::depth, train::Growth::symmetric}) {
      for (bool sampled : {false, true}) {
        Case one;
        const char* words[] = {"leaf", "depth", "symmetric"};
        one.name = std::string(name) + " " + words[static_cast<int>(growth)] +
                   (sampled ? " sampled" : " whole");
        train::Parameters& p = one.parameters;
        p.objective = name == "classes"                      ? model::ObjectiveKind::multiclass
                      : name == "numbers" || name == "heavy" ? model::ObjectiveKind::regression
                                                             : model::ObjectiveKind::binary;
        p.n_estimators = name == "classes" ? 8 : 20;
        p.growth = growth;
        p.max_leaves = 25;
        p.seed = 3;
        if (growth != train::Growth::leaf) p.max_depth = 5;
        if (sampled) {
          p.subsample = 0.7;
          p.colsample_bytree = 0.8;
          p.colsample_bylevel = 0.9;
          p.colsample_bynode = 0.9;
          one.valid_fraction = 0.2;
          p.early_stopping_rounds = 10;
        }
        if (name == "census") one.weight = "weight";
        if (name == "numbers" && sampled) p.max_bins = 4'000;
        all.push_back(std::move(one));
      }
    }
  }
  return all;
}

std::shared_ptr<table::RowSource> rows_of(const Case& one, size_t block_rows) {
  const std::string data = one.name.substr(0, one.name.find(' '));
  CHECK(!data.empty());
  Columns columns = data == "fraud"     ? fraud()
                    : data == "census"  ? census()
                    : data == "classes" ? classes()
                                        : numbers(data == "heavy");
  return std::make_shared<table::MemorySource>(std::move(columns.schema), std::move(columns.values),
                                               columns.row_count, block_rows);
}

}  // namespace evergrove::golden
