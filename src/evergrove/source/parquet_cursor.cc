// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/parquet_cursor.h"

#include <arrow/api.h>
#include <parquet/arrow/reader.h>

#include <utility>

#include "evergrove/base/check.h"

namespace evergrove::source {

ParquetCursor::~ParquetCursor() = default;

Result<std::unique_ptr<ParquetCursor>> ParquetCursor::open(const DataFile& file,
                                                           const ParquetFooter& footer,
                                                           ParquetText text, int row_group,
                                                           const std::vector<int>& leaves,
                                                           uint64_t piece_rows) {
  std::unique_ptr<ParquetCursor> cursor(new ParquetCursor(file));
  EVERGROVE_ASSIGN_OR_RETURN(cursor->reader_, open_parquet_reader(file, footer, text, piece_rows));
  EVERGROVE_ASSIGN_OR_RETURN(cursor->batches_,
                             read_in_batches(*cursor->reader_, file, row_group, leaves));
  return cursor;
}

template <typename Visit>
Status ParquetCursor::advance(uint64_t row_count, const Visit& visit) {
  for (uint64_t rows = 0; rows < row_count;) {
    EVERGROVE_ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> batch,
                               next_batch(*batches_, file_));
    if (batch == nullptr) return other_row_count(file_, rows, row_count);
    rows += static_cast<uint64_t>(batch->num_rows());
    next_row_ += static_cast<uint64_t>(batch->num_rows());
    if (rows > row_count) return other_row_count(file_, rows, row_count);
    visit(std::move(batch));
  }
  return {};
}

Status ParquetCursor::skip_to(uint64_t row) {
  CHECK(row >= next_row_);
  return advance(row - next_row_, [](const auto&) {});
}

Result<std::shared_ptr<arrow::Table>> ParquetCursor::read(uint64_t row_count) {
  arrow::RecordBatchVector batches;
  EVERGROVE_RETURN_IF_ERROR(advance(row_count, [&](std::shared_ptr<arrow::RecordBatch> batch) {
    batches.push_back(std::move(batch));
  }));
  auto table = arrow::Table::FromRecordBatches(batches_->schema(), std::move(batches));
  if (!table.ok()) return file_status(table.status(), file_);
  return *std::move(table);
}

}  // namespace evergrove::source
