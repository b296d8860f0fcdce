// A number is taken apart once: sign, up to 19 significant digits as an integer, power of ten. With
// at most 2^53 and a power of at most 22 both are exact doubles, so one multiplication or division
// rounds correctly (Clinger 1990): most numbers in data end here. All others go to
// std::from_chars, which is correct for any length.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_values.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace evergrove::source {
namespace {

constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int64_t kExponentMax = 1'000'000'000'000;  // more is as good as infinite

bool is_digit(char c) { return static_cast<uint8_t>(c - '0') < 10; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equals_in_any_case(std::string_view text, std::string_view lower_word) {
  return text.size() == lower_word.size() &&
         std::equal(text.begin(), text.end(), lower_word.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

struct Decimal {
  NumberShape shape = NumberShape::none;
  bool negative = false;
  bool is_infinite = false;
  uint64_t digits = 0;    // the first 19 significant digits
  bool has_more = false;  // there are more than those, not all of them 0
  int64_t exponent = 0;   // value = digits * 10^exponent, but for the digits left out
  std::string_view body;  // the text without the sign
};

Decimal word(std::string_view body, Decimal decimal) {
  if (equals_in_any_case(body, "inf") || equals_in_any_case(body, "infinity")) {
    decimal.shape = NumberShape::decimal;
    decimal.is_infinite = true;
  } else if (equals_in_any_case(body, "nan")) {
    decimal.shape = NumberShape::nan;
  }
  return decimal;
}

// Takes the exponent from p on (just after the e); nothing when it is malformed.
std::optional<int64_t> read_exponent(const char* p, const char* end) {
  bool negative = false;
  if (p < end && (*p == '+' || *p == '-')) negative = *p++ == '-';
  if (p == end) return std::nullopt;
  int64_t exponent = 0;
  for (; p < end; ++p) {
    if (!is_digit(*p)) return std::nullopt;
    exponent = std::min(exponent * 10 + (*p - '0'), kExponentMax);
  }
  return negative ? -exponent : exponent;
}

// Reads digits into decimal.digits, which wraps after 19 of them; returns how many there were.
int64_t read_digits(const char*& p, const char* end, Decimal& decimal) {
  const char* const begin = p;
  for (; p < end && is_digit(*p); ++p) {
    decimal.digits = decimal.digits * 10 + static_cast<uint64_t>(*p - '0');
  }
  return p - begin;
}

// Reads the digits of [begin, end), with at most one point among them, where they are too many for
// read_digits().
void read_many_digits(const char* begin, const char* end, Decimal& decimal) {
  constexpr uint64_t kRoomForOneMore = 1'000'000'000'000'000'000;  // 10^18
  decimal.digits = 0;
  decimal.exponent = 0;
  bool has_point = false;
  for (const char* p = begin; p < end; ++p) {
    if (*p == '.') {
      has_point = true;
    } else if (decimal.digits < kRoomForOneMore) {
      decimal.digits = decimal.digits * 10 + static_cast<uint64_t>(*p - '0');
      decimal.exponent -= has_point;
    } else {
      decimal.has_more |= *p != '0';
      decimal.exponent += !has_point;
    }
  }
}

Decimal take_apart(std::string_view field) {
  const std::string_view text = without_blanks(field);
  const char* p = text.data();
  const char* const end = p + text.size();
  Decimal decimal;
  if (p == end) return decimal;
  if (*p == '-' || *p == '+') decimal.negative = *p++ == '-';
  decimal.body = {p, static_cast<size_t>(end - p)};
  if (p == end) return decimal;
  if (!is_digit(*p) && *p != '.') return word(decimal.body, decimal);

  const char* const digits_begin = p;
  int64_t digit_count = read_digits(p, end, decimal);
  bool is_integer = true;
  if (p < end && *p == '.') {
    is_integer = false;
    ++p;
    const int64_t fraction_count = read_digits(p, end, decimal);
    decimal.exponent = -fraction_count;
    digit_count += fraction_count;
  }
  if (digit_count == 0) return decimal;
  if (digit_count > 19) read_many_digits(digits_begin, p, decimal);
  if (p < end) {
    if (lower(*p) != 'e') return decimal;
    const auto exponent = read_exponent(p + 1, end);
    if (!exponent) return decimal;
    decimal.exponent += *exponent;
    is_integer = false;
  }
  constexpr uint64_t kLimit = uint64_t{1} << 63;
  is_integer = is_integer && decimal.exponent == 0 &&
               (decimal.digits < kLimit || (decimal.digits == kLimit && decimal.negative));
  decimal.shape = is_integer ? NumberShape::integer : NumberShape::decimal;
  return decimal;
}

double magnitude(const Decimal& decimal) {
  if (decimal.is_infinite) return std::numeric_limits<double>::infinity();
  if (decimal.digits == 0) return 0;
  if (decimal.digits <= (uint64_t{1} << 53) && !decimal.has_more) {
    const auto digits = static_cast<double>(decimal.digits);
    if (decimal.exponent >= 0 && decimal.exponent <= 22) {
      return digits * kPowersOfTen[decimal.exponent];
    }
    if (decimal.exponent < 0 && decimal.exponent >= -22) {
      return digits / kPowersOfTen[-decimal.exponent];
    }
  }
  double value = 0;
  const char* const begin = decimal.body.data();
  const auto result = std::from_chars(begin, begin + decimal.body.size(), value);
  if (result.ec == std::errc()) return value;
  // Out of range, and so far out that the exponent alone says on which side.
  return decimal.exponent > 0 ? std::numeric_limits<double>::infinity() : 0;
}

}  // namespace

std::string_view without_blanks(std::string_view field) {
  while (!field.empty() && is_blank(field.front())) field.remove_prefix(1);
  while (!field.empty() && is_blank(field.back())) field.remove_suffix(1);
  return field;
}

bool is_missing(std::string_view field) {
  if (field.empty()) return true;
  if (field.size() > 8) return false;
  const auto is_any_of = [&](std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), field) != words.end();
  };
  switch (field[0]) {
    case 'N':
      return is_any_of({"NA", "N/A", "NaN", "NULL", "None"});
    case 'n':
      return is_any_of({"nan", "null", "n/a"});
    case '#':
      return is_any_of({"#N/A", "#NA", "#N/A N/A"});
    case '-':
      return is_any_of({"-NaN", "-nan", "-1.#IND", "-1.#QNAN"});
    case '1':
      return is_any_of({"1.#IND", "1.#QNAN"});
    case '<':
      return field == "<NA>";
    default:
      return false;
  }
}

NumberShape number_shape(std::string_view field) { return take_apart(field).shape; }

std::optional<double> parse_number(std::string_view field) {
  const Decimal decimal = take_apart(field);
  if (decimal.shape == NumberShape::none) return std::nullopt;
  if (decimal.shape == NumberShape::nan) return std::numeric_limits<double>::quiet_NaN();
  const double value = magnitude(decimal);
  return decimal.negative ? -value : value;
}

std::optional<int64_t> parse_integer(std::string_view field) {
  const Decimal decimal = take_apart(field);
  if (decimal.shape != NumberShape::integer) return std::nullopt;
  // Unsigned, for -2^63 has no positive twin.
  return static_cast<int64_t>(decimal.negative ? 0 - decimal.digits : decimal.digits);
}

std::optional<bool> parse_boolean(std::string_view field) {
  const std::string_view text = without_blanks(field);
  if (equals_in_any_case(text, "true")) return true;
  if (equals_in_any_case(text, "false")) return false;
  return std::nullopt;
}

}  // namespace evergrove::source
