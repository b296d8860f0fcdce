// Numbers against strtod, missing words against pandas' list, dates against the calendar.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_values.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "evergrove/base/hash.h"
#include "evergrove/source/csv_date.h"
#include "evergrove/source/csv_types.h"
#include "evergrove/source/csv_utf8.h"

namespace evergrove::source {
namespace {

uint64_t bits(double x) { return std::bit_cast<uint64_t>(x); }

// Tests run in the C locale, where strtod is the truth.
void expect_as_strtod(const std::string& text) {
  const auto number = parse_number(text);
  ASSERT_TRUE(number.has_value()) << text;
  EXPECT_EQ(bits(*number), bits(std::strtod(text.c_str(), nullptr))) << text;
}

TEST(CsvNumber, IsTheDoubleOfStrtod) {
  for (
      const char* text :
      {"0",
       "-0",
       "+7",
       "1.",
       ".5",
       "-.5e1",
       "1e22",
       "1e23",
       "123456789012345678",
       "9007199254740993",
       "9007199254740992",
       "18446744073709551616",
       "0.1",
       "1.7976931348623157e308",
       "2.2250738585072014e-308",
       "4.9e-324",
       "2.4703282292062327e-324",
       "2.4703282292062328e-324",
       "1e400",
       "-1e400",
       "1e-400",
       "-1e-400",
       "0e999999999999999999",
       "1e99999999999999999999",
       "1e-99999999999999999999",
       "1.e400",
       "1.e5",
       "0.000000000000000000000000000000000000000012345678901234567890123",
       ("179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880"),
       "inf",
       "-inf",
       "+Infinity",
       "INF"}) {
    expect_as_strtod(text);
  }
  // More zeros than any exponent: what decides is where the first digit stands.
  expect_as_strtod("1" + std::string(400, '0') + "e-400");
  expect_as_strtod("0." + std::string(400, '0') + "1e400");
  expect_as_strtod("0." + std::string(400, '0') + "1");
  expect_as_strtod(std::string(400, '0') + "12");
}

RC_GTEST_PROP(CsvNumber, AnyDoubleComesBack, (uint64_t seed)) {
  const double value = std::bit_cast<double>(mix64(seed));
  RC_PRE(std::isfinite(value));
  char text[64];
  for (const char* format : {"%.17g", "%.25e", "%.6f", "%.3g"}) {
    if (std::abs(value) > 1e30 && std::string(format) == "%.6f") continue;
    std::snprintf(text, sizeof(text), format, value);
    const auto number = parse_number(text);
    RC_ASSERT(number.has_value());
    RC_ASSERT(bits(*number) == bits(std::strtod(text, nullptr)));
  }
}

RC_GTEST_PROP(CsvNumber, DigitsOfAnyLengthAreRoundedAsStrtodRounds, ()) {
  const auto digit = rc::gen::inRange('0', static_cast<char>('9' + 1));
  const auto whole = *rc::gen::container<std::string>(digit);
  const auto fraction = *rc::gen::container<std::string>(digit);
  RC_PRE(!whole.empty() || !fraction.empty());
  const int exponent = *rc::gen::inRange(-360, 360);
  const std::string text = whole + "." + fraction + "e" + std::to_string(exponent);
  RC_ASSERT(bits(parse_number(text).value()) == bits(std::strtod(text.c_str(), nullptr)));
}

TEST(CsvNumber, RefusesWhatIsNone) {
  for (const char* text : {"",
                           " ",
                           "-",
                           "+",
                           ".",
                           "-.",
                           "e5",
                           "1e",
                           "1e+",
                           "1,5",
                           "1 2",
                           "1.2.3",
                           "0x10",
                           "1f",
                           "--1",
                           "+-1",
                           "12a",
                           "$5",
                           "5%",
                           "1e5.0",
                           "nan(1)",
                           "infin",
                           "in",
                           "1_000",
                           ("\xc2\xa0"
                            "1")}) {
    EXPECT_FALSE(parse_number(text).has_value()) << text;
    EXPECT_EQ(number_shape(text), NumberShape::none) << text;
  }
}

TEST(CsvNumber, BlanksAroundDoNotCount) {
  EXPECT_EQ(parse_number(" \t1.5 "), 1.5);
  EXPECT_EQ(parse_integer(" 42\t"), 42);
  EXPECT_EQ(parse_boolean(" true "), true);
}

TEST(CsvNumber, NanInAnyCaseIsANumberThatIsMissing) {
  for (const char* text : {"nan", "NaN", "NAN", "-nan", "+nan"}) {
    ASSERT_TRUE(parse_number(text).has_value()) << text;
    EXPECT_TRUE(std::isnan(*parse_number(text))) << text;
    EXPECT_EQ(classify(text), ValueKind::missing) << text;
  }
}

TEST(CsvNumber, IntegersAreThoseThatFitInt64) {
  EXPECT_EQ(parse_integer("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parse_integer("-9223372036854775808"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(parse_integer("007"), 7);
  EXPECT_EQ(parse_integer("000000000000000000000000000005"), 5);
  EXPECT_EQ(number_shape("9223372036854775808"), NumberShape::decimal);
  EXPECT_EQ(number_shape("-9223372036854775809"), NumberShape::decimal);
  EXPECT_EQ(number_shape("10000000000000000000"), NumberShape::decimal);
  EXPECT_EQ(number_shape("100000000000000000000"), NumberShape::decimal);
  EXPECT_EQ(number_shape("1.0"), NumberShape::decimal);
  EXPECT_EQ(number_shape("1e3"), NumberShape::decimal);
}

TEST(CsvMissing, IsTheListOfPandas) {
  for (const char* text :
       {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}) {
    EXPECT_TRUE(is_missing(text)) << text;
    EXPECT_EQ(classify(text), ValueKind::missing) << text;
    EXPECT_EQ(classify(" " + std::string(text) + " "), ValueKind::missing) << text;
  }
  for (const char* text :
       {"?", "-", "none", "Null", "na", "missing", " ", "NAN", "N", "0", "#N/A N/AA"}) {
    EXPECT_FALSE(is_missing(text)) << text;
  }
}

double seconds(std::string_view text) {
  const auto instant = parse_date(text);
  return instant ? epoch_seconds(*instant) : std::numeric_limits<double>::quiet_NaN();
}

TEST(CsvDate, IsSecondsSince1970) {
  EXPECT_EQ(seconds("1970-01-01"), 0);
  EXPECT_EQ(seconds("2000-02-29"), 951782400);
  EXPECT_EQ(seconds("1969-12-31"), -86400);
  EXPECT_EQ(seconds("0001-01-01"), -62135596800.0);
  EXPECT_EQ(seconds("9999-12-31T23:59:59"), 253402300799.0);
  EXPECT_EQ(seconds("2024-01-31 23:59"), 1706745540);
  EXPECT_EQ(seconds("2024-01-31T23:59:58Z"), 1706745598);
  EXPECT_EQ(seconds(" 2024-01-31T23:59:58+01:00 "), 1706745598 - 3600);
  EXPECT_EQ(seconds("2024-01-31T23:59:58-0130"), 1706745598 + 5400);
  EXPECT_EQ(seconds("2024-01-31T23:59:58+05"), 1706745598 - 18000);
  EXPECT_EQ(seconds("1970-01-01 00:00:00.25"), 0.25);
  EXPECT_EQ(seconds("1969-12-31 23:59:59.75"), -0.25);
  EXPECT_EQ(seconds("1970-01-01 00:00:00.1234567891"), 0.123456789);
  EXPECT_EQ(seconds("1970-01-01 00:00:01.100"), seconds("1970-01-01 00:00:01.100000000"));
}

TEST(CsvDate, RefusesWhatIsNoDate) {
  for (const char* text : {"2023-02-29",
                           "2024-13-01",
                           "2024-00-10",
                           "2024-01-32",
                           "0000-01-01",
                           "2024-1-1",
                           "24-01-01",
                           "2024/01/01",
                           "2024-01-01T",
                           "2024-01-01T24:00",
                           "2024-01-01T23:60",
                           "2024-01-01 23:59:60",
                           "2024-01-01 1:00",
                           "2024-01-01 10:00:00.",
                           "2024-01-01 10:00 ZZ",
                           "2024-01-01 10:00+25:00",
                           "2024-01-01 10:00+1",
                           "2024-01-01x",
                           "2024-01-01 10",
                           "20240101",
                           "2024-01-01T10:00:00,5",
                           "2024-01-01Z"}) {
    EXPECT_FALSE(parse_date(text).has_value()) << text;
    EXPECT_EQ(classify(text) == ValueKind::date || classify(text) == ValueKind::timestamp, false)
        << text;
  }
}

CsvType type_of(std::initializer_list<const char*> values, TypeRule rule = TypeRule::infer) {
  SeenKinds seen;
  for (const char* value : values) seen.add(classify(value));
  return seen.type(rule);
}

TEST(CsvType, FollowsFromTheKindsSeen) {
  EXPECT_EQ(type_of({"1", "-2", ""}), CsvType::integer);
  EXPECT_EQ(type_of({"1", "2.5", "NA"}), CsvType::number);
  EXPECT_EQ(type_of({"1", "inf"}), CsvType::number);
  EXPECT_EQ(type_of({"1", "NAN"}), CsvType::integer);
  EXPECT_EQ(type_of({}), CsvType::number);
  EXPECT_EQ(type_of({"", " ", "null"}), CsvType::number);
  EXPECT_EQ(type_of({"true", "FALSE", ""}), CsvType::boolean);
  EXPECT_EQ(type_of({"true", "1"}), CsvType::text);
  EXPECT_EQ(type_of({"2024-01-31", ""}), CsvType::date);
  EXPECT_EQ(type_of({"2024-01-31", "2024-01-31T10:00"}), CsvType::timestamp);
  EXPECT_EQ(type_of({"2024-01-31", "7"}), CsvType::text);
  EXPECT_EQ(type_of({"1", "?"}), CsvType::text);
  EXPECT_EQ(type_of({"a", "1"}), CsvType::text);
  EXPECT_EQ(type_of({"1", "2"}, TypeRule::text), CsvType::text);
  EXPECT_EQ(type_of({}, TypeRule::date), CsvType::timestamp);
  EXPECT_EQ(type_of({"2024-01-31"}, TypeRule::date), CsvType::date);
}

RC_GTEST_PROP(CsvType, IsTheSameForAnyOrderAndAnyParts, (std::vector<uint8_t> choices)) {
  const char* const values[] = {"1", "2.5", "true", "", "2024-01-31", "2024-01-31T10:00", "x"};
  SeenKinds forwards;
  SeenKinds odd;
  SeenKinds backwards;
  for (size_t i = 0; i < choices.size(); ++i) {
    forwards.add(classify(values[choices[i] % 7]));
    (i % 2 == 0 ? backwards : odd).add(classify(values[choices[choices.size() - 1 - i] % 7]));
  }
  backwards.add(odd);
  RC_ASSERT(forwards.type() == backwards.type());
  RC_ASSERT(forwards.must_be_text() == backwards.must_be_text());
}

TEST(CsvUtf8, KnowsWellFormedBytes) {
  for (const char* text :
       {"", "abc", "h\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\xb2", "\xed\x9f\xbf",
        "\xf4\x8f\xbf\xbf", "\xe0\xa0\x80", "\xf0\x90\x80\x80"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text :
       {"\xe9", "\xc0\xaf", "\xc1\x80", "\xe0\x9f\x80", "\xed\xa0\x80", "\xf0\x8f\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "ab\xc3", "\xe2\x82", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(is_utf8(text)) << shown(text);
    EXPECT_FALSE(is_ascii(text)) << shown(text);
  }
  EXPECT_EQ(shown("a\tb\xe9"), "\"a\\x09b\\xe9\"");
  EXPECT_LT(shown(std::string(1000, 'x')).size(), 50u);
}

}  // namespace
}  // namespace evergrove::source
