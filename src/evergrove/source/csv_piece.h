// A piece of a CSV file: a run of whole records, looked through once to learn types and counts, and
// converted once for each read.
//
//   PieceSummary summary = summarise_piece(text, layout);        // open(): types, rows, lines
//   auto columns = convert_piece(text, layout, requests, rows);  // read(): the columns asked for
//
// Pure functions of a text: no files, threads or Arrow. Any bytes are safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/source/csv_records.h"
#include "evergrove/source/csv_types.h"
#include "evergrove/table/row_source.h"

namespace evergrove::source {

// What holds for all pieces of a file.
struct FileLayout {
  CsvDialect dialect;
  std::vector<std::string> names;  // one a field; for messages
  std::vector<TypeRule> rules;     // one a field
};

struct PieceSummary {
  uint64_t row_count = 0;
  uint64_t line_count = 0;
  std::vector<SeenKinds> kinds;  // one a field
  std::optional<CsvFault> fault;
};

// Looks at every value. Finds records with too few or too many fields, broken quotes, text that is
// not UTF-8 and values that do not fit their rule; stops at the first.
PieceSummary summarise_piece(std::string_view text, const FileLayout& layout);

// A column to convert: field `field` as `type`; a number as categories if asked for.
struct ColumnRequest {
  size_t field = 0;
  CsvType type = CsvType::text;
  bool as_categories = false;
};

struct ConvertedPiece {
  std::vector<table::ColumnValues> columns;  // one a request
  std::optional<CsvFault> fault;
};

// Converts row_count records. A fault can only come when the text has changed since it was
// summarised.
ConvertedPiece convert_piece(std::string_view text, const FileLayout& layout,
                             std::span<const ColumnRequest> requests, size_t row_count);

// What convert_piece() does with a text, for another kind of columns: hands the fields of each
// record to add(fields, scratch) -> bool, which is false when a value is not of its type.
using RecordAdder = std::function<bool(std::span<const CsvField> fields, std::string& scratch)>;
std::optional<CsvFault> convert_records(std::string_view text, const FileLayout& layout,
                                        size_t row_count, const RecordAdder& add);

}  // namespace evergrove::source
