// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/byte_size.h"

#include <charconv>

#include "evergrove/base/lower_case.h"

namespace evergrove {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr Unit kUnits[] = {{"", 1},        {"k", 1e3},     {"m", 1e6},
                           {"g", 1e9},     {"t", 1e12},    {"ki", 0x1p10},
                           {"mi", 0x1p20}, {"gi", 0x1p30}, {"ti", 0x1p40}};
constexpr double kBytesMax = 0x1p60;

}  // namespace

Result<uint64_t> parse_byte_size(std::string_view option, const std::string& text) {
  const Status refused = invalid_input("A size is a number and a unit, such as 500M, 4GB or 4GiB",
                                       {{"option", std::string(option)}, {"given", text}});
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc()) return refused;
  std::string unit = lower_case(std::string_view(rest, static_cast<size_t>(end - rest)));
  unit.erase(0, std::min(unit.find_first_not_of(' '), unit.size()));
  if (unit.ends_with('b')) unit.pop_back();
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    const double bytes = number * known.bytes;
    if (!(bytes >= 1) || bytes > kBytesMax) return refused;
    return static_cast<uint64_t>(bytes);
  }
  return refused;
}

}  // namespace evergrove
