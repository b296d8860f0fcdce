// ParquetCursor: reads columns of one row group from its start on, so many rows at a time.
//
// A column chunk can only be decoded from its start, so rows that are passed over are decoded too;
// but only the part that is being decoded is in memory, of the file and of the values.
// One thread at a time. The file and its footer outlive it.
// For the .cc files of this folder.
//
//   auto cursor = ParquetCursor::open(file, footer, text, 3, {0, 2}, 50'000);
//   EVERGROVE_RETURN_IF_ERROR((*cursor)->skip_to(100'000));
//   auto table = (*cursor)->read(50'000);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/source/parquet_file.h"

namespace arrow {
class RecordBatchReader;
}

namespace evergrove::source {

class ParquetCursor {
 public:
  // What is read and where it goes on are whole numbers of pieces, but at the group's end.
  static Result<std::unique_ptr<ParquetCursor>> open(const DataFile& file,
                                                     const ParquetFooter& footer, ParquetText text,
                                                     int row_group, const std::vector<int>& leaves,
                                                     uint64_t piece_rows);
  ~ParquetCursor();

  uint64_t next_row() const { return next_row_; }  // in the row group
  // Requires: row >= next_row().
  Status skip_to(uint64_t row);
  // corrupt if the group has fewer rows.
  Result<std::shared_ptr<arrow::Table>> read(uint64_t row_count);

 private:
  explicit ParquetCursor(const DataFile& file) : file_(file) {}
  // Calls visit with each batch of the next rows.
  template <typename Visit>
  Status advance(uint64_t row_count, const Visit& visit);

  const DataFile& file_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;  // goes before its reader
  uint64_t next_row_ = 0;
};

}  // namespace evergrove::source
