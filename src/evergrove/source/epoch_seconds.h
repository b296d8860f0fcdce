// Seconds since 1970-01-01 UTC as double, the same bits whatever unit the time was counted in.
//
// Whole seconds and the rest are converted apart: the same instant in milliseconds (a CSV),
// microseconds (Parquet) or nanoseconds (pandas) must fall into the same bin.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace evergrove::source {

// Requires: units_per_second > 0, such as 1'000'000 for microseconds.
inline double epoch_seconds(int64_t count, int64_t units_per_second) {
  int64_t whole = count / units_per_second;
  int64_t rest = count % units_per_second;
  if (rest < 0) {
    rest += units_per_second;
    --whole;
  }
  return static_cast<double>(whole) +
         static_cast<double>(rest) / static_cast<double>(units_per_second);
}

}  // namespace evergrove::source
