// Histogram items: the sums of one bin each as one number of up to 64 bits, g above h above count,
// in as few bytes as the largest of a range needs. With SIMD; the same bytes on every target.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

struct ItemBits {
  int g = 1, h = 0, count = 0;  // g with its sign
  int sum() const { return g + h + count; }
  size_t bytes() const { return static_cast<size_t>(sum() + 7) / 8; }
};
// The bits that hold all sums of the range. Requires: h is not negative.
ItemBits item_bits(const BinRange& bins);

// Writes a bit a bin, set where it has rows (of a packed one: where it is not 0), from the lowest
// on, and an item for each bit that is set. Returns the end of the items. Requires: bits.sum() is
// 64 at most; room for (size + 7) / 8 bytes of mask, and for 8 bytes beyond the items.
char* write_items(const BinRange& bins, const ItemBits& bits, char* mask, char* items);

// Adds items to bins, g as two's complement of all bits above the others. Sums wrap; bits are of
// any kind whose sum is 64 at most. Requires: `end` is where the items end, and mask says how many
// there are; bits.bytes() is 1 to 8.
void add_items(const char* mask, const char* items, const char* end, size_t item_bytes, int h_bits,
               int count_bits, const BinSums& to);

}  // namespace evergrove::trees
