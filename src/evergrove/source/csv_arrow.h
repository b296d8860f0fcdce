// CSV columns as Arrow has them: whole numbers as int64, other numbers as double, booleans as bool,
// dates as date32, times as timestamp in microseconds (finer digits are dropped), text as utf8.
// Missing is null. For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/source/csv_piece.h"

namespace arrow {
class Array;
class DataType;
}  // namespace arrow

namespace evergrove::source {

std::shared_ptr<arrow::DataType> arrow_type(CsvType type);

struct ArrowPiece {
  std::vector<std::shared_ptr<arrow::Array>> columns;  // one a request
  std::optional<CsvFault> fault;
};

// As convert_piece(); as_categories is not looked at. Fails only for want of memory.
Result<ArrowPiece> convert_piece_to_arrow(std::string_view text, const FileLayout& layout,
                                          std::span<const ColumnRequest> requests,
                                          size_t row_count);

}  // namespace evergrove::source
