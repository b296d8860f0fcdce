// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace evergrove::cli {
namespace {

constexpr int kExitInterrupted = 4;

// Signal handlers have no other place to leave a word.
std::atomic<int> signals_arrived = 0;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void note_signal(int) {
  if (signals_arrived.fetch_add(1) > 0) _exit(kExitInterrupted);
}

void install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

StopSignal::StopSignal() {
  signals_arrived = 0;
  install(note_signal);
}
StopSignal::~StopSignal() { install(SIG_DFL); }
bool StopSignal::arrived() const { return signals_arrived > 0; }

}  // namespace evergrove::cli
