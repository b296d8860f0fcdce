// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_arrow.h"

#include <arrow/api.h>

#include "evergrove/source/csv_column.h"
#include "evergrove/source/csv_date.h"
#include "evergrove/source/csv_values.h"

namespace evergrove::source {
namespace {

Status no_memory(const arrow::Status& status) {
  return storage_error("There is no memory for the columns of a CSV file; read fewer at once",
                       {{"error", status.message()}});
}

// One column in the making; type() says which builder it is.
class ArrowColumn {
 public:
  explicit ArrowColumn(CsvType type) : type_(type) {}

  arrow::Status start(int64_t row_count) {
    ARROW_ASSIGN_OR_RAISE(builder_, arrow::MakeBuilder(arrow_type(type_)));
    return builder_->Reserve(row_count);
  }
  // Sets `fits` to false when the text is not of the column's type.
  arrow::Status add(std::string_view field, bool& fits) {
    switch (type_) {
      case CsvType::boolean:
        return append<arrow::BooleanBuilder>(parse_boolean(field), field, fits);
      case CsvType::integer:
        return append<arrow::Int64Builder>(parse_integer(field), field, fits);
      case CsvType::number:
        return append<arrow::DoubleBuilder>(number(field), field, fits);
      case CsvType::date:
        return append<arrow::Date32Builder>(days(field), field, fits);
      case CsvType::timestamp:
        return append<arrow::TimestampBuilder>(microseconds(field), field, fits);
      case CsvType::text:
        if (is_missing(field)) return builder_->AppendNull();
        return static_cast<arrow::StringBuilder&>(*builder_).Append(field);
    }
    return arrow::Status::OK();
  }
  arrow::Result<std::shared_ptr<arrow::Array>> finish() { return builder_->Finish(); }

 private:
  template <typename Builder, typename Value>
  arrow::Status append(std::optional<Value> value, std::string_view field, bool& fits) {
    if (value) return static_cast<Builder&>(*builder_).Append(*value);
    fits = classify(field) == ValueKind::missing;
    return builder_->AppendNull();
  }
  static std::optional<double> number(std::string_view field) {
    return number_shape(field) == NumberShape::nan ? std::nullopt : parse_number(field);
  }
  static std::optional<int32_t> days(std::string_view field) {
    const auto instant = parse_date(field);
    if (!instant) return std::nullopt;
    return static_cast<int32_t>(instant->seconds / 86400);  // a date alone, so without a rest
  }
  static std::optional<int64_t> microseconds(std::string_view field) {
    const auto instant = parse_date(field);
    if (!instant) return std::nullopt;
    return instant->seconds * 1'000'000 + instant->nanoseconds / 1000;
  }

  CsvType type_;
  std::unique_ptr<arrow::ArrayBuilder> builder_;
};

}  // namespace

std::shared_ptr<arrow::DataType> arrow_type(CsvType type) {
  switch (type) {
    case CsvType::boolean:
      return arrow::boolean();
    case CsvType::integer:
      return arrow::int64();
    case CsvType::number:
      return arrow::float64();
    case CsvType::date:
      return arrow::date32();
    case CsvType::timestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case CsvType::text:
      return arrow::utf8();
  }
  return arrow::utf8();
}

Result<ArrowPiece> convert_piece_to_arrow(std::string_view text, const FileLayout& layout,
                                          std::span<const ColumnRequest> requests,
                                          size_t row_count) {
  std::vector<ArrowColumn> columns;
  arrow::Status building;
  for (const ColumnRequest& request : requests) {
    columns.emplace_back(request.type);
    building = columns.back().start(static_cast<int64_t>(row_count));
    if (!building.ok()) return no_memory(building);
  }
  ArrowPiece piece;
  piece.fault = convert_records(
      text, layout, row_count, [&](std::span<const CsvField> fields, std::string& scratch) {
        bool fits = true;
        for (size_t i = 0; i < columns.size() && fits && building.ok(); ++i) {
          building = columns[i].add(fields[requests[i].field].text(scratch), fits);
        }
        return fits;
      });
  if (!building.ok()) return no_memory(building);
  if (piece.fault) return piece;
  for (ArrowColumn& column : columns) {
    auto array = column.finish();
    if (!array.ok()) return no_memory(array.status());
    piece.columns.push_back(*std::move(array));
  }
  return piece;
}

}  // namespace evergrove::source
