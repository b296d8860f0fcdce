// RunProgress: how many iterations there were when, in bounded memory, and how fast they come.
//
// The whole run is kept, the coarser the longer it gets: when there are kPointsMax points, every
// second one goes. The newest is always exact. Speed is that of the last minute, which is what a
// run does that has just won or lost workers.
//
//   RunProgress progress;
//   progress.add(/*seconds=*/12.5, /*iterations=*/40);
//   double trees_per_minute = progress.per_minute() * trees_an_iteration;
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace evergrove::runtime {

struct ProgressPoint {
  double seconds = 0;
  uint64_t iterations = 0;
};

class RunProgress {
 public:
  // Seconds and iterations never go back. The first call says where the run begins.
  void add(double seconds, uint64_t iterations);

  // From the first to the newest.
  std::vector<ProgressPoint> points() const;
  // Iterations a minute in the last kSpeedSeconds, or since the first point; 0 if none came.
  double per_minute() const;

  static constexpr size_t kPointsMax = 240;
  static constexpr double kSpeedSeconds = 60;

 private:
  static constexpr double kStepSeconds = 1;  // at first

  std::vector<ProgressPoint> kept_;
  double step_seconds_ = kStepSeconds;
  std::deque<ProgressPoint> recent_;  // of the last minute, and one before it
  ProgressPoint newest_;
};

}  // namespace evergrove::runtime
