// A stable parallel sort of items by an unsigned key: ranking millions of rows each round, samples
// of values to cut.
//
// Least significant digit first, 11 bits a pass. Each pass cuts the items into chunks, counts the
// digits of each chunk, and lets every chunk scatter its items to places that only it writes to;
// so the result is that of any stable sort, whatever the chunks and threads. A digit that all items
// share costs no more than counting.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace evergrove {

// Sorts items ascending by key(item), a uint64_t of which the lowest key_bits may be set.
// `scratch` is resized as needed and may be kept for the next call.
template <typename Item, typename Key>
void radix_sort(std::vector<Item>& items, std::vector<Item>& scratch, int key_bits, Key key) {
  constexpr size_t kSmall = 2048;
  if (items.size() < kSmall) {
    std::stable_sort(items.begin(), items.end(),
                     [&](const Item& a, const Item& b) { return key(a) < key(b); });
    return;
  }
  constexpr int kDigitBits = 11;
  constexpr size_t kDigits = size_t{1} << kDigitBits;
  const size_t chunk_size = std::max<size_t>(65536, items.size() / 64 + 1);
  const size_t chunk_count = (items.size() + chunk_size - 1) / chunk_size;
  std::vector<size_t> places(chunk_count * kDigits);
  scratch.resize(items.size());
  for (int shift = 0; shift < key_bits; shift += kDigitBits) {
    const auto digit = [&](const Item& item) { return (key(item) >> shift) & (kDigits - 1); };
    std::fill(places.begin(), places.end(), 0);
    tbb::parallel_for(size_t{0}, chunk_count, [&](size_t chunk) {
      size_t* counts = places.data() + chunk * kDigits;
      const size_t end = std::min(items.size(), (chunk + 1) * chunk_size);
      for (size_t i = chunk * chunk_size; i < end; ++i) ++counts[digit(items[i])];
    });
    const size_t first = digit(items[0]);
    size_t alike = 0;
    for (size_t chunk = 0; chunk < chunk_count; ++chunk) alike += places[chunk * kDigits + first];
    if (alike == items.size()) continue;
    size_t place = 0;
    for (size_t d = 0; d < kDigits; ++d) {
      for (size_t chunk = 0; chunk < chunk_count; ++chunk) {
        size_t& slot = places[chunk * kDigits + d];
        const size_t count = slot;
        slot = place;
        place += count;
      }
    }
    tbb::parallel_for(size_t{0}, chunk_count, [&](size_t chunk) {
      size_t* next = places.data() + chunk * kDigits;
      const size_t end = std::min(items.size(), (chunk + 1) * chunk_size);
      for (size_t i = chunk * chunk_size; i < end; ++i) scratch[next[digit(items[i])]++] = items[i];
    });
    items.swap(scratch);
  }
}

}  // namespace evergrove
