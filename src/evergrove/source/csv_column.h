// CsvColumn: gathers the values of one column of a piece, row by row, as the table has them.
//
//   CsvColumn column(CsvType::number, /*as_categories=*/false, row_count);
//   for (...) if (!column.add(field)) ...    // the text is not of that type
//   table::ColumnValues values = std::move(column).finish();
//
// One owner, one thread. Memory: 8 bytes a row for numbers, 4 for categories and each name once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "evergrove/source/csv_types.h"
#include "evergrove/table/row_source.h"

namespace evergrove::source {

// Distinct names and their places, in the order of their first coming.
class CategoryNames {
 public:
  int32_t code_of(std::string_view name);
  std::vector<std::string> take() { return std::move(names_); }

 private:
  struct Slot {
    uint32_t hash = 0;
    int32_t code = -1;  // -1: empty
  };
  void grow();

  std::vector<std::string> names_;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
};

class CsvColumn {
 public:
  CsvColumn(CsvType type, bool as_categories, size_t row_count);

  // Appends a value; false when the text is not of the column's type.
  bool add(std::string_view field);
  table::ColumnValues finish() &&;

 private:
  bool add_category(std::string_view field);
  template <typename Number>
  int32_t number_code(uint64_t bits, Number number);

  CsvType type_;
  bool as_categories_;
  std::vector<double> numbers_;
  std::vector<int32_t> codes_;
  CategoryNames names_;
  std::unordered_map<uint64_t, int32_t> code_of_number_;  // by the bits of the number
};

// The value of a field in a column of that type as double; NaN where missing, dates as seconds
// since 1970-01-01 UTC, booleans as 0 and 1. Nothing when it is not of the type.
// Requires: type is not text.
std::optional<double> numeric_value(CsvType type, std::string_view field);

}  // namespace evergrove::source
