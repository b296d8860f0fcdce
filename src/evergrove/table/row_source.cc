// SPDX-License-Identifier: Apache-2.0
#include "evergrove/table/row_source.h"

namespace evergrove::table {

std::optional<size_t> Schema::find(std::string_view name) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == name) return i;
  }
  return std::nullopt;
}

ColumnValues ColumnValues::of(std::vector<double> values) {
  auto owner = std::make_shared<const std::vector<double>>(std::move(values));
  ColumnValues column;
  column.f64 = *owner;
  column.owner = owner;
  return column;
}

ColumnValues ColumnValues::of(std::vector<int32_t> codes, std::vector<std::string> dictionary) {
  auto owner = std::make_shared<const std::vector<int32_t>>(std::move(codes));
  ColumnValues column;
  column.codes = *owner;
  column.dictionary = std::move(dictionary);
  column.owner = owner;
  return column;
}

}  // namespace evergrove::table
