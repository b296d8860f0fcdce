// WorkerSpeed: how many rows a worker takes through a round in a second, from what it says of
// itself.
//
// Rounds differ a lot in what they ask for, but all members do the same ones, so that over some
// seconds their figures compare. A figure is of the worker as it is: its cores, its threads, what
// else runs there, the shards that it counts.
//
//   speed.hear(heartbeat, /*row_count=*/250'000);
//   if (speed.rows_a_second() > 0) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "evergrove/cluster/message.h"

namespace evergrove::cluster {

class WorkerSpeed {
 public:
  // row_count: of the shards that the worker counts in the view that it speaks of.
  void hear(const Heartbeat& heartbeat, uint64_t row_count) {
    if (heartbeat.view != since_.view || heartbeat.round < since_.round ||
        heartbeat.busy_us < since_.busy_us) {
      since_ = heartbeat;
      return;
    }
    const uint64_t rounds = heartbeat.round - since_.round;
    const uint64_t busy_us = heartbeat.busy_us - since_.busy_us;
    if (rounds < kRoundsMin || busy_us < kBusyMin || row_count == 0) return;
    const double seen = double(row_count) * double(rounds) / (double(busy_us) / 1e6);
    rows_a_second_ = rows_a_second_ > 0 ? (rows_a_second_ + seen) / 2 : seen;
    since_ = heartbeat;
  }
  void forget() { rows_a_second_ = 0; }
  double rows_a_second() const { return rows_a_second_; }  // 0: not known

 private:
  static constexpr uint64_t kRoundsMin = 16;
  static constexpr uint64_t kBusyMin = 500'000;  // us

  Heartbeat since_;
  double rows_a_second_ = 0;
};

}  // namespace evergrove::cluster
