// HeapHold: pages of what was given back are there to be taken again, as long as there is one.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/heap_hold.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "evergrove/base/testing_sanitizers.h"

namespace evergrove::runtime {
namespace {

// Of taking a mebibyte and giving it back, a hundred times.
[[maybe_unused]] long page_faults() {
  constexpr size_t kBytes = 1 << 20;
  rusage before = {}, after = {};
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < 100; ++i) {
    const auto bytes = std::make_unique_for_overwrite<char[]>(kBytes);
    std::memset(bytes.get(), i, kBytes);
    asm volatile("" : : "r"(bytes.get()) : "memory");
  }
  getrusage(RUSAGE_SELF, &after);
  return after.ru_minflt - before.ru_minflt;
}

TEST(HeapHold, KeepsWhatDaskHasGivenBackAtOnce) {
#if !defined(__GLIBC__) || EVERGROVE_ADDRESS_SANITIZER || EVERGROVE_THREAD_SANITIZER
  GTEST_SKIP() << "of glibc's heap";
#else
  constexpr long kMany = 10'000, kFew = 2'000;
  setenv("MALLOC_TRIM_THRESHOLD_", "65536", 1);
  mallopt(M_TRIM_THRESHOLD, 65536);  // what glibc makes of it when a program starts
  EXPECT_GT(page_faults(), kMany);
  {
    std::optional<HeapHold> first;
    first.emplace();
    const HeapHold second;
    EXPECT_LT(page_faults(), kFew);
    first.reset();
    EXPECT_LT(page_faults(), kFew);
  }
  EXPECT_GT(page_faults(), kMany);
  setenv("MALLOC_MMAP_THRESHOLD_", "131072", 1);  // of somebody who knows what he wants
  {
    const HeapHold hold;
    EXPECT_GT(page_faults(), kMany);
  }
  unsetenv("MALLOC_MMAP_THRESHOLD_");
  unsetenv("MALLOC_TRIM_THRESHOLD_");
#endif
}

}  // namespace
}  // namespace evergrove::runtime
