// The walk of row_mask_forest.h: what it reads, and the one function that there is for each width
// of SIMD.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/large_vector.h"

namespace evergrove::score {

// Of trees whose values are looked up digit by digit.
constexpr size_t kTableWays = 6;
constexpr size_t kTableLeaves = size_t{1} << kTableWays;
constexpr size_t kMaskLeavesMax = 256;
// Ways to split that a tree may have to be told by them alone.
constexpr size_t kMaskWaysMax = 8;
// Rows that are walked at once are at most so many, and divide it.
constexpr size_t kMaskRows = 256;
// Digits of values, which are looked up, have so many bits. Of the fewer four are added up in a
// byte, which is quicker where a look-up takes no longer than an addition, and there is little to
// do besides.
constexpr int kDigitBits = 8;
constexpr int kSmallDigitBits = 6;
constexpr size_t kSmallDigitsTogether = 4;
// The most digits of trees whose sums stay in registers.
constexpr int kSmallPlanesMax = 6;

struct MaskNode {
  uint32_t column_start = 0;     // in the tile
  uint32_t limit = 0;            // a larger code goes right; four times the byte
  uint32_t step = 0;             // the leaf's number changes by these bits to the right; four times
  uint16_t left = 0, right = 0;  // children among the tree's nodes; what is no node is never read
};

// A node that splits on categories has a column of its own: 1 where the row goes right.
struct MaskCategories {
  uint32_t from = 0, to = 0;  // starts of columns
  uint32_t table = 0;         // 32 bytes, a bit a code: set for those that go right
};

struct MaskTree {
  uint32_t first_node = 0;
  uint16_t branch_count = 0;  // nodes that have a node as child; they come first, parents before
  uint16_t node_count = 0;    // in all
  bool has_few_ways = false;  // nodes are ways to split, a bit of the leaf's number each, at
                              // least kTableWays
  uint8_t plane_count = 0;    // digits of its values; a table of kTableLeaves of each
  uint32_t first_value = 0;   // in bytes, or, of more than kTableLeaves leaves, in numbers
  uint16_t leaf_count = 1;
  uint32_t first_categories = 0, categories_count = 0;

  // Whether its sums fit into registers.
  bool is_small() const {
    return has_few_ways && leaf_count <= kTableLeaves && plane_count >= 1 &&
           plane_count <= kSmallPlanesMax;
  }
};

struct MaskTables {
  std::vector<MaskNode> nodes;
  std::vector<MaskCategories> categories;
  std::vector<uint8_t> category_bits;
  int digit_bits = kDigitBits;
  LargeVector<uint8_t> value_digits;  // no table on two cache lines
  std::vector<int64_t> values;
};

// Scratch of one thread.
struct MaskScratch {
  hwy::AlignedFreeUniquePtr<uint8_t[]> reached;  // by node: which rows come to it
  hwy::AlignedFreeUniquePtr<uint16_t[]> sums;    // by group of rows, digit, odd or even row
  size_t reached_size = 0, sums_size = 0;
};

// A sum beyond 64 bits, which no trained model has, wraps.
constexpr int64_t wrapping_sum(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// Rows of one vector on this machine; 0: there are no vectors, and no trees for them.
size_t mask_lanes();
// The bits that digits are best of, of a forest most of whose trees are small or are not.
int mask_digit_bits(bool are_small);
// Adds what the trees say to the sums of rows, `stride` apart; small ones of equal plane_count and
// without categories are best side by side. Requires: the tile has column_start
// + row_count codes, rounded up to kMaskRows, of each column that a node names.
void add_mask_trees(const MaskTables& tables, std::span<const MaskTree> trees, uint8_t* tile,
                    size_t row_count, int64_t* sums, size_t stride, MaskScratch& scratch);

}  // namespace evergrove::score
