// The inner loops of RowPartition, with SIMD: which rows go left, 64 at a time as bits, and the
// dealing of rows to two sides by such bits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "evergrove/trees/gradients.h"

namespace evergrove::trees {

// Which bins go left, of a column of one or two bytes a bin, or of a cell of rows (row_layout.h),
// whose values are what is called bins here.
template <typename Bin>
struct BinChoice {
  const Bin* column;         // by row
  size_t stride;             // from one row's bin to the next one's: 1, or that of rows
  const uint8_t* goes_left;  // by bin, 0 or 1
  // What goes_left says, where that is a range: bins first, first + 1, ..., first + span.
  bool is_range;
  Bin first;
  Bin span;
};

// Where rows of the two sides go next; what lies before the ends may be overwritten.
struct Sides {
  TreeRow* lefts;
  TreeRow* lefts_end;
  TreeRow* rights;
  TreeRow* rights_end;
};

// Deals rows; returns how many went left. `lefts` may be where they are listed.
size_t deal_rows(const TreeRow* rows, size_t count, const BinChoice<uint8_t>& choice,
                 const Sides& sides);
size_t deal_rows(const TreeRow* rows, size_t count, const BinChoice<uint16_t>& choice,
                 const Sides& sides);

// Of rows whose bits are set, those that go left, and the others. A word has the bits of 64 rows;
// first_row is a multiple of 64. Null: all bits are set. `lefts` may be where the bits are. Returns
// how many go left.
size_t divide_bits(const uint64_t* bits, size_t first_row, size_t row_count,
                   const BinChoice<uint8_t>& choice, uint64_t* lefts, uint64_t* rights);
size_t divide_bits(const uint64_t* bits, size_t first_row, size_t row_count,
                   const BinChoice<uint16_t>& choice, uint64_t* lefts, uint64_t* rights);
// Lists those whose bits are set; up to `end` more may be written. Returns what is behind the last
// one. Null gradients: zeros.
TreeRow* list_rows(const uint64_t* bits, size_t first_row, size_t row_count,
                   const NarrowGradient* gradients, TreeRow* to, const TreeRow* end);

// Adds value to those of values (by row, from row 0 on) whose bits are set. Of others of the same
// 64 rows, the same is written again.
void add_where(const uint64_t* bits, size_t first_row, size_t row_count, int64_t value,
               int64_t* values);

// Sets a bit a row, 64 a word, and returns how many are set.
size_t mark_rows(const TreeRow* rows, size_t count, const BinChoice<uint8_t>& choice,
                 uint64_t* bits);
size_t mark_rows(const TreeRow* rows, size_t count, const BinChoice<uint16_t>& choice,
                 uint64_t* bits);
// Deals them by these bits.
void deal_marked_rows(const TreeRow* rows, size_t count, const uint64_t* bits, const Sides& sides);

}  // namespace evergrove::trees
