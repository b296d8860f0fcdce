// CsvDialect: how one CSV file separates fields and lines; and its header line.
//
// Quoting is that of RFC 4180 and not a choice: a field that begins with " ends with the next ";
// within it "" stands for one ", and delimiters and newlines are text. A quote further on in a
// field that does not begin with one is text (5' 10"), as for pandas and Arrow.
//
//   EVERGROVE_ASSIGN_OR_RETURN(CsvDialect dialect, infer_dialect(head, 0, path));
//   EVERGROVE_ASSIGN_OR_RETURN(CsvHeader header, read_header(head, dialect, path));
//
// `head` is the beginning of a file: all of it, or enough for the header line to be complete.
// `path` is for messages.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::source {

struct CsvDialect {
  char delimiter = ',';
  char newline = '\n';  // also stands for "\r\n"; '\r' where a file knows no other
};

// Infers the delimiter among comma, semicolon, tab and bar: the one that splits the first lines
// into equally many fields, most of all. Refuses what is no CSV at all (binary, UTF-16, empty).
Result<CsvDialect> infer_dialect(std::string_view head, char given_delimiter,
                                 std::string_view path);

// True when the header line ends in `head`.
bool has_whole_header(std::string_view head, CsvDialect dialect);

struct CsvHeader {
  std::vector<std::string> names;  // without blanks around them; distinct, none empty
  size_t body_offset = 0;          // where the first line after the header begins
  uint64_t body_line = 0;          // how many lines come before it
};

// Refuses names that are empty or twice there, and a header that is a row of numbers.
Result<CsvHeader> read_header(std::string_view head, CsvDialect dialect, std::string_view path);

}  // namespace evergrove::source
