// CsvRecordReader: splits text into records and fields; last_record_end: where to cut text.
//
// A record is a line, or several where a newline is quoted. Lines that are empty or hold only
// blanks are skipped. A record is given as views into the text, nothing is copied.
//
//   CsvRecordReader reader(text, dialect, /*field_limit=*/names.size());
//   while (reader.next()) use(reader.fields());
//   if (reader.fault()) ...
//
// Promise: cut anywhere last_record_end() says, a text gives the same records piece by piece as
// in one. Any bytes are safe; memory is that of field_limit fields.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/source/csv_dialect.h"

namespace evergrove::source {

// What is wrong in a text, and on which of its lines (from 0).
struct CsvFault {
  std::string message;  // a sentence, and what to do
  uint64_t line = 0;
  std::string details;  // "name: value, name: value"

  // Requires: first_line is the number of lines of the file before the text.
  Status to_status(std::string_view path, uint64_t first_line) const;
};

struct CsvField {
  std::string_view raw;             // without the quotes around it
  bool has_doubled_quotes = false;  // "" stands for "

  // The text of the field; where quotes are doubled, a view of `scratch`.
  std::string_view text(std::string& scratch) const;
};

class CsvRecordReader {
 public:
  // Keeps at most field_limit fields of a record, but counts all. The text must outlive the reader.
  CsvRecordReader(std::string_view text, CsvDialect dialect, size_t field_limit);

  // Goes on to the next record; false at the end of the text and at a fault.
  bool next();
  std::span<const CsvField> fields() const { return fields_; }
  size_t field_count() const { return field_count_; }
  // The line of the text (from 0) on which the record begins.
  uint64_t record_line() const { return record_line_; }
  // How many lines, and bytes, have been taken so far.
  uint64_t line_count() const { return line_; }
  size_t offset() const { return static_cast<size_t>(position_ - begin_); }
  const std::optional<CsvFault>& fault() const { return fault_; }

 private:
  void skip_blank_lines();
  // Each takes one field, up to its delimiter or the end of its line; false at a fault.
  bool plain_field();
  bool quoted_field();
  void add(std::string_view raw, bool has_doubled_quotes);
  bool fail(std::string message);
  // True at the end of a line, with or without '\r' before the newline.
  bool at_line_end() const;
  void take_line_end();

  const char* begin_;
  const char* position_;
  const char* end_;
  CsvDialect dialect_;
  size_t field_limit_;
  std::vector<CsvField> fields_;
  size_t field_count_ = 0;
  uint64_t line_ = 0;
  uint64_t record_line_ = 0;
  std::optional<CsvFault> fault_;
  bool stops_[256] = {};  // bytes that a plain field cannot hold
};

// Where the last record that is complete in the text ends, just behind its newline; 0 where none
// is. open_quote: where a quoted field begins that does not end in the text.
// Requires: the text begins where a record begins.
struct LastRecordEnd {
  size_t end = 0;
  std::optional<size_t> open_quote;
};
LastRecordEnd last_record_end(std::string_view text, CsvDialect dialect);

}  // namespace evergrove::source
