// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_dialect.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "evergrove/source/csv_records.h"
#include "evergrove/source/csv_utf8.h"
#include "evergrove/source/csv_values.h"

namespace evergrove::source {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kDelimiters = ",;\t|";
constexpr size_t kRecordsTried = 32;
constexpr size_t kColumnsMax = 1'000'000;

size_t mark_size(std::string_view head) {
  return head.substr(0, kByteOrderMark.size()) == kByteOrderMark ? kByteOrderMark.size() : 0;
}

// How a delimiter splits the first records: the fields of the first one, and whether all agree.
struct Split {
  size_t field_count = 0;
  bool is_even = true;
};
Split try_delimiter(std::string_view head, CsvDialect dialect) {
  CsvRecordReader reader(head, dialect, 0);
  Split split;
  for (size_t i = 0; i < kRecordsTried && reader.next(); ++i) {
    const bool may_be_cut_off = reader.offset() == head.size() && head.back() != dialect.newline;
    if (i == 0) {
      split.field_count = reader.field_count();
    } else if (!may_be_cut_off && reader.field_count() != split.field_count) {
      split.is_even = false;
    }
  }
  return split;
}

// True when the names are 0, 1, 2 ... or 1, 2, 3 ...: columns that had no names and were numbered.
bool are_counted(const std::vector<std::string>& names) {
  const auto first = parse_integer(names[0]);
  if (!first || (*first != 0 && *first != 1)) return false;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] != std::to_string(*first + static_cast<int64_t>(i))) return false;
  }
  return true;
}

Status check_names(const std::vector<std::string>& names, std::string_view path) {
  std::unordered_map<std::string_view, size_t> places;
  bool all_numbers = true;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string place = std::to_string(i + 1);
    if (names[i].empty()) {
      return invalid_input(
          "A column of the CSV file has no name in its header line; give it one, or leave the "
          "column out (pandas: to_csv(index=False))",
          {{"file", std::string(path)}, {"column number", place}});
    }
    if (!is_utf8(names[i])) {
      return corrupt(
          "A column name in a CSV file is not UTF-8; save the file as UTF-8",
          {{"file", std::string(path)}, {"column number", place}, {"name", shown(names[i])}});
    }
    const auto [other, is_new] = places.emplace(names[i], i);
    if (!is_new) {
      return invalid_input(
          "Two columns of the CSV file have the same name; rename one of them",
          {{"file", std::string(path)},
           {"name", shown(names[i])},
           {"column numbers", std::to_string(other->second + 1) + " and " + place}});
    }
    all_numbers = all_numbers && number_shape(names[i]) != NumberShape::none;
  }
  if (all_numbers && !are_counted(names)) {
    return invalid_input(
        "The first line of the CSV file holds only numbers, so it looks like data and not like "
        "column names; put a line of names before it",
        {{"file", std::string(path)}, {"first field", shown(names[0])}});
  }
  return {};
}

}  // namespace

Result<CsvDialect> infer_dialect(std::string_view head, char given_delimiter,
                                 std::string_view path) {
  if (head.empty()) {
    return invalid_input("The CSV file is empty; it must begin with a line of column names",
                         {{"file", std::string(path)}});
  }
  if (head.substr(0, 2) == "\xff\xfe" || head.substr(0, 2) == "\xfe\xff") {
    return corrupt("The CSV file is UTF-16; save it as UTF-8", {{"file", std::string(path)}});
  }
  head.remove_prefix(mark_size(head));
  if (head.empty()) return CsvDialect{};
  CsvDialect dialect;
  // A '\r' at the very end may have lost its '\n'.
  const bool has_returns = head.find('\r') < head.size() - 1;
  if (has_returns && head.find('\n') == std::string_view::npos) dialect.newline = '\r';
  if (given_delimiter != 0) {
    if (given_delimiter == '"' || given_delimiter == '\n' || given_delimiter == '\r') {
      return invalid_input(
          "A quote, newline or carriage return cannot be a CSV file's delimiter; name another");
    }
    dialect.delimiter = given_delimiter;
    return dialect;
  }
  CsvDialect best = dialect;
  Split best_split{1, false};
  for (char delimiter : kDelimiters) {
    dialect.delimiter = delimiter;
    const Split split = try_delimiter(head, dialect);
    if (split.field_count < 2) continue;
    const bool is_better = split.is_even != best_split.is_even
                               ? split.is_even
                               : split.field_count > best_split.field_count;
    if (is_better) {
      best = dialect;
      best_split = split;
    }
  }
  return best;
}

bool has_whole_header(std::string_view head, CsvDialect dialect) {
  head.remove_prefix(mark_size(head));
  CsvRecordReader reader(head, dialect, 0);
  return reader.next() && (reader.offset() < head.size() || head.back() == dialect.newline);
}

Result<CsvHeader> read_header(std::string_view head, CsvDialect dialect, std::string_view path) {
  CsvHeader header;
  const size_t skipped = mark_size(head);
  head.remove_prefix(skipped);
  CsvRecordReader reader(head, dialect, kColumnsMax);
  if (!reader.next()) {
    if (reader.fault()) return reader.fault()->to_status(path, 0);
    return invalid_input("The CSV file has only blank lines; it must begin with column names",
                         {{"file", std::string(path)}});
  }
  if (reader.field_count() > kColumnsMax) {
    return invalid_input("The CSV file has too many columns; is the delimiter right?",
                         {{"file", std::string(path)},
                          {"columns", std::to_string(reader.field_count())},
                          {"at most", std::to_string(kColumnsMax)}});
  }
  std::string scratch;
  header.names.reserve(reader.field_count());
  for (const CsvField& field : reader.fields()) {
    header.names.emplace_back(without_blanks(field.text(scratch)));
  }
  header.body_offset = skipped + reader.offset();
  header.body_line = reader.line_count();
  EVERGROVE_RETURN_IF_ERROR(check_names(header.names, path));
  return header;
}

}  // namespace evergrove::source
