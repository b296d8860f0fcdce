// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_records.h"

#include <algorithm>
#include <cstring>

namespace evergrove::source {
namespace {

const char* find(const char* begin, const char* end, char c) {
  if (begin == end) return end;
  const void* found = std::memchr(begin, c, static_cast<size_t>(end - begin));
  return found == nullptr ? end : static_cast<const char*>(found);
}

constexpr const char* kNul =
    "A CSV file holds a NUL byte, so it is damaged, binary or UTF-16; write it as UTF-8 text";

}  // namespace

Status CsvFault::to_status(std::string_view path, uint64_t first_line) const {
  std::string text =
      message + " (file: " + std::string(path) + ", line: " + std::to_string(first_line + line + 1);
  if (!details.empty()) text += ", " + details;
  return Status(StatusKind::corrupt, text + ")");
}

std::string_view CsvField::text(std::string& scratch) const {
  if (!has_doubled_quotes) return raw;
  scratch.clear();
  for (size_t i = 0; i < raw.size(); ++i) {
    scratch += raw[i];
    if (raw[i] == '"') ++i;  // the second of two
  }
  return scratch;
}

CsvRecordReader::CsvRecordReader(std::string_view text, CsvDialect dialect, size_t field_limit)
    : begin_(text.data()),
      position_(begin_),
      end_(begin_ + text.size()),
      dialect_(dialect),
      field_limit_(field_limit) {
  for (char c : {dialect.delimiter, '\n', '\r', '\0'}) stops_[static_cast<uint8_t>(c)] = true;
}

bool CsvRecordReader::next() {
  if (fault_) return false;
  skip_blank_lines();
  if (position_ == end_) return false;
  fields_.clear();
  field_count_ = 0;
  record_line_ = line_;
  while (true) {
    const bool is_quoted = position_ < end_ && *position_ == '"';
    if (!(is_quoted ? quoted_field() : plain_field())) return false;
    if (position_ == end_ || *position_ != dialect_.delimiter) break;
    ++position_;
  }
  take_line_end();
  return true;
}

void CsvRecordReader::skip_blank_lines() {
  while (position_ < end_) {
    const char* p = position_;
    while (p < end_ && (*p == ' ' || *p == '\t') && *p != dialect_.delimiter) ++p;
    std::swap(p, position_);
    if (position_ < end_ && !at_line_end()) {
      position_ = p;
      return;
    }
    take_line_end();
  }
}

bool CsvRecordReader::plain_field() {
  const char* const start = position_;
  while (position_ < end_ && !stops_[static_cast<uint8_t>(*position_)]) ++position_;
  add({start, static_cast<size_t>(position_ - start)}, false);
  if (position_ == end_ || *position_ == dialect_.delimiter || at_line_end()) return true;
  if (*position_ == '\0') return fail(kNul);
  return fail(
      "A line holds a carriage return or newline in the midst of a field that is not quoted; "
      "quote the field or end all lines alike");
}

bool CsvRecordReader::quoted_field() {
  const char* const start = ++position_;
  bool has_doubled_quotes = false;
  while (true) {
    position_ = find(position_, end_, '"');
    if (position_ == end_) {
      return fail(
          "A quote opens on this line and never closes; close it, or double it if it is text");
    }
    if (position_ + 1 == end_ || position_[1] != '"') break;
    has_doubled_quotes = true;
    position_ += 2;
  }
  const std::string_view raw(start, static_cast<size_t>(position_ - start));
  ++position_;
  const bool is_last = position_ == end_;
  if (!is_last && *position_ != dialect_.delimiter && !at_line_end()) {
    return fail(
        "There is text between a closing quote and the next delimiter; double the quotes that "
        "are text, and quote the whole field");
  }
  if (raw.find('\0') != std::string_view::npos) return fail(kNul);
  line_ += static_cast<uint64_t>(std::count(raw.begin(), raw.end(), dialect_.newline));
  add(raw, has_doubled_quotes);
  return true;
}

void CsvRecordReader::add(std::string_view raw, bool has_doubled_quotes) {
  if (field_count_++ < field_limit_) fields_.push_back({raw, has_doubled_quotes});
}

bool CsvRecordReader::fail(std::string message) {
  fault_ = CsvFault{std::move(message), line_, "field: " + std::to_string(field_count_ + 1)};
  return false;
}

bool CsvRecordReader::at_line_end() const {
  if (*position_ == dialect_.newline) return true;
  // A lone '\r' may end the last line, where the newline was cut off.
  return *position_ == '\r' && (position_ + 1 == end_ || position_[1] == dialect_.newline);
}

void CsvRecordReader::take_line_end() {
  if (position_ == end_) return;
  if (*position_ != dialect_.newline) ++position_;
  if (position_ < end_) ++position_;
  ++line_;
}

LastRecordEnd last_record_end(std::string_view text, CsvDialect dialect) {
  // Only quotes matter for where a newline ends a record, and most texts have few or none.
  LastRecordEnd last;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* from = begin;
  while (true) {
    const char* quote = find(from, end, '"');
    const size_t newline =
        std::string_view(from, static_cast<size_t>(quote - from)).rfind(dialect.newline);
    if (newline != std::string_view::npos) {
      last.end = static_cast<size_t>(from - begin) + newline + 1;
    }
    if (quote == end) return last;
    const bool opens =
        quote == begin || quote[-1] == dialect.delimiter || quote[-1] == dialect.newline;
    from = quote + 1;
    if (!opens) continue;
    while (true) {
      from = find(from, end, '"');
      if (from == end) {
        last.open_quote = static_cast<size_t>(quote - begin);
        return last;
      }
      ++from;
      if (from == end || *from != '"') break;
      ++from;
    }
  }
}

}  // namespace evergrove::source
