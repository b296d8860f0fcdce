// The evergrove command.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string_view>
#include <system_error>

#include "evergrove/cli/application.h"
#include "evergrove/runtime/heap_hold.h"
#include "evergrove/runtime/machine_memory.h"

namespace {

// A file that is opened while standard output is closed would take its number, and its results.
void open_closed_streams() {
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest free number is this one. It cannot be used: what is printed is still lost.
    if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) return;
  }
}

// Reading takes and gives back arrays of megabytes, before rows and bins take theirs: what is given
// back goes to the system soon, Arrow's buffers too (whose own pool keeps them), unless the user
// has said which pool to take. A million rows of 28 columns: 188 MiB at most without, 156 with it,
// in the same time; with less than these 4 and 16 MiB, reading takes half as long again.
void give_memory_back_early() {
  evergrove::runtime::keep_some_of_heap();
  (void)setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0);
}

void wait_some_cycles() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Of the standard library or of TBB, whose own exception has no number.
bool is_short_of_threads(const std::exception& error) {
  const auto* of_system = dynamic_cast<const std::system_error*>(&error);
  if (of_system != nullptr) return of_system->code() == std::errc::resource_unavailable_try_again;
  return std::string_view(error.what()).find("pthread_create") != std::string_view::npos;
}

int run(int argc, char** argv) {
  try {
    return evergrove::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("evergrove: error: memory ran out; use fewer rows or columns, or a larger machine\n",
               stderr);
    return 3;
  } catch (const std::exception& error) {
    if (is_short_of_threads(error)) {
      std::fputs(
          "evergrove: error: the system gives this process no more threads; raise its limits of "
          "memory and of processes\n",
          stderr);
      return 3;
    }
    std::fprintf(stderr,
                 "evergrove: error: this is a fault of Evergrove itself, please report it: %s\n",
                 error.what());
    return 70;
  }
}

}  // namespace

// TBB's threads, before they go to sleep, look for work some hundred times and yield in between.
// Where others want the processors a thread that yields gives its time away, milliseconds of it
// (what it has left is forfeited since Linux 6.18), while work comes, or is done, after some
// microseconds; one that sleeps is woken at once. So here, for all libraries of this program, to
// yield is to wait a microsecond, and only now and then to let others run, should it be one of them
// that is waited for. Beside a busy process on each core a training took 2.15 times as long as
// without, and not 2.45.
extern "C" __attribute__((visibility("default"))) int sched_yield() noexcept {
  constexpr unsigned kPauses = 32;
  constexpr unsigned kTrulyEvery = 256;
  thread_local unsigned count = 0;
  if (++count % kTrulyEvery == 0) return static_cast<int>(syscall(SYS_sched_yield));
  for (unsigned i = 0; i < kPauses; ++i) wait_some_cycles();
  return 0;
}

int main(int argc, char** argv) {
  open_closed_streams();
  give_memory_back_early();
  const int code = run(argc, argv);
  // An allocator of Arrow's that had no memory to begin with crashes in its farewell.
  if (!evergrove::runtime::has_memory_limit()) return code;
  std::cout.flush();
  std::fflush(nullptr);
  _exit(code);
}
