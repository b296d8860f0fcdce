// Profile: how long the threads of this process were in each phase of the work (base/phase.h).
//
// A phase's time is its own: what a thread did in phases that began within it counts to those.
// One at a time in a process, begun and ended while nothing runs.
//
//   Profile profile(/*keeps_spans=*/true);
//   ... work ...
//   profile.stop();
//   std::puts(profile.table(2).c_str());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "evergrove/base/phase.h"
#include "evergrove/base/status.h"

namespace evergrove::runtime {

class Profile final : public PhaseListener {
 public:
  // keeps_spans: also each span of time, for chrome_trace(); up to some millions of them.
  explicit Profile(bool keeps_spans);
  ~Profile() override;
  // Listens no more; what was found can be asked for.
  void stop();

  struct Row {
    Phase phase;
    double seconds = 0;  // of all threads together
    uint64_t count = 0;
  };
  // The phases that there were, in their order.
  std::vector<Row> rows() const;
  double seconds() const;  // from the beginning to stop()
  // For people: a line a phase, with its share of the threads' time; threads: how many might work.
  std::string table(int threads) const;
  // In the format of chrome://tracing and Perfetto: complete events, microseconds.
  std::string chrome_trace() const;

  void begin(Phase phase) override;
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Span {
    Phase phase;
    Clock::time_point begin, end;
  };
  struct Thread {
    struct Open {
      Phase phase;
      Clock::time_point begin;
      Clock::duration within{};  // in phases that began in it
    };
    std::vector<Open> open;
    std::array<Clock::duration, kPhaseNames.size()> time{};
    std::array<uint64_t, kPhaseNames.size()> count{};
    std::vector<Span> spans;
  };
  Thread& this_thread();

  const bool keeps_spans_;
  const uint64_t id_;  // tells this one from others that a thread has seen
  const Clock::time_point start_;
  Clock::time_point stop_{};
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace evergrove::runtime
