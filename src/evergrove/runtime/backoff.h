// Backoff: how long to wait before the next try, growing and with jitter. Pure, no clock.
//
// The n-th delay is uniform in [1/2, 1] of min(first * 2^n, most), so that many that failed
// together do not come back together. Reset it after a success.
//
//   Backoff backoff({.seed = worker_number});
//   wait(backoff.next());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "evergrove/base/hash.h"

namespace evergrove::runtime {

struct BackoffOptions {
  uint64_t seed = 0;  // another one for each that retries
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds most{10000};
};

class Backoff {
 public:
  explicit Backoff(BackoffOptions options) : options_(options) {}

  std::chrono::milliseconds next() {
    const uint64_t first = static_cast<uint64_t>(std::max<int64_t>(options_.first.count(), 1));
    const uint64_t most = static_cast<uint64_t>(std::max<int64_t>(options_.most.count(), 1));
    const bool is_most = try_count_ >= 32 || first > (most >> try_count_);
    const uint64_t whole = is_most ? most : first << try_count_;
    const uint64_t jitter = RandomKey(options_.seed, "backoff").at(draw_count_++);
    if (try_count_ < 32) ++try_count_;
    return std::chrono::milliseconds(whole - jitter % (whole / 2 + 1));
  }
  void reset() { try_count_ = 0; }
  // How often next() was called since the start or reset(), at most 32.
  uint32_t try_count() const { return try_count_; }

 private:
  BackoffOptions options_;
  uint32_t try_count_ = 0;
  uint64_t draw_count_ = 0;  // not reset, so that the jitter goes on being new
};

}  // namespace evergrove::runtime
