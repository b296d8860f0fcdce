// What the text of one CSV field says: nothing, a number, true or false.
//
// Promise: a number is the very double that strtod gives in the C locale (correctly rounded),
// whatever the locale. Blanks (space, tab) around numbers, booleans and missing values do not
// count. Quoting makes no difference: "1" in quotes is a number too, as in pandas and Arrow.
//
//   parse_number(" 1.5e3 ")  -> 1500        parse_number("1,5")  -> nothing
//   parse_integer("42")      -> 42          is_missing("NA")     -> true
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace evergrove::source {

// The field without the spaces and tabs around it.
std::string_view without_blanks(std::string_view field);

// True for exactly the words that pandas takes for a missing value: the empty field, NA, N/A, n/a,
// NaN, nan, -NaN, -nan, NULL, null, None, <NA>, #N/A, #NA, #N/A N/A, and what old C libraries on
// Windows print: 1.#IND, -1.#IND, 1.#QNAN, -1.#QNAN. A question mark is text, as it is for pandas.
bool is_missing(std::string_view field);

enum class NumberShape : uint8_t {
  none,     // not a number
  integer,  // digits with or without a sign that fit an int64
  decimal,  // any other number, infinity included
  nan,      // nan in any case, with or without a sign
};
NumberShape number_shape(std::string_view field);

// [+-] digits [. digits] [e [+-] digits], at least one digit before or after the point; inf,
// infinity and nan in any case. Too large gives infinity, too small 0, both with the sign.
std::optional<double> parse_number(std::string_view field);

std::optional<int64_t> parse_integer(std::string_view field);

// true or false in any case.
std::optional<bool> parse_boolean(std::string_view field);

}  // namespace evergrove::source
