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
#include <limits>
#include <new>
#include <vector>

namespace evergrove {

// Throws std::bad_alloc where there is no memory.
void* allocate_large(size_t bytes);
void free_large(void* memory) noexcept;

template <typename T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <typename U>
  LargeAllocator(const LargeAllocator<U>& /*other*/) {}

  T* allocate(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / 2 / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(allocate_large(count * sizeof(T)));
  }
  void deallocate(T* memory, size_t /*count*/) noexcept { free_large(memory); }
  template <typename U>
  bool operator==(const LargeAllocator<U>& /*other*/) const {
    return true;
  }
};

template <typename T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace evergrove
