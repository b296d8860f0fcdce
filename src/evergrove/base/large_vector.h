// LargeVector: a std::vector whose memory, once it is some megabytes, is asked of the system in
// huge pages (2 MiB), which it gives if it can.
//
// For what is gathered from all over: with pages of 4 KiB nearly every row of a small node is on a
// page of its own, whose address takes as long to find as the row itself.
//
//   LargeVector<uint8_t> bins(rows * features);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

namespace evergrove {

// As operator new and operator delete; bytes is the same in both.
void* allocate_large(size_t bytes);
void free_large(void* memory, size_t bytes) noexcept;

template <typename T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <typename U>
  // NOLINTNEXTLINE(google-explicit-constructor): allocators are converted to one another
  LargeAllocator(const LargeAllocator<U>& /*other*/) {}

  // std::vector asks for no more than std::allocator_traits::max_size().
  T* allocate(size_t count) { return static_cast<T*>(allocate_large(count * sizeof(T))); }
  void deallocate(T* memory, size_t count) noexcept { free_large(memory, count * sizeof(T)); }
  template <typename U>
  bool operator==(const LargeAllocator<U>& /*other*/) const {
    return true;
  }
};

template <typename T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace evergrove
