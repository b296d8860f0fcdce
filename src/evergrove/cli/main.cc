// The evergrove command.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <new>

#include "evergrove/cli/application.h"

namespace {

// A file that is opened while standard output is closed would take its number, and its results.
void open_closed_streams() {
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest free number is this one. It cannot be used: what is printed is still lost.
    if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_closed_streams();
  try {
    return evergrove::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("evergrove: memory ran out; use fewer rows or columns, or a larger machine\n",
               stderr);
    return 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "evergrove: this is a fault of Evergrove itself, please report it: %s\n",
                 error.what());
    return 70;
  }
}
