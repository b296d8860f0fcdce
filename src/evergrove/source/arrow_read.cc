// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/arrow_read.h"

#include <arrow/api.h>

#include <cmath>

namespace evergrove::source {
namespace {

// Numbers keep their width only block by block, so all are given as double.
std::shared_ptr<arrow::DataType> type_of(const table::ColumnSpec& spec) {
  return spec.kind == table::ColumnKind::numeric ? arrow::float64() : arrow::utf8();
}

arrow::Result<std::shared_ptr<arrow::Array>> to_arrow(const table::ColumnValues& values,
                                                      const table::ColumnSpec& spec,
                                                      size_t row_count) {
  if (spec.kind == table::ColumnKind::numeric) {
    arrow::DoubleBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(row_count)));
    for (size_t row = 0; row < row_count; ++row) {
      const double number = values.number(row);
      if (std::isnan(number)) {
        builder.UnsafeAppendNull();
      } else {
        builder.UnsafeAppend(number);
      }
    }
    return builder.Finish();
  }
  arrow::StringBuilder builder;
  for (int32_t code : values.codes) {
    ARROW_RETURN_NOT_OK(code < 0 ? builder.AppendNull() : builder.Append(values.dictionary[code]));
  }
  return builder.Finish();
}

}  // namespace

Result<std::shared_ptr<arrow::Schema>> arrow_schema(const table::RowSource& source) {
  if (const auto* known = dynamic_cast<const ArrowSource*>(&source)) return known->arrow_schema();
  arrow::FieldVector fields;
  for (const table::ColumnSpec& spec : source.schema().columns) {
    fields.push_back(arrow::field(spec.name, type_of(spec)));
  }
  return arrow::schema(std::move(fields));
}

Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(const table::RowSource& source,
                                                       size_t block_index,
                                                       std::span<const size_t> columns) {
  if (const auto* known = dynamic_cast<const ArrowSource*>(&source)) {
    return known->read_arrow(block_index, columns);
  }
  EVERGROVE_ASSIGN_OR_RETURN(const table::RowBlock block, source.read(block_index, columns));
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns.size(); ++i) {
    const table::ColumnSpec& spec = source.schema().columns[columns[i]];
    auto array = to_arrow(block.columns[i], spec, block.row_count);
    if (!array.ok()) return internal_error(array.status().message(), {{"column", spec.name}});
    fields.push_back(arrow::field(spec.name, type_of(spec)));
    arrays.push_back(*std::move(array));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)),
                                  static_cast<int64_t>(block.row_count), std::move(arrays));
}

}  // namespace evergrove::source
