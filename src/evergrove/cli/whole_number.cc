// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/whole_number.h"

#include <CLI/CLI.hpp>
#include <charconv>

namespace evergrove::cli {

CLI::Validator whole_number(uint64_t least, uint64_t most) {
  const auto check = [least, most](std::string& text) -> std::string {
    uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end || number < least || number > most) {
      return "'" + text + "' must be a whole number from " + std::to_string(least) + " to " +
             std::to_string(most);
    }
    text = std::to_string(number);  // without zeros in front, which would make it octal
    return "";
  };
  return CLI::Validator(check, "");
}

}  // namespace evergrove::cli
