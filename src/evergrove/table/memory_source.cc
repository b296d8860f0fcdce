// SPDX-License-Identifier: Apache-2.0
#include "evergrove/table/memory_source.h"

#include "evergrove/base/check.h"

namespace evergrove::table {

MemorySource::MemorySource(std::vector<ColumnSpec> schema, std::vector<ColumnValues> columns,
                           size_t row_count, size_t block_rows)
    : schema_{std::move(schema)}, columns_(std::move(columns)) {
  CHECK(schema_.columns.size() == columns_.size());
  CHECK(block_rows > 0);
  manifest_.files.push_back({"(memory)", 0, 0, row_count, ""});
  manifest_.row_count = row_count;
  blocks_ = blocks_of(row_count, block_rows);
}

Result<RowBlock> MemorySource::read(size_t block_index, std::span<const size_t> columns) const {
  const BlockExtent extent = blocks_[block_index];
  RowBlock block{extent.first_row, extent.row_count, {}};
  for (size_t index : columns) {
    ColumnValues values = columns_[index];
    if (!values.f64.empty()) values.f64 = values.f64.subspan(extent.first_row, extent.row_count);
    if (!values.f32.empty()) values.f32 = values.f32.subspan(extent.first_row, extent.row_count);
    if (!values.codes.empty()) {
      values.codes = values.codes.subspan(extent.first_row, extent.row_count);
    }
    block.columns.push_back(std::move(values));
  }
  return block;
}

}  // namespace evergrove::table
