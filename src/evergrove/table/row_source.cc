// SPDX-License-Identifier: Apache-2.0
#include "evergrove/table/row_source.h"

#include <algorithm>
#include <set>

namespace evergrove::table {

std::optional<size_t> Schema::find(std::string_view name) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == name) return i;
  }
  return std::nullopt;
}

Status Schema::check_names() const {
  std::set<std::string_view> distinct;
  for (const ColumnSpec& column : columns) {
    if (distinct.insert(column.name).second) continue;
    return invalid_input("Two columns have the same name; rename one of them",
                         {{"column", column.name}});
  }
  return {};
}

std::vector<BlockExtent> blocks_of(uint64_t row_count, size_t block_rows) {
  std::vector<BlockExtent> blocks;
  for (uint64_t first = 0; first < row_count; first += block_rows) {
    blocks.push_back({first, std::min<size_t>(block_rows, row_count - first)});
  }
  return blocks;
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
