// Rows and models for the tests of predicting: three labels over the same seven features.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/table/memory_source.h"
#include "evergrove/train/trainer.h"

namespace evergrove::runtime {

// Numbers (some missing), text, a weight; `fraud` is 0 or 1, `species` text, `price` a number.
struct Rows {
  size_t count;
  std::vector<std::vector<double>> numbers{4};
  std::vector<int32_t> colours, species;
  std::vector<double> weight, fraud, price;
  std::vector<std::string> colour_names{"red", "green", "blue", "black", "white"};
  std::vector<std::string> species_names{"setosa", "virginica", "versicolor"};

  explicit Rows(size_t row_count) : count(row_count) {
    const RandomKey key(11, "rows");
    const auto uniform = [&](size_t row, size_t what) {
      return double(key.at(row * 16 + what) >> 11) * 0x1p-53;
    };
    for (size_t row = 0; row < count; ++row) {
      double signal = 0;
      for (size_t f = 0; f < numbers.size(); ++f) {
        const double x = uniform(row, f);
        const bool missing = f == 1 && x < 0.15;
        numbers[f].push_back(missing ? std::nan("") : x);
        signal += missing ? 1 : std::sin(6 * x + double(f));
      }
      colours.push_back(static_cast<int32_t>(key.at(row * 16 + 8) % 6) - 1);
      signal += colours.back() % 2 == 0 ? 0.7 : -0.5;
      const double noise = uniform(row, 9);
      fraud.push_back(1 / (1 + exact::exp(1 - signal)) > noise ? 1 : 0);
      species.push_back(static_cast<int32_t>(signal + noise > 1) + (signal > 0 ? 1 : 0));
      price.push_back(100 * exact::exp(signal) + noise);
      weight.push_back(0.25 + uniform(row, 10));
    }
  }

  std::shared_ptr<table::MemorySource> source(const std::string& label,
                                              size_t block_rows = 65536) const {
    using table::ColumnKind;
    using table::ColumnValues;
    std::vector<table::ColumnSpec> schema;
    std::vector<ColumnValues> columns;
    const auto add = [&](const std::string& name, ColumnKind kind, ColumnValues values) {
      schema.push_back({name, kind, kind == ColumnKind::numeric ? "double" : "string"});
      columns.push_back(std::move(values));
    };
    for (size_t f = 0; f < numbers.size(); ++f) {
      add("x" + std::to_string(f), ColumnKind::numeric, ColumnValues::of(numbers[f]));
    }
    add("colour", ColumnKind::categorical, ColumnValues::of(colours, colour_names));
    add("w", ColumnKind::numeric, ColumnValues::of(weight));
    if (label == "species") {
      add(label, ColumnKind::categorical, ColumnValues::of(species, species_names));
    } else {
      add(label, ColumnKind::numeric, ColumnValues::of(label == "fraud" ? fraud : price));
    }
    return std::make_shared<table::MemorySource>(schema, columns, count, block_rows);
  }
};

struct Trained {
  model::Model model;
  std::vector<model::MetricValue> metrics;  // on the training data
};

inline Trained train_on(const table::RowSource& source, const std::string& label, bool weighted) {
  train::DataSpec spec;
  spec.data = std::shared_ptr<const table::RowSource>(&source, [](const auto*) {});
  spec.label = label;
  if (weighted) {
    spec.weight = "w";
  } else {
    spec.exclude = {"w"};
  }
  train::Parameters parameters;
  parameters.n_estimators = 8;
  parameters.max_leaves = 12;
  auto prepared = train::prepare(spec, parameters, nullptr, nullptr);
  EXPECT_TRUE(prepared.ok()) << prepared.status().message();
  auto trainer = train::Trainer::create(prepared->header, std::move(prepared->data));
  EXPECT_TRUE(trainer.ok()) << trainer.status().message();
  while (!(*trainer)->finished()) EXPECT_TRUE((*trainer)->next().ok());
  return {(*trainer)->model(), *(*trainer)->training_metrics()};
}

}  // namespace evergrove::runtime
