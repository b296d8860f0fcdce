// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_date.h"

#include <chrono>

#include "evergrove/source/csv_values.h"

namespace evergrove::source {
namespace {

// Reads fixed-width parts from the front of a text; after a failure all further parts fail.
class Parts {
 public:
  explicit Parts(std::string_view text) : text_(text) {}

  int number(size_t width) {
    int value = 0;
    if (text_.size() < width) ok_ = false;
    for (size_t i = 0; ok_ && i < width; ++i) {
      const char c = text_[i];
      if (c < '0' || c > '9') ok_ = false;
      value = value * 10 + (c - '0');
    }
    if (ok_) text_.remove_prefix(width);
    return ok_ ? value : 0;
  }
  bool take(char c) {
    if (!ok_ || text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void require(bool condition) { ok_ = ok_ && condition; }
  bool next_is_digit() const {
    return !text_.empty() && text_.front() >= '0' && text_.front() <= '9';
  }
  bool at_end() const { return ok_ && text_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view text_;
  bool ok_ = true;
};

std::optional<int64_t> read_day(Parts& parts) {
  const int year = parts.number(4);
  parts.require(parts.take('-'));
  const int month = parts.number(2);
  parts.require(parts.take('-'));
  const int day = parts.number(2);
  if (!parts.ok() || year == 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

uint32_t read_fraction(Parts& parts) {
  uint32_t nanoseconds = 0;
  uint32_t unit = 100'000'000;
  parts.require(parts.next_is_digit());
  while (parts.ok() && parts.next_is_digit()) {
    nanoseconds += static_cast<uint32_t>(parts.number(1)) * unit;
    unit /= 10;
  }
  return nanoseconds;
}

// Seconds that local time is ahead of UTC.
int read_zone(Parts& parts) {
  if (parts.take('Z') || parts.take('z')) return 0;
  int sign = 0;
  if (parts.take('+')) {
    sign = 1;
  } else if (parts.take('-')) {
    sign = -1;
  }
  if (sign == 0) return 0;
  const int hours = parts.number(2);
  int minutes = 0;
  if (parts.take(':') || parts.next_is_digit()) minutes = parts.number(2);
  parts.require(hours < 24 && minutes < 60);
  return sign * (hours * 3600 + minutes * 60);
}

}  // namespace

std::optional<Instant> parse_date(std::string_view field) {
  const std::string_view text = without_blanks(field);
  // Most fields are no dates; see that at once.
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  Parts parts(text);
  const auto day = read_day(parts);
  if (!day) return std::nullopt;
  Instant instant;
  instant.seconds = *day * 86400;
  if (parts.at_end()) return instant;

  instant.has_time = true;
  parts.require(parts.take('T') || parts.take(' ') || parts.take('t'));
  const int hour = parts.number(2);
  parts.require(parts.take(':'));
  const int minute = parts.number(2);
  const int second = parts.take(':') ? parts.number(2) : 0;
  parts.require(hour < 24 && minute < 60 && second < 60);
  if (parts.take('.')) instant.nanoseconds = read_fraction(parts);
  const int zone = read_zone(parts);
  if (!parts.at_end()) return std::nullopt;
  instant.seconds += hour * 3600 + minute * 60 + second - zone;
  return instant;
}

double epoch_seconds(const Instant& instant) {
  // As epoch_seconds.h has it for counts, here without a count that years beyond 2262 overflow.
  return static_cast<double>(instant.seconds) + static_cast<double>(instant.nanoseconds) / 1e9;
}

}  // namespace evergrove::source
