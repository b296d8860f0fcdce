// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/progress_display.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/terminal.h"

namespace evergrove::cli {
namespace {

constexpr auto kLiveInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(5);
constexpr int kBarWidth = 24;

const model::MetricValue* metric_to_show(const runtime::TrainingProgress& progress) {
  if (progress.metrics == nullptr || progress.metrics->empty()) return nullptr;
  for (const model::MetricValue& metric : *progress.metrics) {
    if (metric.set != "train") return &metric;
  }
  return &progress.metrics->front();
}

}  // namespace

std::string progress_words(const runtime::TrainingProgress& progress, uint64_t first_iteration,
                           double training_seconds) {
  if (progress.phase != "training") {
    return std::to_string(static_cast<int>(std::clamp(progress.share, 0.0, 1.0) * 100)) + " %";
  }
  std::string words =
      std::to_string(progress.iteration) + "/" + std::to_string(progress.iteration_count);
  const uint64_t done = progress.iteration - std::min(first_iteration, progress.iteration);
  if (done > 0 && training_seconds > 0) {
    const double per_second = static_cast<double>(done) / training_seconds;
    char speed[40];
    std::snprintf(speed, sizeof speed, "  %.3g trees/s",
                  per_second * static_cast<double>(progress.trees_per_iteration));
    words += speed;
  }
  if (const model::MetricValue* metric = metric_to_show(progress)) {
    words += "  " + metric->set + " " + metric->name + " " + metric_text(metric->value);
  }
  if (done > 0 && progress.iteration_count > progress.iteration) {
    const auto left = static_cast<double>(progress.iteration_count - progress.iteration);
    words += "  " + seconds_text(training_seconds / static_cast<double>(done) * left) + " to go";
  }
  return words;
}

std::string progress_bar(double share, int width) {
  const int full = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * width));
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < full ? "━" : "─";
  return bar;
}

ProgressDisplay::ProgressDisplay(bool quiet)
    : quiet_(quiet), live_(!quiet && takes_escapes(stderr)) {}

void ProgressDisplay::show(const runtime::TrainingProgress& progress) {
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  const bool new_phase = phase_ != progress.phase;
  if (new_phase) {
    phase_ = progress.phase;
    training_start_seconds_ = progress.seconds;
    training_start_iteration_ = progress.iteration;
  }
  // The first plain line comes after the first interval: a short run says nothing.
  if (!shown_at_) shown_at_ = live_ ? now - kLiveInterval : now;
  const bool due =
      live_ ? new_phase || now - *shown_at_ >= kLiveInterval : now - *shown_at_ >= kPlainInterval;
  if (!due) return;
  shown_at_ = now;
  draw(progress, progress_words(progress, training_start_iteration_,
                                progress.seconds - training_start_seconds_));
}

void ProgressDisplay::draw(const runtime::TrainingProgress& progress, const std::string& words) {
  std::string phase(progress.phase);
  phase.resize(std::max<size_t>(phase.size(), 10), ' ');
  if (!live_) {
    std::fprintf(stderr, "%s%s\n", phase.c_str(), words.c_str());
    return;
  }
  // A line that wraps could not be drawn over: the bar goes first, then the end of the words.
  const int room = terminal_width() - 1 - static_cast<int>(phase.size());
  const bool has_bar = static_cast<int>(words.size()) + kBarWidth + 2 <= room;
  std::string line = "\r\033[K" + phase;
  if (has_bar) line += styled(progress_bar(progress.share, kBarWidth), Style::green, stderr) + "  ";
  line += words.substr(0, static_cast<size_t>(std::max(room, 0)));
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  line_is_shown_ = true;
}

void ProgressDisplay::clear() {
  if (line_is_shown_) std::fputs("\r\033[K", stderr);
  line_is_shown_ = false;
}

}  // namespace evergrove::cli
