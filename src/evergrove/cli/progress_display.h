// ProgressDisplay: how far a run is, on standard error.
//
// On a terminal one line that is drawn anew (bar, iteration, trees a second, the first validation
// metric, time to go); elsewhere a plain line every few seconds; nothing when quiet. One thread.
//
//   ProgressDisplay display(/*quiet=*/false);
//   request.progress = [&](const runtime::TrainingProgress& p) { display.show(p); return true; };
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "evergrove/runtime/training_run.h"

namespace evergrove::cli {

// Returns what a line says after the bar, such as "120/500  35 trees/s  valid auc 0.912  12 s to
// go". `first_iteration` were done before the time `training_seconds` began.
std::string progress_words(const runtime::TrainingProgress& progress, uint64_t first_iteration,
                           double training_seconds);
// Returns a bar of that many characters.
std::string progress_bar(double share, int width);

class ProgressDisplay {
 public:
  explicit ProgressDisplay(bool quiet);
  ~ProgressDisplay() { clear(); }
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void show(const runtime::TrainingProgress& progress);
  // Takes the live line away, so that something else can be said.
  void clear();

 private:
  void draw(const runtime::TrainingProgress& progress, const std::string& words);

  bool quiet_;
  bool live_;
  bool line_is_shown_ = false;
  std::optional<std::chrono::steady_clock::time_point> shown_at_;
  std::string phase_;
  double training_start_seconds_ = 0;
  uint64_t training_start_iteration_ = 0;
};

}  // namespace evergrove::cli
