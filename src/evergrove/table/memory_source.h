// MemorySource: a RowSource over columns that are in memory, for tests and for generated data.
//
//   MemorySource source({{"x", ColumnKind::numeric, "double"}}, {ColumnValues::of({1., 2.})}, 2);
//
// The columns cover all rows; blocks of block_rows rows are cut from them without copying.
// Immutable after construction; safe to read from many threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/table/row_source.h"

namespace evergrove::table {

class MemorySource final : public RowSource {
 public:
  // Requires: one ColumnValues a column, each of row_count values.
  MemorySource(std::vector<ColumnSpec> schema, std::vector<ColumnValues> columns, size_t row_count,
               size_t block_rows = 65536);

  const Schema& schema() const override { return schema_; }
  const Manifest& manifest() const override { return manifest_; }
  std::span<const BlockExtent> blocks() const override { return blocks_; }
  Result<RowBlock> read(size_t block_index, std::span<const size_t> columns) const override;

 private:
  Schema schema_;
  std::vector<ColumnValues> columns_;
  Manifest manifest_;
  std::vector<BlockExtent> blocks_;
};

}  // namespace evergrove::table
