// All values of a RowSource's column, and small Arrow tables, for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "evergrove/table/row_source.h"

namespace evergrove::source {

// Reads a column block by block; a failure is the test's.
inline std::vector<double> numbers_of(const table::RowSource& source, std::string_view name) {
  const size_t columns[] = {source.schema().find(name).value()};
  std::vector<double> numbers;
  for (size_t b = 0; b < source.blocks().size(); ++b) {
    auto block = source.read(b, columns);
    EXPECT_TRUE(block.ok()) << block.status().message();
    if (!block.ok()) return {};
    EXPECT_EQ(block->first_row, numbers.size());
    for (size_t i = 0; i < block->row_count; ++i) numbers.push_back(block->columns[0].number(i));
  }
  return numbers;
}

// The same for categories; "?" where missing.
inline std::vector<std::string> names_of(const table::RowSource& source, std::string_view name) {
  const size_t columns[] = {source.schema().find(name).value()};
  std::vector<std::string> names;
  for (size_t b = 0; b < source.blocks().size(); ++b) {
    auto block = source.read(b, columns);
    EXPECT_TRUE(block.ok()) << block.status().message();
    if (!block.ok()) return {};
    const table::ColumnValues& values = block->columns[0];
    EXPECT_EQ(values.codes.size(), block->row_count);
    for (int32_t code : values.codes) {
      names.push_back(code < 0 ? "?" : values.dictionary.at(code));
    }
  }
  return names;
}

// An array from JSON, such as "[1, null, 3]".
inline std::shared_ptr<arrow::Array> array_of(const std::shared_ptr<arrow::DataType>& type,
                                              const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

// A table of such arrays: {{"x", arrow::int64(), "[1, 2]"}}.
struct JsonColumn {
  std::string name;
  std::shared_ptr<arrow::DataType> type;
  std::string json;
};
inline std::shared_ptr<arrow::Table> table_of(const std::vector<JsonColumn>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const JsonColumn& column : columns) {
    fields.push_back(arrow::field(column.name, column.type));
    arrays.push_back(array_of(column.type, column.json));
  }
  return arrow::Table::Make(arrow::schema(fields), arrays);
}

// Numbers 0, 1, 2, ... as "n" (double), text of five values as "t", and "f" (float) with n / 2.
inline std::shared_ptr<arrow::Table> counting_table(int64_t row_count, int64_t first = 0) {
  arrow::DoubleBuilder n;
  arrow::StringBuilder t;
  arrow::FloatBuilder f;
  for (int64_t i = first; i < first + row_count; ++i) {
    EXPECT_TRUE(n.Append(static_cast<double>(i)).ok());
    EXPECT_TRUE(t.Append("value " + std::to_string(i % 5)).ok());
    EXPECT_TRUE(f.Append(static_cast<float>(i) / 2).ok());
  }
  return arrow::Table::Make(
      arrow::schema({arrow::field("n", arrow::float64()), arrow::field("t", arrow::utf8()),
                     arrow::field("f", arrow::float32())}),
      {n.Finish().ValueOrDie(), t.Finish().ValueOrDie(), f.Finish().ValueOrDie()});
}

}  // namespace evergrove::source
