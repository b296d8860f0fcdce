// The evergrove command.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <exception>
#include <new>

#include "evergrove/cli/application.h"

int main(int argc, char** argv) {
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
