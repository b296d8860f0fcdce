// For tests: the same with all the instructions that this machine has, one kind after the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "evergrove/exact/simd.h"

namespace evergrove::exact {

template <typename Visit>
void with_each_simd(Visit visit) {
  std::optional<std::string> before;
  if (const char* value = std::getenv("EVERGROVE_SIMD")) before = value;
  for (const char* name :
       {"", "scalar", "ssse3", "sse4", "avx2", "avx512", "neon", "sve", "sve2"}) {
    ::setenv("EVERGROVE_SIMD", name, 1);
    if (!select_simd().ok()) continue;
    SCOPED_TRACE(simd_name());
    visit();
  }
  if (before) {
    ::setenv("EVERGROVE_SIMD", before->c_str(), 1);
  } else {
    ::unsetenv("EVERGROVE_SIMD");
  }
  EXPECT_TRUE(select_simd().ok());
}

}  // namespace evergrove::exact
