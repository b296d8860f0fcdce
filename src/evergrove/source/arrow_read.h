// The columns of any RowSource as Arrow arrays, "as they are in the data".
//
//   EVERGROVE_ASSIGN_OR_RETURN(const auto schema, source::arrow_schema(source));
//   EVERGROVE_ASSIGN_OR_RETURN(const auto batch, source::read_arrow(source, block, kept));
//
// Sources of Arrow data keep their types; others (matrices, generated data) give float64 and
// strings, with missing values as nulls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "evergrove/source/arrow_source.h"

namespace evergrove::source {

// Returns the fields of all columns, in the order of source.schema().
Result<std::shared_ptr<arrow::Schema>> arrow_schema(const table::RowSource& source);

// Reads columns of one block, in the order asked for. May be called from many threads at once.
// Requires: block_index < source.blocks().size(), valid column indices.
Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(const table::RowSource& source,
                                                       size_t block_index,
                                                       std::span<const size_t> columns);

}  // namespace evergrove::source
