// Dates and times of ISO 8601, as they stand in CSV files.
//
//   2024-01-31                  2024-01-31T23:59          2024-01-31 23:59:58.123456
//   2024-01-31T23:59:58Z        2024-01-31 23:59:58+01:00 (also +0100 and +01)
//
// A time without a zone is taken as UTC. Years 0001 to 9999 of the Gregorian calendar, also before
// 1582; digits of a second beyond the ninth are dropped; a leap second (:60) is not a time, as in
// Python.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace evergrove::source {

struct Instant {
  int64_t seconds = 0;  // since 1970-01-01 UTC, rounded down
  uint32_t nanoseconds = 0;
  bool has_time = false;  // false: a date alone
};

// Blanks around do not count. Returns nothing for what is not a date of the calendar.
std::optional<Instant> parse_date(std::string_view field);

// Seconds since 1970-01-01 UTC, the bits that the same instant has in Parquet (epoch_seconds.h).
double epoch_seconds(const Instant& instant);

}  // namespace evergrove::source
