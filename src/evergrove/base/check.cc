// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace evergrove {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "evergrove: internal error: %s does not hold at %s:%d; please report it\n",
               condition, file, line);
  std::fflush(stderr);
  std::_Exit(70);
}

}  // namespace evergrove
