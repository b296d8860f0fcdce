// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/large_vector.h"

#include <sys/mman.h>

#include <new>

namespace evergrove {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCacheLine = 64;

bool is_large(size_t bytes) { return bytes >= 2 * kHugePage; }

std::align_val_t alignment(size_t bytes) {
  return std::align_val_t(is_large(bytes) ? kHugePage : kCacheLine);
}

}  // namespace

void* allocate_large(size_t bytes) {
  void* memory = ::operator new(bytes, alignment(bytes));
  // Advice: a system that does not take it gives small pages, as ever.
  if (is_large(bytes)) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return memory;
}

void free_large(void* memory, size_t bytes) noexcept {
  ::operator delete(memory, alignment(bytes));
}

}  // namespace evergrove
