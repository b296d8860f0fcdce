// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/large_vector.h"

#include <sys/mman.h>

#include <cstdlib>

namespace evergrove {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCacheLine = 64;

}  // namespace

void* allocate_large(size_t bytes) {
  const bool is_large = bytes >= 2 * kHugePage;
  void* memory = nullptr;
  if (posix_memalign(&memory, is_large ? kHugePage : kCacheLine, bytes) != 0) {
    throw std::bad_alloc();
  }
  // Advice: a system that does not take it gives small pages, as ever.
  if (is_large) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return memory;
}

void free_large(void* memory) noexcept { std::free(memory); }

}  // namespace evergrove
