// Phases: what a thread is doing, for whoever wants to know where the time goes.
//
// The core says which phase of the work a thread enters and leaves, and knows no clock; without a
// listener that costs a look at a pointer. Phases nest: a thread that waits for others may take up
// another's work meanwhile.
//
//   const PhaseScope scope(Phase::partition);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace evergrove {

enum class Phase : uint8_t {
  read,
  sample,
  cut,
  bin,
  lay_out,
  gradients,
  partition,
  histogram,
  subtract,
  search,
  leaves,
  walk,
  metrics,
  fetch,
};
inline constexpr std::array<std::string_view, 14> kPhaseNames = {
    "read",      "sample",   "cut",    "bin",    "lay out", "gradients", "partition",
    "histogram", "subtract", "search", "leaves", "walk",    "metrics",   "fetch"};
constexpr std::string_view phase_name(Phase phase) {
  return kPhaseNames[static_cast<size_t>(phase)];
}

// Told by many threads at once, each of its own phases.
class PhaseListener {
 public:
  virtual ~PhaseListener() = default;
  virtual void begin(Phase phase) = 0;
  virtual void end() = 0;  // of the phase that the thread began last
};

// One for the process, since it is no part of any result; null: nobody listens. To be changed while
// nothing runs.
inline std::atomic<PhaseListener*> phase_listener{nullptr};

class PhaseScope {
 public:
  explicit PhaseScope(Phase phase) : listener_(phase_listener.load(std::memory_order_acquire)) {
    if (listener_ != nullptr) listener_->begin(phase);
  }
  ~PhaseScope() {
    if (listener_ != nullptr) listener_->end();
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  PhaseListener* listener_;
};

}  // namespace evergrove
