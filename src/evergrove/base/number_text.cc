// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/number_text.h"

#include <charconv>
#include <cmath>

namespace evergrove {
namespace {

template <typename Number>
std::string shortest(Number number) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof(text), number);
  return {text, end.ptr};
}

template <typename Number>
std::string floating(Number number) {
  // Beyond 2^53 neighbouring integers share a double, so their digits would say too much.
  constexpr Number kExactMax = 9007199254740992.0;
  if (number == std::floor(number) && std::abs(number) <= kExactMax) {
    return shortest(static_cast<int64_t>(number));
  }
  return shortest(number);
}

}  // namespace

std::string number_text(int64_t number) { return shortest(number); }
std::string number_text(uint64_t number) { return shortest(number); }
std::string number_text(float number) { return floating(number); }
std::string number_text(double number) { return floating(number); }

}  // namespace evergrove
