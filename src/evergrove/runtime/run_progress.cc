// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_progress.h"

namespace evergrove::runtime {

void RunProgress::add(double seconds, uint64_t iterations) {
  newest_ = {seconds, iterations};
  if (kept_.empty() || seconds - kept_.back().seconds >= step_seconds_) kept_.push_back(newest_);
  if (kept_.size() > kPointsMax) {
    for (size_t i = 0; 2 * i < kept_.size(); ++i) kept_[i] = kept_[2 * i];
    kept_.resize((kept_.size() + 1) / 2);
    step_seconds_ *= 2;
  }
  // Four a second are enough.
  if (recent_.empty() || seconds - recent_.back().seconds >= 0.25) recent_.push_back(newest_);
  while (recent_.size() > 1 && recent_[1].seconds <= seconds - kSpeedSeconds) recent_.pop_front();
}

std::vector<ProgressPoint> RunProgress::points() const {
  std::vector<ProgressPoint> points = kept_;
  if (!points.empty() && newest_.seconds > points.back().seconds) points.push_back(newest_);
  return points;
}

double RunProgress::per_minute() const {
  if (recent_.empty()) return 0;
  const double seconds = newest_.seconds - recent_.front().seconds;
  if (seconds <= 0) return 0;
  return double(newest_.iterations - recent_.front().iterations) / seconds * 60;
}

}  // namespace evergrove::runtime
