// Numbers as people read them: "1,234,567", "2 min 5 s", "1.5 GB", "0.91235".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace evergrove::cli {

std::string count_text(uint64_t count);
// "1 tree", "2 trees".
std::string count_text(uint64_t count, std::string_view noun);
std::string seconds_text(double seconds);
std::string bytes_text(uint64_t bytes);
// Six significant digits; "-" for NaN.
std::string metric_text(double value);

}  // namespace evergrove::cli
