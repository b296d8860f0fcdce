// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "evergrove/source/arrow_read.h"
#include "evergrove/source/open.h"
#include "evergrove/source/source_values.h"
#include "evergrove/source/temporary_files.h"

namespace evergrove::source {
namespace {

using Numbers = std::vector<double>;

class SchemaUnionTest : public testing::Test {
 protected:
  Result<std::shared_ptr<table::RowSource>> open_two(const std::vector<JsonColumn>& a,
                                                     const std::vector<JsonColumn>& b) {
    const std::string paths[] = {files_.parquet("a.parquet", *table_of(a)),
                                 files_.parquet("b.parquet", *table_of(b))};
    return open(paths);
  }
  Status refusal(const std::vector<JsonColumn>& a, const std::vector<JsonColumn>& b) {
    const auto source = open_two(a, b);
    EXPECT_FALSE(source.ok());
    EXPECT_EQ(source.status().kind(), StatusKind::invalid_input) << source.status().message();
    return source.status();
  }
  // Reads a column of all blocks as Arrow has it.
  std::shared_ptr<arrow::Array> arrow_column(const table::RowSource& source, size_t column) {
    arrow::ArrayVector arrays;
    for (size_t b = 0; b < source.blocks().size(); ++b) {
      const auto batch = read_arrow(source, b, {&column, 1});
      EXPECT_TRUE(batch.ok()) << batch.status().message();
      if (batch.ok()) arrays.push_back((*batch)->column(0));
    }
    return arrow::Concatenate(arrays).ValueOrDie();
  }

  TemporaryFiles files_;
};

TEST_F(SchemaUnionTest, TakesNumbersOfDifferentWidthsAndColumnsInAnotherOrder) {
  const auto source =
      open_two({{"x", arrow::int32(), "[1]"}, {"y", arrow::float32(), "[0.5]"}},
               {{"y", arrow::float64(), "[0.1]"}, {"x", arrow::int64(), "[4294967296]"}});
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(numbers_of(**source, "x"), (Numbers{1, 4294967296}));
  EXPECT_EQ(numbers_of(**source, "y"), (Numbers{0.5, 0.1}));
  EXPECT_TRUE(arrow_column(**source, 0)->Equals(array_of(arrow::int64(), "[1, 4294967296]")));
}

TEST_F(SchemaUnionTest, TakesAColumnOfNullsForWhatItIsElsewhere) {
  const auto source = open_two({{"t", arrow::null(), "[null]"}, {"x", arrow::null(), "[null]"}},
                               {{"t", arrow::utf8(), "[\"a\"]"}, {"x", arrow::int8(), "[7]"}});
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(names_of(**source, "t"), (std::vector<std::string>{"?", "a"}));
  const Numbers numbers = numbers_of(**source, "x");
  EXPECT_TRUE(std::isnan(numbers[0]));
  EXPECT_EQ(numbers[1], 7);
  EXPECT_TRUE(arrow_column(**source, 0)->Equals(array_of(arrow::utf8(), "[null, \"a\"]")));
}

TEST_F(SchemaUnionTest, TakesTextOfDifferentLayouts) {
  const auto source =
      open_two({{"t", arrow::utf8(), "[\"a\"]"}},
               {{"t", arrow::dictionary(arrow::int32(), arrow::utf8()), "[\"b\"]"}});
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(names_of(**source, "t"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(arrow_column(**source, 0)->Equals(array_of(arrow::utf8(), "[\"a\", \"b\"]")));
}

TEST_F(SchemaUnionTest, TakesBooleansAmongNumbers) {
  const auto source = open_two({{"x", arrow::boolean(), "[true]"}}, {{"x", arrow::int64(), "[5]"}});
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(numbers_of(**source, "x"), (Numbers{1, 5}));
  EXPECT_TRUE(arrow_column(**source, 0)->Equals(array_of(arrow::float64(), "[1, 5]")));
}

TEST_F(SchemaUnionTest, RefusesAColumnOfAnotherClassByFileColumnAndTypes) {
  const std::string message =
      refusal({{"x", arrow::int32(), "[1]"}}, {{"x", arrow::utf8(), "[\"1\"]"}}).message();
  for (const char* part : {"column: x", "a.parquet: int32", "b.parquet: string"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_FALSE(open_two({{"x", arrow::int32(), "[1]"}},
                        {{"x", arrow::timestamp(arrow::TimeUnit::MICRO), "[1]"}})
                   .ok());
}

TEST_F(SchemaUnionTest, RefusesMissingAndAdditionalColumns) {
  const std::vector<JsonColumn> one = {{"x", arrow::int32(), "[1]"}};
  const std::vector<JsonColumn> two = {{"x", arrow::int32(), "[1]"}, {"y", arrow::int32(), "[1]"}};
  for (const std::string& message : {refusal(one, two).message(), refusal(two, one).message()}) {
    for (const char* part : {"column: y", "a.parquet", "b.parquet"}) {
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
}

TEST_F(SchemaUnionTest, RefusesFilesOfDifferentFormats) {
  const std::string paths[] = {
      files_.parquet("a.parquet", *table_of({{"x", arrow::int32(), "[1]"}})),
      files_.bytes("b.csv", "x\n1\n")};
  const Status status = open(paths).status();
  EXPECT_EQ(status.kind(), StatusKind::invalid_input);
  for (const char* part : {"a.parquet: Parquet", "b.csv: CSV"}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace evergrove::source
