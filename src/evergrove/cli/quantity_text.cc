// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/quantity_text.h"

#include <cmath>
#include <cstdio>

namespace evergrove::cli {
namespace {

template <typename... Values>
std::string formatted(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

std::string count_text(uint64_t count) {
  std::string text = std::to_string(count);
  for (int64_t place = static_cast<int64_t>(text.size()) - 3; place > 0; place -= 3) {
    text.insert(static_cast<size_t>(place), ",");
  }
  return text;
}

std::string count_text(uint64_t count, std::string_view noun) {
  return count_text(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string seconds_text(double seconds) {
  if (!(seconds >= 0)) return "-";
  if (seconds < 10) return formatted("%.2f s", seconds);
  if (seconds < 120) return formatted("%.0f s", seconds);
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 7200) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole / 60 % 60) + " min";
}

std::string bytes_text(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e3) return count_text(bytes, "byte");
  if (value < 1e6) return formatted("%.1f kB", value / 1e3);
  if (value < 1e9) return formatted("%.1f MB", value / 1e6);
  return formatted("%.2f GB", value / 1e9);
}

std::string metric_text(double value) { return std::isnan(value) ? "-" : formatted("%.6g", value); }

}  // namespace evergrove::cli
