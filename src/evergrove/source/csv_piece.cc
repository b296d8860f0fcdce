// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_piece.h"

#include "evergrove/source/csv_column.h"
#include "evergrove/source/csv_utf8.h"

namespace evergrove::source {
namespace {

CsvFault not_utf8(const std::string& column, std::string_view value) {
  return {"A CSV field is not UTF-8; save the file as UTF-8", 0,
          "column: " + column + ", value: " + shown(value)};
}

CsvFault does_not_fit(const std::string& column, TypeRule rule, std::string_view value) {
  const std::string wanted = rule == TypeRule::number ? "a number" : "a date (such as 2024-01-31)";
  return {
      "A CSV value is not " + wanted +
          ", as the column type given for its column says; mend the value, or give the type text",
      0, "column: " + column + ", value: " + shown(value)};
}

// Visits the fields of every record, which are layout.names.size() many:
// visit(fields) -> std::optional<CsvFault>, whose line is filled in here.
template <typename Visitor>
std::optional<CsvFault> for_each_record(CsvRecordReader& reader, const FileLayout& layout,
                                        Visitor&& visit) {
  const size_t expected = layout.names.size();
  while (reader.next()) {
    if (reader.field_count() != expected) {
      return CsvFault{"A line of the CSV file has too " +
                          std::string(reader.field_count() < expected ? "few" : "many") +
                          " fields; mend the line, or quote fields that hold the delimiter",
                      reader.record_line(),
                      "expected: " + std::to_string(expected) +
                          ", found: " + std::to_string(reader.field_count())};
    }
    if (std::optional<CsvFault> fault = visit(reader.fields())) {
      fault->line = reader.record_line();
      return fault;
    }
  }
  return reader.fault();
}

}  // namespace

PieceSummary summarise_piece(std::string_view text, const FileLayout& layout) {
  PieceSummary summary;
  const size_t field_count = layout.names.size();
  summary.kinds.resize(field_count);
  const bool all_ascii = is_ascii(text);
  std::string scratch;
  CsvRecordReader reader(text, layout.dialect, field_count);
  summary.fault = for_each_record(reader, layout,
                                  [&](std::span<const CsvField> fields) -> std::optional<CsvFault> {
                                    for (size_t i = 0; i < field_count; ++i) {
                                      if (!all_ascii && !is_utf8(fields[i].raw))
                                        return not_utf8(layout.names[i], fields[i].raw);
                                      const TypeRule rule = layout.rules[i];
                                      if (rule == TypeRule::text || summary.kinds[i].must_be_text())
                                        continue;
                                      const std::string_view value = fields[i].text(scratch);
                                      const ValueKind kind = classify(value);
                                      if (!fits(rule, kind))
                                        return does_not_fit(layout.names[i], rule, value);
                                      summary.kinds[i].add(kind);
                                    }
                                    ++summary.row_count;
                                    return std::nullopt;
                                  });
  summary.line_count = reader.line_count();
  return summary;
}

std::optional<CsvFault> convert_records(std::string_view text, const FileLayout& layout,
                                        size_t row_count, const RecordAdder& add) {
  const CsvFault changed{
      "The CSV file has changed since it was opened; keep it as it is and start again", 0, ""};
  size_t rows_done = 0;
  std::string scratch;
  CsvRecordReader reader(text, layout.dialect, layout.names.size());
  std::optional<CsvFault> fault = for_each_record(
      reader, layout, [&](std::span<const CsvField> fields) -> std::optional<CsvFault> {
        if (rows_done == row_count || !add(fields, scratch)) return changed;
        ++rows_done;
        return std::nullopt;
      });
  if (!fault && rows_done != row_count) fault = changed;
  return fault;
}

ConvertedPiece convert_piece(std::string_view text, const FileLayout& layout,
                             std::span<const ColumnRequest> requests, size_t row_count) {
  std::vector<CsvColumn> columns;
  columns.reserve(requests.size());
  for (const ColumnRequest& request : requests) {
    columns.emplace_back(request.type, request.as_categories, row_count);
  }
  ConvertedPiece piece;
  piece.fault = convert_records(text, layout, row_count,
                                [&](std::span<const CsvField> fields, std::string& scratch) {
                                  for (size_t i = 0; i < columns.size(); ++i) {
                                    if (!columns[i].add(fields[requests[i].field].text(scratch)))
                                      return false;
                                  }
                                  return true;
                                });
  if (piece.fault) return piece;
  for (CsvColumn& column : columns) piece.columns.push_back(std::move(column).finish());
  return piece;
}

}  // namespace evergrove::source
