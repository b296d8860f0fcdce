// Sums of runs of bins (histogram.h), added, subtracted and brought from one form to the other,
// with SIMD. All are integers, so every target has the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

// Requires, of all: `from` or `part` has as many bins as the other; it is packed where that is.
void add_to(const BinRange& from, const BinSums& to);
void subtract_from(const BinRange& part, const BinSums& whole);
// Packed words of what is left of a wide range. Requires: as pack_sums().
void subtract_packed(const BinRange& whole, const BinRange& part, uint64_t* to);
// Adds pairs of words (of wide gradients): g, and h in the upper 44 bits over the count.
void add_pairs(const uint64_t* pairs, const BinSums& to);

// Adds packed words that lie at any address.
void add_packed_bytes(const char* words, const BinSums& to);
// Sets the sums to those of packed words, and returns what all of them have.
Sums set_to(const uint64_t* words, const BinSums& to);
// Adds packed words, or sets the sums to them where they are any yet, and makes the words 0.
void move_to(uint64_t* words, const BinSums& to, bool is_unset);

}  // namespace evergrove::trees
