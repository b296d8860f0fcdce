// LargeVector: a std::vector whose memory, once it is some megabytes, is asked of the system in
// huge pages (2 MiB), which it gives if it can; it starts where a cache line does at least.
//
// Elements that are not given a value are not set, unlike those of other vectors: writing some
// megabytes of zeros first takes one thread as long as several threads take to fill them, and a
// page is where the thread that first writes to it runs.
//
// For what is gathered from all over: with pages of 4 KiB nearly every row of a small node is on a
// page of its own, whose address takes as long to find as the row itself.
//
//   LargeVector<uint8_t> bins(rows * features);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>
#include <utility>
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
  // resize() and a size alone leave what has no constructor as it is.
  template <typename U>
  void construct(U* place) {
    ::new (static_cast<void*>(place)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* place, Arguments&&... arguments) {
    ::new (static_cast<void*>(place)) U(std::forward<Arguments>(arguments)...);
  }
  template <typename U>
  bool operator==(const LargeAllocator<U>& /*other*/) const {
    return true;
  }
};

template <typename T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace evergrove
