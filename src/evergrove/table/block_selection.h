// BlockSelection: a RowSource of some blocks of another one, as if there were no others.
//
// Its rows count from 0 through the chosen blocks, in the order in which they were chosen;
// source_row() gives a row's id in the other source, for messages and for hashes of rows.
// Promise: the other source's manifest(), which may have to read whole files, is never asked for;
// this one's has the number of rows and no files. Immutable; safe to read from many threads.
//
//   const BlockSelection part(source, {7, 8, 12});
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/table/row_source.h"

namespace evergrove::table {

class BlockSelection final : public RowSource {
 public:
  // Requires: places in source.blocks(), each at most once; the source outlives this.
  BlockSelection(const RowSource& source, std::vector<size_t> chosen);

  const Schema& schema() const override { return source_.schema(); }
  const Manifest& manifest() const override { return manifest_; }
  std::span<const BlockExtent> blocks() const override { return blocks_; }
  bool reads_single_columns() const override { return source_.reads_single_columns(); }
  void let_go() const override { source_.let_go(); }
  Result<RowBlock> read(size_t block_index, std::span<const size_t> columns) const override;

  // Requires: row < row_count().
  uint64_t source_row(uint64_t row) const;

 private:
  const RowSource& source_;
  std::vector<size_t> chosen_;
  std::vector<BlockExtent> blocks_;
  Manifest manifest_;
};

}  // namespace evergrove::table
