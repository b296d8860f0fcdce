// Rows for the tests of this module: a source with numbers, categories and missing values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/runtime/training_run.h"
#include "evergrove/table/memory_source.h"

namespace evergrove::runtime {

// A source whose manifest can be made to look like that of files.
class TestingSource final : public table::RowSource {
 public:
  TestingSource(std::shared_ptr<table::MemorySource> rows, std::string fingerprint)
      : rows_(std::move(rows)), manifest_(rows_->manifest()) {
    manifest_.files[0].path = "rows.parquet";
    manifest_.files[0].fingerprint = std::move(fingerprint);
  }
  const table::Schema& schema() const override { return rows_->schema(); }
  const table::Manifest& manifest() const override { return manifest_; }
  std::span<const table::BlockExtent> blocks() const override { return rows_->blocks(); }
  Result<table::RowBlock> read(size_t block, std::span<const size_t> columns) const override {
    return rows_->read(block, columns);
  }

 private:
  std::shared_ptr<table::MemorySource> rows_;
  table::Manifest manifest_;
};

// Columns "a", "b" (numbers, some missing in b), "colour" and the label "y" (0 or 1), or
// "species" of three classes.
inline std::shared_ptr<table::RowSource> testing_rows(size_t row_count, bool three_classes = false,
                                                      std::string fingerprint = "1") {
  const RandomKey key(5, "testing rows");
  std::vector<double> a, b, y;
  std::vector<int32_t> colours, species;
  for (size_t row = 0; row < row_count; ++row) {
    const auto dice = [&](uint64_t i) {
      return static_cast<double>(key.at(row * 8 + i) >> 11) * 0x1p-53;
    };
    a.push_back(dice(0));
    b.push_back(dice(1) < 0.1 ? std::numeric_limits<double>::quiet_NaN() : dice(2) * 10);
    colours.push_back(dice(3) < 0.05 ? -1 : static_cast<int32_t>(dice(4) * 4));
    const double signal = a[row] + (colours[row] == 2 ? 0.5 : 0) + dice(5) * 0.6;
    y.push_back(signal > 0.9 ? 1 : 0);
    species.push_back(signal > 1.1 ? 2 : signal > 0.7 ? 1 : 0);
  }
  using table::ColumnKind;
  using table::ColumnValues;
  std::vector<table::ColumnSpec> schema = {{"a", ColumnKind::numeric, "double"},
                                           {"b", ColumnKind::numeric, "double"},
                                           {"colour", ColumnKind::categorical, "string"}};
  std::vector<ColumnValues> columns = {ColumnValues::of(a), ColumnValues::of(b),
                                       ColumnValues::of(colours, {"red", "gr\"ün", "blue", ""})};
  if (three_classes) {
    schema.push_back({"species", ColumnKind::categorical, "string"});
    columns.push_back(ColumnValues::of(species, {"setosa", "virginica", "versicolor"}));
  } else {
    schema.push_back({"y", ColumnKind::numeric, "double"});
    columns.push_back(ColumnValues::of(y));
  }
  return std::make_shared<TestingSource>(
      std::make_shared<table::MemorySource>(schema, columns, row_count, 500),
      std::move(fingerprint));
}

inline TrainingRequest testing_request(int64_t iterations, bool three_classes = false) {
  TrainingRequest request;
  request.data.data = testing_rows(1'500, three_classes);
  request.data.label = three_classes ? "species" : "y";
  request.data.valid_fraction = 0.2;
  request.parameters.n_estimators = iterations;
  request.parameters.max_leaves = 7;
  request.parameters.subsample = 0.8;
  request.threads = 2;
  return request;
}

}  // namespace evergrove::runtime
