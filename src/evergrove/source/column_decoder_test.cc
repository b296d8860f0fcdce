// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/column_decoder.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <set>

#include "evergrove/source/column_type.h"
#include "evergrove/source/source_values.h"

namespace evergrove::source {
namespace {

using Numbers = std::vector<double>;
using Texts = std::vector<std::string>;
using arrow::TimeUnit;

const double kNan = std::nan("");

Result<table::ColumnValues> decode(const std::shared_ptr<arrow::DataType>& type,
                                   const std::vector<std::string>& chunks,
                                   bool as_categories = false) {
  arrow::ArrayVector arrays;
  for (const std::string& json : chunks) arrays.push_back(array_of(type, json));
  OpenOptions options;
  if (as_categories) options.categorical = {"c"};
  return decode_column(arrow::ChunkedArray(arrays, type),
                       column_spec(*arrow::field("c", type), options));
}

Numbers numbers(const std::shared_ptr<arrow::DataType>& type,
                const std::vector<std::string>& chunks) {
  const auto values = decode(type, chunks);
  EXPECT_TRUE(values.ok()) << values.status().message();
  Numbers result;
  if (!values.ok()) return result;
  const size_t row_count = std::max(values->f32.size(), values->f64.size());
  for (size_t i = 0; i < row_count; ++i) result.push_back(values->number(i));
  return result;
}

Texts texts(const std::shared_ptr<arrow::DataType>& type, const std::vector<std::string>& chunks) {
  const auto values = decode(type, chunks, /*as_categories=*/true);
  EXPECT_TRUE(values.ok()) << values.status().message();
  Texts result;
  if (!values.ok()) return result;
  for (int32_t code : values->codes) result.push_back(code < 0 ? "?" : values->dictionary.at(code));
  const std::set<std::string> distinct(values->dictionary.begin(), values->dictionary.end());
  EXPECT_EQ(distinct.size(), values->dictionary.size()) << "a name stands twice";
  return result;
}

// NaN equals NaN here.
void expect_numbers(const Numbers& found, const Numbers& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(found[i])) << i;
    } else {
      EXPECT_EQ(found[i], expected[i]) << i;
    }
  }
}

TEST(ColumnDecoder, ReadsNumbersOfEveryWidthWithNullsAsNan) {
  for (const auto& type : {arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64(),
                           arrow::uint8(), arrow::uint16(), arrow::uint32(), arrow::uint64(),
                           arrow::float16(), arrow::float32(), arrow::float64()}) {
    SCOPED_TRACE(type->ToString());
    expect_numbers(numbers(type, {"[1, null, 100]", "[]", "[7]"}), {1, kNan, 100, 7});
  }
  expect_numbers(numbers(arrow::int64(), {"[-9007199254740993]"}), {-9007199254740992.0});
  expect_numbers(numbers(arrow::uint64(), {"[18446744073709551615]"}), {18446744073709551616.0});
  expect_numbers(numbers(arrow::boolean(), {"[true, null, false]"}), {1, kNan, 0});
  expect_numbers(numbers(arrow::null(), {"[null, null]"}), {kNan, kNan});
}

TEST(ColumnDecoder, ReadsADecimalAsTheDoubleNearestToItsDigits) {
  for (const auto& type : {arrow::decimal32(9, 2), arrow::decimal64(18, 2),
                           arrow::decimal128(38, 2), arrow::decimal256(76, 2)}) {
    SCOPED_TRACE(type->ToString());
    expect_numbers(numbers(type, {R"(["12.34", null, "-0.07", "0.30"])"}),
                   {12.34, kNan, -0.07, 0.3});
  }
  expect_numbers(
      numbers(arrow::decimal128(38, 18), {R"(["12345678901234567890.123456789012345678"])"}),
      {12345678901234567890.123456789012345678});
  arrow::Decimal128Builder thousands(arrow::decimal128(10, -3));
  ASSERT_TRUE(thousands.Append(arrow::Decimal128(12)).ok());
  double number = 0;
  ASSERT_TRUE(write_numbers(*thousands.Finish().ValueOrDie(), &number).ok());
  EXPECT_EQ(number, 12000);
}

RC_GTEST_PROP(ColumnDecoder, ReadsADecimalAsItsTextWouldBeRead, (int64_t digits)) {
  const auto scale = *rc::gen::inRange(0, 38);
  arrow::Decimal128Builder builder(arrow::decimal128(38, scale));
  ASSERT_TRUE(builder.Append(arrow::Decimal128(digits)).ok());
  const auto array = builder.Finish().ValueOrDie();
  double number = 0;
  ASSERT_TRUE(write_numbers(*array, &number).ok());
  const std::string text = arrow::Decimal128(digits).ToString(scale);
  RC_ASSERT(number == std::strtod(text.c_str(), nullptr));
}

TEST(ColumnDecoder, ReadsTimesAsSecondsAlikeInEveryUnit) {
  expect_numbers(numbers(arrow::date32(), {"[0, null, 19000, -1]"}),
                 {0, kNan, 19000 * 86400.0, -86400});
  expect_numbers(numbers(arrow::date64(), {"[86400000]"}), {86400});
  expect_numbers(numbers(arrow::timestamp(TimeUnit::SECOND), {"[1700000000]"}), {1700000000});
  // 0.1 s and -0.1 s around 1970 and 2023, to the same bits whatever they are counted in.
  for (int64_t second : {int64_t{0}, int64_t{1700000000}}) {
    const Numbers expected = {static_cast<double>(second) + 0.1,
                              static_cast<double>(second - 1) + 0.9};
    const std::string at = std::to_string(second);
    const std::string before = std::to_string(second - 1);
    for (const auto& [unit, zeros] : std::vector<std::pair<TimeUnit::type, std::string>>{
             {TimeUnit::MILLI, "00"}, {TimeUnit::MICRO, "00000"}, {TimeUnit::NANO, "00000000"}}) {
      const auto digits = [&zeros = zeros](int64_t tenths) {
        return std::to_string(tenths) + zeros;
      };
      const std::string json = "[" + digits(second * 10 + 1) + ", " + digits(second * 10 - 1) + "]";
      expect_numbers(numbers(arrow::timestamp(unit, "Europe/Berlin"), {json}), expected);
      expect_numbers(numbers(arrow::duration(unit), {json}), expected);
    }
  }
  expect_numbers(numbers(arrow::time32(TimeUnit::MILLI), {"[1500]"}), {1.5});
  expect_numbers(numbers(arrow::time64(TimeUnit::NANO), {"[1500000000]"}), {1.5});
}

TEST(ColumnDecoder, PassesOnFloatsWithoutACopy) {
  const auto array = array_of(arrow::float32(), "[1, 2, 3]")->Slice(1);
  const auto values =
      decode_column(arrow::ChunkedArray(array), {"c", table::ColumnKind::numeric, "float", true});
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(values->f32.data(), static_cast<const arrow::FloatArray&>(*array).raw_values());
}

TEST(ColumnDecoder, ReadsNanAndInfinityAsTheyAre) {
  expect_numbers(numbers(arrow::float64(), {"[NaN, Inf, -Inf, -0.0]"}),
                 {kNan, INFINITY, -INFINITY, 0});
  EXPECT_EQ(texts(arrow::float64(), {"[NaN, 1.5, -0.0, 0, 0.1, 1e300]"}),
            (Texts{"?", "1.5", "0", "0", "0.1", "1e+300"}));
}

TEST(ColumnDecoder, ReadsTextOfEveryLayoutAsCategories) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view(),
                           arrow::dictionary(arrow::int8(), arrow::utf8()),
                           arrow::dictionary(arrow::uint64(), arrow::large_utf8())}) {
    SCOPED_TRACE(type->ToString());
    EXPECT_EQ(texts(type, {R"(["b", null, "a", "b"])", "[]", R"(["c", "", "a"])"}),
              (Texts{"b", "?", "a", "b", "c", "", "a"}));
  }
  EXPECT_EQ(texts(arrow::null(), {"[null]"}), (Texts{"?"}));
}

TEST(ColumnDecoder, NamesNumbersAlikeInEveryTypeWhenTheyAreCategories) {
  for (const auto& type :
       {arrow::int32(), arrow::int64(), arrow::uint64(), arrow::float32(), arrow::float64()}) {
    SCOPED_TRACE(type->ToString());
    EXPECT_EQ(texts(type, {"[100000, null, 7]", "[7]"}), (Texts{"100000", "?", "7", "7"}));
  }
  EXPECT_EQ(texts(arrow::boolean(), {"[true, null, false, true]"}),
            (Texts{"true", "?", "false", "true"}));
  EXPECT_EQ(texts(arrow::int64(), {"[9007199254740993, 9007199254740992]"}),
            (Texts{"9007199254740993", "9007199254740992"}));
  EXPECT_EQ(texts(arrow::float32(), {"[0.1]"}), (Texts{"0.1"}));
  EXPECT_EQ(texts(arrow::decimal128(5, 2), {R"(["1.50", "1.50", null])"}),
            (Texts{"1.5", "1.5", "?"}));
}

std::shared_ptr<arrow::Array> dictionary_array(const std::shared_ptr<arrow::DataType>& values,
                                               const std::string& indices,
                                               const std::string& dictionary) {
  return std::make_shared<arrow::DictionaryArray>(arrow::dictionary(arrow::int16(), values),
                                                  array_of(arrow::int16(), indices),
                                                  array_of(values, dictionary));
}

TEST(ColumnDecoder, MergesWhatADictionaryHoldsTwiceAndSkipsWhatNobodyHas) {
  const auto first =
      dictionary_array(arrow::utf8(), "[0, 1, 2, 3, null]", R"(["a", "b", "a", null, "nobody"])");
  const auto second = dictionary_array(arrow::utf8(), "[1, 0]", R"(["b", "c"])");
  const arrow::ChunkedArray column({first, second});
  const auto values = decode_column(column, {"c", table::ColumnKind::categorical, "", true});
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(values->dictionary, (Texts{"a", "b", "c"}));
  EXPECT_EQ(std::vector<int32_t>(values->codes.begin(), values->codes.end()),
            (std::vector<int32_t>{0, 1, 0, -1, -1, 2, 1}));
}

TEST(ColumnDecoder, ReadsADictionaryOfNumbersAsNumbersUnlessAskedOtherwise) {
  const auto array = dictionary_array(arrow::int64(), "[0, 1, null, 2]", "[5, 6, null]");
  const auto values =
      decode_column(arrow::ChunkedArray(array), column_spec(*arrow::field("c", array->type()), {}));
  ASSERT_TRUE(values.ok());
  expect_numbers({values->f64.begin(), values->f64.end()}, {5, 6, kNan, kNan});
  const auto categories =
      decode_column(arrow::ChunkedArray(array), {"c", table::ColumnKind::categorical, "", true});
  ASSERT_TRUE(categories.ok());
  EXPECT_EQ(categories->dictionary, (Texts{"5", "6"}));
}

TEST(ColumnDecoder, RefusesAnIndexBeyondTheDictionary) {
  for (const char* indices : {"[0, 2]", "[-1]"}) {
    const auto array = dictionary_array(arrow::utf8(), indices, R"(["a", "b"])");
    const auto values =
        decode_column(arrow::ChunkedArray(array), {"c", table::ColumnKind::categorical, "", true});
    EXPECT_EQ(values.status().kind(), StatusKind::corrupt);
    EXPECT_NE(values.status().message().find("column c"), std::string::npos);
  }
}

TEST(ColumnDecoder, RefusesTextThatIsNotUtf8) {
  arrow::BinaryBuilder builder;
  ASSERT_TRUE(builder.Append("\xff\xfe").ok());
  const auto array = builder.Finish().ValueOrDie();
  const Status status =
      decode_column(arrow::ChunkedArray(array), column_spec(*arrow::field("b", array->type()), {}))
          .status();
  EXPECT_EQ(status.kind(), StatusKind::invalid_input);
  EXPECT_NE(status.message().find("column: b"), std::string::npos) << status.message();
}

TEST(ColumnDecoder, RefusesWhatCannotBeUsedByNameAndType) {
  for (const auto& type :
       {arrow::list(arrow::int32()), arrow::struct_({arrow::field("a", arrow::int8())}),
        arrow::map(arrow::utf8(), arrow::int8()), arrow::fixed_size_binary(4)}) {
    const table::ColumnSpec spec = column_spec(*arrow::field("odd", type), {});
    EXPECT_FALSE(spec.usable);
    const auto array = arrow::MakeArrayOfNull(type, 2).ValueOrDie();
    const Status status = decode_column(arrow::ChunkedArray(array), spec).status();
    EXPECT_EQ(status.kind(), StatusKind::invalid_input);
    EXPECT_NE(status.message().find("column: odd"), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(type->ToString()), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace evergrove::source
