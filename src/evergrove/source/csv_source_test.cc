// CSV files as a data set: against Arrow's own reader, in pieces of any size, several files,
// types that are given, and every way in which a file can be wrong.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_source.h"

#include <arrow/api.h>
#include <arrow/csv/api.h>
#include <arrow/io/api.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "evergrove/base/hash.h"
#include "evergrove/base/number_text.h"
#include "evergrove/source/arrow_source.h"
#include "evergrove/source/source_values.h"

namespace evergrove::source {
namespace {

CsvFile file_of(std::string text, std::string path = "f.csv") {
  return {std::move(path),
          std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(text))),
          false};
}

Result<std::shared_ptr<table::RowSource>> open_text(std::string text,
                                                    const OpenOptions& options = {},
                                                    CsvCut cut = {}) {
  return open_csv({file_of(std::move(text))}, options, cut);
}

OpenOptions with_types(std::map<std::string, std::string> types) {
  OpenOptions options;
  options.column_types = std::move(types);
  return options;
}

OpenOptions with_categorical(std::vector<std::string> names) {
  OpenOptions options;
  options.categorical = std::move(names);
  return options;
}

std::shared_ptr<table::RowSource> opened(Result<std::shared_ptr<table::RowSource>> source) {
  EXPECT_TRUE(source.ok()) << source.status().message();
  return source.ok() ? *source : nullptr;
}

void expect_refusal(const Result<std::shared_ptr<table::RowSource>>& source,
                    std::initializer_list<const char*> words) {
  ASSERT_FALSE(source.ok());
  for (const char* word : words) {
    EXPECT_NE(source.status().message().find(word), std::string::npos)
        << word << " is not in: " << source.status().message();
  }
}

std::shared_ptr<arrow::RecordBatch> read_all_arrow(const table::RowSource& source) {
  const auto& rows = dynamic_cast<const ArrowSource&>(source);
  std::vector<size_t> columns(source.schema().columns.size());
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = i;
  arrow::RecordBatchVector batches;
  for (size_t b = 0; b < source.blocks().size(); ++b) {
    auto batch = rows.read_arrow(b, columns);
    EXPECT_TRUE(batch.ok()) << batch.status().message();
    EXPECT_TRUE((*batch)->ValidateFull().ok());
    batches.push_back(*batch);
  }
  auto table = arrow::Table::FromRecordBatches(rows.arrow_schema(), batches).ValueOrDie();
  return table->CombineChunksToBatch().ValueOrDie();
}

// A table of five columns with quotes, newlines and missing values here and there.
std::string varied_text(size_t row_count, uint64_t seed) {
  const RandomKey dice(seed, "csv text");
  std::string text = "count,amount,city,\"said \"\"so\"\"\",day\n";
  for (size_t row = 0; row < row_count; ++row) {
    const auto roll = [&](uint64_t what) { return dice.at(row * 8 + what); };
    text +=
        roll(0) % 10 == 0 ? "" : std::to_string(static_cast<int64_t>(roll(0)) >> (roll(1) % 60));
    text += ',';
    const double amount = std::bit_cast<double>(roll(2));
    text += std::isfinite(amount) ? number_text(amount) : "NA";
    text += ",city " + std::to_string(roll(3) % 7) + ",";
    const char* const words[] = {"plain",
                                 "\"with, comma\"",
                                 "\"two\nlines\"",
                                 "\"a \"\"quote\"\"\"",
                                 "",
                                 "\"\"",
                                 "h\xc3\xa9",
                                 "None"};
    text += words[roll(4) % 8];
    text += roll(5) % 5 == 0 ? ",\n" : ",2024-02-" + std::to_string(10 + roll(6) % 20) + "\n";
    if (roll(7) % 9 == 0) text += "\n";
  }
  return text;
}

std::shared_ptr<arrow::Table> read_by_arrow(const std::string& text) {
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.newlines_in_values = true;
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.strings_can_be_null = true;
  convert.null_values.push_back("None");
  auto read = arrow::csv::ReadOptions::Defaults();
  auto input = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(text));
  auto reader =
      arrow::csv::TableReader::Make(arrow::io::default_io_context(), input, read, parse, convert);
  return reader.ValueOrDie()->Read().ValueOrDie()->CombineChunks().ValueOrDie();
}

TEST(CsvSource, GivesWhatArrowsOwnReaderGives) {
  const std::string text = varied_text(5000, 1);
  const auto source = opened(open_text(text, {}, {.piece_bytes = 10000}));
  ASSERT_GT(source->blocks().size(), 10u);
  const auto ours = arrow::Table::FromRecordBatches({read_all_arrow(*source)}).ValueOrDie();
  const auto theirs = read_by_arrow(text);
  ASSERT_EQ(ours->num_rows(), 5000);
  for (int i = 0; i < ours->num_columns(); ++i) {
    EXPECT_TRUE(ours->schema()->field(i)->Equals(theirs->schema()->field(i)))
        << theirs->schema()->field(i)->ToString();
    EXPECT_TRUE(ours->column(i)->Equals(theirs->column(i))) << ours->schema()->field(i)->ToString();
  }
}

TEST(CsvSource, GivesRowsAsTheTableHasThem) {
  const auto source =
      opened(open_text("n,yes,day,time,word,none\n"
                       "1,true,1970-01-02,1970-01-01T00:00:01.5Z, a ,\n"
                       "-0.5,FALSE,,NA,b,NA\n"
                       "NaN,,1969-12-31,1970-01-01,\"\",\n"
                       "inf,True,1970-01-01,1970-01-01 01:00+01:00,a,\n"));
  EXPECT_EQ(source->manifest().row_count, 4u);
  EXPECT_FALSE(source->reads_single_columns());
  const auto type = [&](const char* name) {
    return source->schema().columns[source->schema().find(name).value()].source_type;
  };
  EXPECT_EQ(type("n"), "CSV number");
  EXPECT_EQ(type("yes"), "CSV boolean");
  EXPECT_EQ(type("day"), "CSV date");
  EXPECT_EQ(type("time"), "CSV date");
  EXPECT_EQ(type("word"), "CSV text");
  EXPECT_EQ(type("none"), "CSV number");
  const double nan = std::nan("");
  const auto expect_numbers = [&](const char* name, std::vector<double> expected) {
    const std::vector<double> numbers = numbers_of(*source, name);
    ASSERT_EQ(numbers.size(), expected.size()) << name;
    for (size_t i = 0; i < numbers.size(); ++i) {
      EXPECT_TRUE(numbers[i] == expected[i] || (std::isnan(numbers[i]) && std::isnan(expected[i])))
          << name << " " << i << ": " << numbers[i];
    }
  };
  expect_numbers("n", {1, -0.5, nan, INFINITY});
  expect_numbers("yes", {1, 0, nan, 1});
  expect_numbers("day", {86400, nan, -86400, 0});
  expect_numbers("time", {1.5, nan, 0, 0});
  expect_numbers("none", {nan, nan, nan, nan});
  EXPECT_EQ(names_of(*source, "word"), (std::vector<std::string>{" a ", "b", "?", "a"}));
}

TEST(CsvSource, IsTheSameInPiecesOfAnySize) {
  const std::string text = varied_text(300, 2);
  const auto whole = opened(open_text(text, {}, {.piece_bytes = text.size()}));
  ASSERT_EQ(whole->blocks().size(), 1u);
  const auto expected = read_all_arrow(*whole);
  for (size_t piece_bytes : {1u, 7u, 64u, 1000u, 9999u}) {
    const auto source = opened(open_text(text, {}, {.piece_bytes = piece_bytes}));
    EXPECT_GT(source->blocks().size(), 1u);
    EXPECT_TRUE(read_all_arrow(*source)->Equals(*expected)) << piece_bytes;
    EXPECT_EQ(names_of(*source, "said \"so\""), names_of(*whole, "said \"so\""));
    uint64_t next_row = 0;
    for (const table::BlockExtent& extent : source->blocks()) {
      EXPECT_EQ(extent.first_row, next_row);
      next_row += extent.row_count;
    }
    EXPECT_EQ(next_row, source->manifest().row_count);
    EXPECT_EQ(source->manifest().files[0].fingerprint, whole->manifest().files[0].fingerprint);
  }
}

TEST(CsvSource, ReadsOnlyTheColumnsAskedForInThatOrder) {
  const auto source = opened(open_text("a,b,c\n1,x,3\n4,y,6\n"));
  const size_t columns[] = {2, 0};
  const auto block = source->read(0, columns);
  ASSERT_TRUE(block.ok());
  ASSERT_EQ(block->columns.size(), 2u);
  EXPECT_EQ(block->columns[0].number(1), 6);
  EXPECT_EQ(block->columns[1].number(1), 4);
}

TEST(CsvSource, JoinsFilesByTheNamesOfTheirColumns) {
  const auto source = opened(open_csv({file_of("a,b\n1,x\n", "1.csv"), file_of("b;a\n", "2.csv"),
                                       file_of("b;a\ny;2.5\nz;3\n", "3.csv")},
                                      {}));
  EXPECT_EQ(numbers_of(*source, "a"), (std::vector<double>{1, 2.5, 3}));
  EXPECT_EQ(names_of(*source, "b"), (std::vector<std::string>{"x", "y", "z"}));
  const table::Manifest& manifest = source->manifest();
  ASSERT_EQ(manifest.files.size(), 3u);
  EXPECT_EQ(manifest.files[2].first_row, 1u);
  EXPECT_EQ(manifest.files[2].row_count, 2u);
  EXPECT_EQ(manifest.files[2].size_bytes, 14u);
  EXPECT_EQ(manifest.row_count, 3u);
}

TEST(CsvSource, InfersOneTypeOverAllFiles) {
  const auto source =
      opened(open_csv({file_of("a\n1\n", "1.csv"), file_of("a\nx\n", "2.csv")}, {}));
  EXPECT_EQ(names_of(*source, "a"), (std::vector<std::string>{"1", "x"}));
}

TEST(CsvSource, RefusesFilesWithOtherColumns) {
  expect_refusal(open_csv({file_of("a,b\n1,2\n", "1.csv"), file_of("a\n1\n", "2.csv")}, {}),
                 {"lacks a column", "column: b", "file: 2.csv", "first file: 1.csv"});
  expect_refusal(open_csv({file_of("a\n1\n", "1.csv"), file_of("a,c\n1,2\n", "2.csv")}, {}),
                 {"has a column that the first file lacks", "column: c", "file: 2.csv"});
  expect_refusal(open_csv({}, {}), {"No CSV files"});
}

TEST(CsvSource, TakesTypesThatAreGiven) {
  const std::string text = "zip,when,x\n0123,2024-01-01,1\n4567,NA,NA\n";
  const auto source =
      opened(open_text(text, with_types({{"zip", "text"}, {"when", "date"}, {"x", "number"}})));
  EXPECT_EQ(names_of(*source, "zip"), (std::vector<std::string>{"0123", "4567"}));
  EXPECT_EQ(numbers_of(*source, "when")[0], 1704067200);
  const auto dates_as_text = opened(open_text(text, with_types({{"when", "text"}})));
  EXPECT_EQ(names_of(*dates_as_text, "when"), (std::vector<std::string>{"2024-01-01", "?"}));
}

TEST(CsvSource, TakesForTextWhatWasTextBefore) {
  OpenOptions options;
  options.text = {"a", "b", "not there"};
  options.column_types = {{"b", "number"}};
  const auto source = opened(open_text("a,b\n01,1\n1,2\n", options));
  EXPECT_EQ(names_of(*source, "a"), (std::vector<std::string>{"01", "1"}));
  EXPECT_EQ(numbers_of(*source, "b"), (std::vector<double>{1, 2}));
}

TEST(CsvSource, RefusesAValueThatDoesNotFitTheGivenType) {
  std::string text = "a,b\n";
  for (int i = 0; i < 5000; ++i) text += "1,2\n";
  text += "3,\"1O\"\n4,5\nx,y\n";
  for (size_t piece_bytes : {size_t{64}, size_t{1} << 20}) {
    expect_refusal(open_text(text, with_types({{"b", "number"}}), {.piece_bytes = piece_bytes}),
                   {"not a number", "file: f.csv", "line: 5002", "column: b", "value: \"1O\""});
  }
  expect_refusal(open_text("a\n1\n", with_types({{"a", "date"}})), {"not a date", "line: 2"});
  expect_refusal(open_text("a\n1\n", with_types({{"b", "date"}})), {"does not have", "column: b"});
  expect_refusal(open_text("a\n1\n", with_types({{"a", "float"}})),
                 {"number, text or date", "given: float"});
}

TEST(CsvSource, ServesNumbersAsCategoriesWhereAsked) {
  const auto source = opened(
      open_text("i,d,b,t\n1,0.10,true,x\n9007199254740993,1e2,FALSE,y\n,-0,NA,NA\n1,0,true,x\n",
                with_categorical({"i", "d", "b", "t"})));
  EXPECT_EQ(names_of(*source, "i"), (std::vector<std::string>{"1", "9007199254740993", "?", "1"}));
  EXPECT_EQ(names_of(*source, "d"), (std::vector<std::string>{"0.1", "100", "0", "0"}));
  EXPECT_EQ(names_of(*source, "b"), (std::vector<std::string>{"true", "false", "?", "true"}));
  EXPECT_EQ(names_of(*source, "t"), (std::vector<std::string>{"x", "y", "?", "x"}));
  EXPECT_EQ(source->schema().columns[0].source_type, "CSV number");
  const size_t columns[] = {1};
  EXPECT_EQ(source->read(0, columns)->columns[0].dictionary.size(), 3u);
}

TEST(CsvSource, RefusesABrokenLineByItsNumber) {
  std::string good = "a,b\n";
  for (int i = 0; i < 1000; ++i) good += "1,\"two\nlines\"\n";
  for (size_t piece_bytes : {size_t{32}, size_t{1} << 20}) {
    const CsvCut cut{.piece_bytes = piece_bytes};
    expect_refusal(open_text(good + "1\n2,3\n", {}, cut),
                   {"too few fields", "line: 2002", "expected: 2, found: 1", "f.csv"});
    expect_refusal(open_text(good + "\n1,2,3\n2,3\n", {}, cut),
                   {"too many fields", "line: 2003", "expected: 2, found: 3"});
    expect_refusal(open_text(good + "1,\"2\n3,4\n", {}, cut), {"never closes", "line: 2002"});
    expect_refusal(open_text(good + "1,\xe9\n", {}, cut),
                   {"not UTF-8", "line: 2002", "column: b", "value: \"\\xe9\""});
    expect_refusal(open_text(good + std::string("1,\0", 3), {}, cut), {"NUL", "line: 2002"});
  }
}

TEST(CsvSource, ReportsTheFirstOfManyBrokenLines) {
  std::string text = "a,b\n";
  for (int i = 0; i < 300; ++i) text += i >= 20 && i % 7 == 0 ? "1\n" : "1,2\n";
  for (int repeat = 0; repeat < 20; ++repeat) {
    expect_refusal(open_text(text, {}, {.piece_bytes = 8}), {"line: 23,"});
  }
}

TEST(CsvSource, RefusesARecordWithoutEnd) {
  const CsvCut cut{.piece_bytes = 100, .record_bytes_max = 1000};
  std::string text = "a,b\n1,2\n";
  expect_refusal(open_text(text + "3,\"" + std::string(5000, 'x') + "\n", {}, cut),
                 {"never closes", "line: 3"});
  expect_refusal(open_text(text + "3," + std::string(5000, 'x') + "\n", {}, cut),
                 {"too long", "1000"});
  EXPECT_TRUE(open_text(text + "3,\"" + std::string(700, '\n') + "\"\n", {}, cut).ok());
}

TEST(CsvSource, RefusesWhatHasNoHeader) {
  expect_refusal(open_text(""), {"is empty", "f.csv"});
  expect_refusal(open_text("\n\n"), {"blank lines"});
  expect_refusal(open_text("a,a\n1,2\n"), {"same name"});
}

TEST(CsvSource, MayHaveNoRows) {
  const auto source = opened(open_text("a,b"));
  EXPECT_EQ(source->manifest().row_count, 0u);
  EXPECT_TRUE(source->blocks().empty());
  EXPECT_EQ(source->schema().columns.size(), 2u);
}

TEST(CsvSource, TakesAHeaderLongerThanAnyFirstLook) {
  std::string names = "\xef\xbb\xbf";
  std::string values;
  for (int i = 0; i < 40000; ++i) {
    names += (i > 0 ? ";" : "") + ("a column with a long name " + std::to_string(i));
    values += (i > 0 ? ";" : "") + std::to_string(i);
  }
  const auto source = opened(open_text(names + "\r\n" + values + "\r\n" + values));
  ASSERT_EQ(source->schema().columns.size(), 40000u);
  EXPECT_EQ(numbers_of(*source, "a column with a long name 39999"),
            (std::vector<double>{39999, 39999}));
}

TEST(CsvSource, FingerprintsTheContent) {
  const auto fingerprint = [](const std::string& text) {
    return opened(open_text(text))->manifest().files[0].fingerprint;
  };
  EXPECT_EQ(fingerprint("a\n1\n"), fingerprint("a\n1\n"));
  EXPECT_NE(fingerprint("a\n1\n"), fingerprint("a\n2\n"));
  EXPECT_NE(fingerprint("a\n1\n"), fingerprint("b\n1\n"));
}

// A file whose bytes are altered behind the reader's back.
TEST(CsvSource, SaysWhenTheFileChangesAfterItWasOpened) {
  std::string text = "a,b\n1,x\n2,y\n";
  const auto bytes = std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(text.data()),
                                                     static_cast<int64_t>(text.size()));
  const auto source =
      opened(open_csv({{"f.csv", std::make_shared<arrow::io::BufferReader>(bytes), false}}, {}));
  const size_t columns[] = {0};
  for (const char* changed :
       {"a,b\nz,x\n2,y\n", "a,b\n1,x\n2\ny\n", "a,b\n1,x,2,y\n", "a,b\n1,x   y\n"}) {
    std::copy_n(changed, text.size(), text.data());
    const auto block = source->read(0, columns);
    ASSERT_FALSE(block.ok()) << changed;
    EXPECT_NE(block.status().message().find("f.csv"), std::string::npos);
    EXPECT_FALSE(dynamic_cast<const ArrowSource&>(*source).read_arrow(0, columns).ok());
  }
}

}  // namespace
}  // namespace evergrove::source
