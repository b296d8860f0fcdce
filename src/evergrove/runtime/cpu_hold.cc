// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cpu_hold.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace evergrove::runtime {

// Who has not run since then says nothing of how it would be.
bool HoldRule::should_hold(const CpuTimes& times) {
  if (last_) {
    const uint64_t ran = times.ran_ns - last_->ran_ns;
    const uint64_t waited = times.waited_ns - last_->waited_ns;
    if (ran + waited > 0) holds_ = waited * 4 < ran + waited;
  }
  last_ = times;
  return holds_;
}

CpuHold::CpuHold() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

std::optional<CpuTimes> CpuHold::times() const {
  if (!file_.is_open()) return std::nullopt;
  char text[96] = {};
  if (::pread(file_.get(), text, sizeof text - 1, 0) <= 0) return std::nullopt;
  unsigned long long ran = 0, waited = 0;
  if (std::sscanf(text, "%llu %llu", &ran, &waited) != 2) return std::nullopt;
  return CpuTimes{ran, waited};
}

void CpuHold::look() {
  const std::optional<CpuTimes> now = times();
  if (!now) return;
  if (rule_.should_hold(*now)) {
    hold();
  } else {
    let_go();
  }
}

void CpuHold::hold() {
  if (allowed_) return;
  cpu_set_t allowed;
  const int cpu = ::sched_getcpu();
  if (cpu < 0 || cpu >= CPU_SETSIZE) return;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (::sched_setaffinity(0, sizeof one, &one) == 0) allowed_ = allowed;
}

void CpuHold::let_go() {
  if (!allowed_) return;
  (void)::sched_setaffinity(0, sizeof *allowed_, &*allowed_);
  allowed_.reset();
}

}  // namespace evergrove::runtime
