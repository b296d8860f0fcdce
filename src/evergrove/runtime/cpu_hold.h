// CpuHold: keeps a thread on the processor that it runs on, as long as it hardly waits there.
//
// A message over a socket tells Linux that its sender is about to sleep, so that who is woken may
// be put where the sender goes on computing, although another processor is free but for an instant.
// Of two workers on two cores beside a Dask cluster that did nothing, each of which wakes every
// few milliseconds, that took a tenth of the time. Where others want the processor, too, the thread
// waits, and is let go to wherever the system puts it.
//
//   CpuHold hold;                      // of the calling thread, which alone may use it
//   if (now >= look_at) hold.look();   // every kLookEvery
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {

// How long a thread has run, and has waited for a processor to run on; ever growing.
struct CpuTimes {
  uint64_t ran_ns = 0;
  uint64_t waited_ns = 0;
};

// Whether to hold, from one look to the next.
class HoldRule {
 public:
  // Holds when it has run, and waited for less than a quarter of the time that it wanted to run:
  // who shares a processor with one that computes waits half of it, who is put there by mistake now
  // and then up to a fifth.
  bool should_hold(const CpuTimes& times);

 private:
  std::optional<CpuTimes> last_;
  bool holds_ = false;
};

class CpuHold {
 public:
  static constexpr std::chrono::milliseconds kLookEvery{100};

  CpuHold();
  // The thread may run again where it might before.
  ~CpuHold() { let_go(); }
  CpuHold(const CpuHold&) = delete;
  CpuHold& operator=(const CpuHold&) = delete;

  // Holds the thread, or lets it go. Does nothing where the system does not tell the times.
  void look();

 private:
  std::optional<CpuTimes> times() const;
  void hold();
  void let_go();

  const Descriptor file_;  // of the times
  HoldRule rule_;
  std::optional<cpu_set_t> allowed_;  // before it was held; none: it is not
};

}  // namespace evergrove::runtime
