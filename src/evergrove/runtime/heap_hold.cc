// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/heap_hold.h"

#include <malloc.h>

#include <cstdlib>
#include <mutex>

namespace evergrove::runtime {
namespace {

#ifdef __GLIBC__

constexpr int kMapped = 4 << 20;
constexpr int kTrimmed = 16 << 20;
constexpr int kMappedByDefault = 128 << 10;

std::mutex mutex;
int holds = 0;

// 0: the environment says nothing of it, or more than that.
int threshold_of_environment() {
  const char* text = std::getenv("MALLOC_TRIM_THRESHOLD_");
  if (text == nullptr || std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr) return 0;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  const bool is_number = end != text && *end == '\0';
  return is_number && value > 0 && value < kTrimmed ? static_cast<int>(value) : 0;
}

#endif

}  // namespace

void keep_some_of_heap() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, kMapped);
  mallopt(M_TRIM_THRESHOLD, kTrimmed);
#endif
}

HeapHold::HeapHold() {
#ifdef __GLIBC__
  const std::lock_guard lock(mutex);
  if (holds++ == 0 && threshold_of_environment() > 0) keep_some_of_heap();
#endif
}

HeapHold::~HeapHold() {
#ifdef __GLIBC__
  const std::lock_guard lock(mutex);
  const int threshold = threshold_of_environment();
  if (--holds > 0 || threshold == 0) return;
  mallopt(M_MMAP_THRESHOLD, kMappedByDefault);
  mallopt(M_TRIM_THRESHOLD, threshold);
  malloc_trim(0);
#endif
}

}  // namespace evergrove::runtime
