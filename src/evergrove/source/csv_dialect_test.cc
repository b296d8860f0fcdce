// Delimiters, newlines and header lines.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_dialect.h"

#include <gtest/gtest.h>

#include <string>

namespace evergrove::source {
namespace {

char delimiter_of(std::string_view text) {
  const auto dialect = infer_dialect(text, 0, "f.csv");
  return dialect.ok() ? dialect->delimiter : '!';
}

Result<CsvHeader> header_of(std::string_view text) {
  const auto dialect = infer_dialect(text, 0, "f.csv");
  if (!dialect.ok()) return dialect.status();
  return read_header(text, *dialect, "f.csv");
}

TEST(CsvDialect, InfersTheDelimiterThatSplitsLinesEvenly) {
  EXPECT_EQ(delimiter_of("a,b\n1,2\n"), ',');
  EXPECT_EQ(delimiter_of("a;b\n1,5;2,5\n"), ';');
  EXPECT_EQ(delimiter_of("a;b;c\n1,5;2,5;3\n"), ';');
  EXPECT_EQ(delimiter_of("a\tb\nx, y\tz\n"), '\t');
  EXPECT_EQ(delimiter_of("a|b\n1|2"), '|');
  EXPECT_EQ(delimiter_of("\"a;b\",c\n\"1;2\",3\n"), ',');
  EXPECT_EQ(delimiter_of("a\n1\n"), ',');
  EXPECT_EQ(delimiter_of("a b\n"), ',');
}

TEST(CsvDialect, PrefersTheHeaderWhenALineIsBroken) {
  EXPECT_EQ(delimiter_of("a,b,c\n1,2\n1,2,3\n"), ',');
  EXPECT_EQ(delimiter_of("a;b;c\n1;2\n"), ';');
}

TEST(CsvDialect, DoesNotLookAtALineThatIsCutOff) {
  EXPECT_EQ(delimiter_of("a;b,c;d\n1;2,3;4\n5;6"), ';');
}

TEST(CsvDialect, KnowsTheNewlineOfOldMacs) {
  EXPECT_EQ(infer_dialect("a,b\r1,2\r", 0, "f")->newline, '\r');
  EXPECT_EQ(infer_dialect("a,b\r\n1,2\r\n", 0, "f")->newline, '\n');
  EXPECT_EQ(infer_dialect("a,b\r", 0, "f")->newline, '\n');  // the '\n' may not be there yet
}

TEST(CsvDialect, TakesTheGivenDelimiter) {
  EXPECT_EQ(infer_dialect("a,b;c\n", ';', "f")->delimiter, ';');
  EXPECT_FALSE(infer_dialect("a,b\n", '"', "f").ok());
  EXPECT_FALSE(infer_dialect("a,b\n", '\n', "f").ok());
}

TEST(CsvHeader, GivesTrimmedNamesAndWhereTheBodyBegins) {
  const auto header = header_of("\xef\xbb\xbf\n a ,\" b, c\",d\t\r\n1,2,3\n");
  ASSERT_TRUE(header.ok()) << header.status().message();
  EXPECT_EQ(header->names, (std::vector<std::string>{"a", "b, c", "d"}));
  EXPECT_EQ(header->body_offset, 20u);
  EXPECT_EQ(header->body_line, 2u);
}

TEST(CsvHeader, MayBeCountedNumbers) {
  EXPECT_TRUE(header_of("0,1,2\n5,6,7\n").ok());
  EXPECT_TRUE(header_of("1,2,3\n5,6,7\n").ok());
  EXPECT_TRUE(header_of("1,x\n5,6\n").ok());
}

TEST(CsvHeader, RefusesWhatCannotBeNames) {
  struct Case {
    std::string text;
    const char* words;
  };
  for (const Case& wrong : std::vector<Case>{
           {"", "is empty"},
           {"\xef\xbb\xbf", "blank lines"},
           {" \n\n", "blank lines"},
           {",a\n0,1\n", "no name"},
           {"a,\" \",b\n", "column number: 2"},
           {"a,b,a\n", "column numbers: 1 and 3"},
           {"0.5,3\n", "looks like data"},
           {"7,8,9\n", "looks like data"},
           {"a,\xe9\n", "UTF-8"},
           {std::string("\xff\xfe"
                        "a\0",
                        4),
            "UTF-16"},
           {"a,\"b\n", "never closes"},
           {std::string("a,\0b\n", 5), "NUL"},
       }) {
    const auto header = header_of(wrong.text);
    ASSERT_FALSE(header.ok()) << wrong.text;
    EXPECT_NE(header.status().message().find(wrong.words), std::string::npos)
        << header.status().message();
    EXPECT_NE(header.status().message().find("f.csv"), std::string::npos);
  }
}

TEST(CsvHeader, RefusesMoreColumnsThanAMillion) {
  const auto header = header_of(std::string(1'000'000, ','));
  ASSERT_FALSE(header.ok());
  EXPECT_NE(header.status().message().find("too many columns"), std::string::npos);
}

TEST(CsvHeader, IsWholeOnlyWithItsNewline) {
  EXPECT_FALSE(has_whole_header("a,b", {}));
  EXPECT_FALSE(has_whole_header("", {}));
  EXPECT_FALSE(has_whole_header("\n\n", {}));
  EXPECT_FALSE(has_whole_header("\"a\n,b", {}));
  EXPECT_FALSE(has_whole_header("\xef\xbb\xbf\"a\nb", {}));
  EXPECT_TRUE(has_whole_header("a,b\n", {}));
  EXPECT_TRUE(has_whole_header("a,b\n1", {}));
}

}  // namespace
}  // namespace evergrove::source
