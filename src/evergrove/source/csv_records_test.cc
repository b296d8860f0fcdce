// Records and headers: a table that is written as CSV in any way RFC 4180 allows comes back, a text
// may be cut anywhere, and what is broken is refused with its line.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_records.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace evergrove::source {
namespace {

using Record = std::vector<std::string>;

struct ReadText {
  std::vector<Record> records;
  std::vector<uint64_t> lines;
  std::optional<CsvFault> fault;
};

ReadText read(std::string_view text, CsvDialect dialect = {}, uint64_t first_line = 0) {
  ReadText result;
  CsvRecordReader reader(text, dialect, text.size() + 1);
  std::string scratch;
  while (reader.next()) {
    Record record;
    for (const CsvField& field : reader.fields()) record.emplace_back(field.text(scratch));
    EXPECT_EQ(record.size(), reader.field_count());
    result.records.push_back(std::move(record));
    result.lines.push_back(first_line + reader.record_line());
  }
  result.fault = reader.fault();
  return result;
}

// Reads piece by piece, each the last whole records of a window, as scan_csv() does.
ReadText read_in_pieces(std::string_view text, CsvDialect dialect, size_t piece_bytes) {
  ReadText all;
  uint64_t line = 0;
  for (size_t window = piece_bytes; !text.empty();) {
    const size_t size = std::min(window, text.size());
    const size_t end =
        size == text.size() ? size : last_record_end(text.substr(0, size), dialect).end;
    if (end == 0) {
      window *= 2;
      continue;
    }
    ReadText piece = read(text.substr(0, end), dialect, line);
    CsvRecordReader counter(text.substr(0, end), dialect, 0);
    while (counter.next()) {
    }
    line += counter.line_count();
    all.records.insert(all.records.end(), piece.records.begin(), piece.records.end());
    all.lines.insert(all.lines.end(), piece.lines.begin(), piece.lines.end());
    if (piece.fault) {
      all.fault = piece.fault;
      return all;
    }
    text.remove_prefix(end);
    window = piece_bytes;
  }
  return all;
}

TEST(CsvRecords, SplitsPlainLines) {
  const ReadText text = read("a,b,c\n1,,3\n");
  EXPECT_EQ(text.records, (std::vector<Record>{{"a", "b", "c"}, {"1", "", "3"}}));
  EXPECT_EQ(text.lines, (std::vector<uint64_t>{0, 1}));
  EXPECT_FALSE(text.fault);
}

TEST(CsvRecords, TakesEveryLineEnd) {
  const std::vector<Record> expected = {{"a", "b"}, {"1", "2"}};
  for (const char* text : {"a,b\n1,2\n", "a,b\n1,2", "a,b\r\n1,2\r\n", "a,b\r\n1,2", "a,b\n1,2\r",
                           "a,b\r\n1,2\n", "a,b\n\n1,2\n\n\n", "\n \n\t\r\na,b\r\n\r\n1,2\r\n  "}) {
    EXPECT_EQ(read(text).records, expected) << text;
    EXPECT_FALSE(read(text).fault) << text;
  }
  EXPECT_EQ(read("a,b\r1,2\r", {',', '\r'}).records, expected);
}

TEST(CsvRecords, KeepsEmptyFieldsAtTheEnds) {
  EXPECT_EQ(read(",\n,").records, (std::vector<Record>{{"", ""}, {"", ""}}));
  EXPECT_EQ(read("\"\"\n").records, (std::vector<Record>{{""}}));
  EXPECT_EQ(read("\t\t\n", {'\t', '\n'}).records, (std::vector<Record>{{"", "", ""}}));
}

TEST(CsvRecords, UnquotesFields) {
  EXPECT_EQ(read("\"a,b\",\"c\nd\",\"say \"\"hi\"\"\"\n").records,
            (std::vector<Record>{{"a,b", "c\nd", "say \"hi\""}}));
  EXPECT_EQ(read("\"\"\"\"\n\"\",\"\"").records, (std::vector<Record>{{"\""}, {"", ""}}));
}

TEST(CsvRecords, TakesAQuoteWithinAPlainFieldAsText) {
  EXPECT_EQ(read("5' 10\",x\n ab\"c\"\n").records,
            (std::vector<Record>{{"5' 10\"", "x"}, {" ab\"c\""}}));
}

TEST(CsvRecords, SaysOnWhichLineARecordBegins) {
  EXPECT_EQ(read("a\n\n\"b\n\nc\"\nd\n").lines, (std::vector<uint64_t>{0, 2, 5}));
}

TEST(CsvRecords, RefusesWhatIsBroken) {
  struct Case {
    std::string text;
    uint64_t line;
    const char* words;
  };
  for (const Case& broken : std::vector<Case>{
           {"a,b\n1,\"2\n3,4\n", 1, "never closes"},
           {"a,b\n\n1,\"2\"x\n", 2, "a closing quote"},
           {"a\n\"x\ny\"z\n", 1, "closing quote"},
           {std::string("a,b\n1,\0\n", 8), 1, "NUL"},
           {std::string("a,b\n1,\"\0\"\n", 10), 1, "NUL"},
           {"a,b\n1\r2,3\n", 1, "carriage return"},
           {"a\n\"", 1, "never closes"},
       }) {
    const ReadText text = read(broken.text);
    ASSERT_TRUE(text.fault) << broken.text;
    EXPECT_EQ(text.fault->line, broken.line) << broken.text;
    EXPECT_NE(text.fault->message.find(broken.words), std::string::npos) << text.fault->message;
    const std::string message = text.fault->to_status("f.csv", 10).message();
    EXPECT_NE(message.find("file: f.csv, line: " + std::to_string(10 + broken.line + 1)),
              std::string::npos)
        << message;
  }
}

TEST(CsvRecords, CountsFieldsBeyondTheLimitWithoutKeepingThem) {
  CsvRecordReader reader("1,2,3,4,5\n", {}, 2);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field_count(), 5u);
  EXPECT_EQ(reader.fields().size(), 2u);
}

TEST(CsvRecords, FindsTheLastWholeRecord) {
  const auto end = [](std::string_view text) { return last_record_end(text, {}).end; };
  EXPECT_EQ(end(""), 0u);
  EXPECT_EQ(end("a,b"), 0u);
  EXPECT_EQ(end("a\nb"), 2u);
  EXPECT_EQ(end("a\n\"b\nc"), 2u);
  EXPECT_EQ(end("a\n\"b\n\"\"\nc"), 2u);
  EXPECT_EQ(end("a\n\"b\n\"\nc"), 7u);
  EXPECT_EQ(end("a\nb\"\nc"), 5u);
  EXPECT_EQ(last_record_end("a\nb,\"c\nd", {}).open_quote, 4u);
  EXPECT_EQ(last_record_end("a\nb,\"c\"\nd", {}).open_quote, std::nullopt);
}

// Text made of what matters to a reader.
rc::Gen<std::string> any_text() {
  return rc::gen::container<std::string>(
      rc::gen::elementOf(std::string("\"\",,\n\n\r a1\t;\xc3\xa9")));
}

RC_GTEST_PROP(CsvRecords, ATableComesBackHoweverItIsWritten, ()) {
  const CsvDialect dialect{*rc::gen::element(',', ';', '\t', '|'), '\n'};
  const size_t width = *rc::gen::inRange<size_t>(1, 5);
  const auto table =
      *rc::gen::container<std::vector<Record>>(rc::gen::container<Record>(width, any_text()));
  const bool windows_lines = *rc::gen::arbitrary<bool>();
  std::string text;
  for (const Record& record : table) {
    for (size_t i = 0; i < width; ++i) {
      if (i > 0) text += dialect.delimiter;
      // Quotes where they are needed, and at times where they are not. A lone field that is blank
      // would be a blank line.
      const std::string& field = record[i];
      const bool needs =
          field.find_first_of(std::string("\"\r\n") + dialect.delimiter) != std::string::npos ||
          (width == 1 && field.find_first_not_of(" \t") == std::string::npos) ||
          (i == 0 && field.find_first_not_of(" \t") == std::string::npos);
      if (!needs && *rc::gen::inRange(0, 4) != 0) {
        text += field;
        continue;
      }
      text += '"';
      for (char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
      text += '"';
    }
    text += windows_lines ? "\r\n" : "\n";
  }
  if (!text.empty() && *rc::gen::arbitrary<bool>()) text.pop_back();  // the last newline
  const ReadText whole = read(text, dialect);
  RC_ASSERT(!whole.fault);
  RC_ASSERT(whole.records == table);
}

RC_GTEST_PROP(CsvRecords, AnyTextIsTheSameInPiecesOfAnySize, ()) {
  const std::string text = *any_text();
  const CsvDialect dialect{',', *rc::gen::element('\n', '\r')};
  const ReadText whole = read(text, dialect);
  const ReadText pieces = read_in_pieces(text, dialect, *rc::gen::inRange<size_t>(1, 20));
  RC_ASSERT(whole.records == pieces.records);
  RC_ASSERT(whole.lines == pieces.lines);
  RC_ASSERT(whole.fault.has_value() == pieces.fault.has_value());
}

}  // namespace
}  // namespace evergrove::source
