// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/profile.h"

#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "evergrove/base/check.h"

namespace evergrove::runtime {
namespace {

constexpr size_t kSpansMax = 1 << 20;  // a thread: 24 MiB

std::atomic<uint64_t> profile_count{0};

double seconds_of(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Profile::Profile(bool keeps_spans)
    : keeps_spans_(keeps_spans), id_(++profile_count), start_(Clock::now()) {
  CHECK(phase_listener.exchange(this) == nullptr);
}

Profile::~Profile() { stop(); }

void Profile::stop() {
  PhaseListener* listener = this;
  if (phase_listener.compare_exchange_strong(listener, nullptr)) stop_ = Clock::now();
}

Profile::Thread& Profile::this_thread() {
  thread_local uint64_t known_id = 0;
  thread_local Thread* known = nullptr;
  if (known_id != id_ || known == nullptr) {
    const std::lock_guard lock(mutex_);
    known = threads_.emplace_back(std::make_unique<Thread>()).get();
    known_id = id_;
  }
  return *known;
}

void Profile::begin(Phase phase) {
  this_thread().open.push_back({.phase = phase, .begin = Clock::now()});
}

void Profile::end() {
  Thread& thread = this_thread();
  const Thread::Open open = thread.open.back();
  thread.open.pop_back();
  const Clock::time_point now = Clock::now();
  const auto phase = static_cast<size_t>(open.phase);
  thread.time[phase] += now - open.begin - open.within;
  ++thread.count[phase];
  if (!thread.open.empty()) thread.open.back().within += now - open.begin;
  if (keeps_spans_ && thread.spans.size() < kSpansMax) {
    thread.spans.push_back({open.phase, open.begin, now});
  }
}

std::vector<Profile::Row> Profile::rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<Row> rows;
  for (size_t phase = 0; phase < kPhaseNames.size(); ++phase) {
    Row row{.phase = static_cast<Phase>(phase)};
    for (const auto& thread : threads_) {
      row.seconds += seconds_of(thread->time[phase]);
      row.count += thread->count[phase];
    }
    if (row.count > 0) rows.push_back(row);
  }
  return rows;
}

double Profile::seconds() const { return seconds_of(stop_ - start_); }

std::string Profile::table(int threads) const {
  const double all = seconds() * threads;
  std::string text = "phase         seconds   share        times\n";
  double known = 0;
  char line[96];
  for (const Row& row : rows()) {
    known += row.seconds;
    const std::string name(phase_name(row.phase));
    std::snprintf(line, sizeof(line), "%-10s %10.3f %6.1f %% %12llu\n", name.c_str(), row.seconds,
                  100 * row.seconds / all, static_cast<unsigned long long>(row.count));
    text += line;
  }
  std::snprintf(line, sizeof(line), "%-10s %10.3f %6.1f %%\n", "other, idle", all - known,
                100 * (all - known) / all);
  text += line;
  std::snprintf(line, sizeof(line), "%-10s %10.3f of %d thread%s, %.3f s each\n", "all", all,
                threads, threads == 1 ? "" : "s", seconds());
  return text + line;
}

std::string Profile::chrome_trace() const {
  const std::lock_guard lock(mutex_);
  const auto microseconds = [](Clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
  };
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (size_t thread = 0; thread < threads_.size(); ++thread) {
    for (const Span& span : threads_[thread]->spans) {
      events.push_back({{"name", phase_name(span.phase)},
                        {"ph", "X"},
                        {"pid", 1},
                        {"tid", thread + 1},
                        {"ts", microseconds(span.begin - start_)},
                        {"dur", microseconds(span.end - span.begin)}});
    }
  }
  return nlohmann::ordered_json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump();
}

}  // namespace evergrove::runtime
