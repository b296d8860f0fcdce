// ParquetOutput: a Parquet file that is written batch by batch beside its place, and renamed to it.
//
// Promise: the place has the whole file or what it had before; a failure removes what was written.
// Batches go into row groups of up to row_group_rows rows, however long they are themselves.
// One owner, one thread at a time.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto output, ParquetOutput::create(path, schema, options));
//   EVERGROVE_RETURN_IF_ERROR(output->write(*batch));
//   EVERGROVE_RETURN_IF_ERROR(output->publish());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evergrove/base/status.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace evergrove::runtime {

struct ParquetOptions {
  int64_t row_group_rows = 1 << 18;
  // Columns whose values hardly repeat, so that a dictionary of them would be lost work.
  std::vector<std::string> plain_columns;
};

class ParquetOutput {
 public:
  static Result<std::unique_ptr<ParquetOutput>> create(const std::string& path,
                                                       std::shared_ptr<arrow::Schema> schema,
                                                       const ParquetOptions& options);
  virtual ~ParquetOutput() = default;

  // Requires: the batch has the schema's fields.
  virtual Status write(const arrow::RecordBatch& batch) = 0;
  virtual Status publish() = 0;
};

}  // namespace evergrove::runtime
