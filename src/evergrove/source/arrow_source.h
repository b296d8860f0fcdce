// ArrowSource: a RowSource that can also give its columns as Arrow has them, types kept.
//
// Training and scoring read numbers and categories through read(); whoever writes columns on to
// another file (predict's kept columns) needs them unchanged, and asks through arrow_read.h, which
// works for every RowSource. Parquet, IPC, CSV and stream sources derive from this class.
// read_arrow() may be called from many threads at once, as read() may.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace evergrove::source {

class ArrowSource : public table::RowSource {
 public:
  // The columns in the order of schema(), with the types in which read_arrow() gives them.
  virtual std::shared_ptr<arrow::Schema> arrow_schema() const = 0;
  // Reads columns of one block, in the order asked for; the batch has those fields of
  // arrow_schema(). Requires: block_index < blocks().size(), valid column indices.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(
      size_t block_index, std::span<const size_t> columns) const = 0;
};

}  // namespace evergrove::source
