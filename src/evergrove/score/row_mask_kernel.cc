// Two vectors of rows go at once, so that what is said of a node is read once for both.
//
// The values of a tree's leaves are looked up byte by byte (bytes of a value are so many tables of
// 64), and bytes are added up in 16 bits, even and odd rows apart, until they are put together.
// SPDX-License-Identifier: Apache-2.0
#define HWY_WANT_AVX3_DL 1
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/score/row_mask_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>

#include "evergrove/score/row_mask_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::score::HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

// Without vectors rows are better walked one by one: no tree is walked here.
void add_trees(const MaskTables&, std::span<const MaskTree>, uint8_t*, size_t, int64_t*, size_t,
               MaskScratch&) {}
size_t lanes() { return 0; }

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<uint8_t, 64>;
using D16 = hn::Repartition<uint16_t, D>;
using D32 = hn::Repartition<uint32_t, D>;
using V = hn::Vec<D>;

constexpr size_t kVectors = 4;

HWY_INLINE V four_times(uint32_t bytes) { return hn::BitCast(D(), hn::Set(D32(), bytes)); }

HWY_INLINE auto goes_right(V codes, V limit) {
#if HWY_TARGET <= HWY_AVX3
  return hn::Gt(codes, limit);
#else
  // There is no unsigned comparison of bytes.
  return hn::Not(hn::Eq(hn::SaturatedSub(codes, limit), hn::Zero(D())));
#endif
}

// number ^ (rows & step)
HWY_INLINE V add_step(V number, V rows, V step) {
#if HWY_TARGET <= HWY_AVX3
  return V{_mm512_ternarylogic_epi64(number.raw, rows.raw, step.raw, 0x78)};
#else
  return hn::Xor(number, hn::And(rows, step));
#endif
}

// table[number], for a table of 64 bytes.
HWY_INLINE V look_up(const uint8_t* table, V number) {
  const D d;
#if HWY_TARGET <= HWY_AVX3_DL
  return V{_mm512_permutexvar_epi8(number.raw, hn::LoadU(d, table).raw)};
#else
  const V place = hn::And(number, hn::Set(d, uint8_t{15}));
  const auto of = [&](size_t part) HWY_ATTR {
    return hn::TableLookupBytes(hn::LoadDup128(d, table + 16 * part), place);
  };
  const auto is_odd = hn::TestBit(number, hn::Set(d, uint8_t{16}));
  const auto is_high = hn::TestBit(number, hn::Set(d, uint8_t{32}));
  return hn::IfThenElse(is_high, hn::IfThenElse(is_odd, of(3), of(2)),
                        hn::IfThenElse(is_odd, of(1), of(0)));
#endif
}

// 1 where the code's bit is set.
HWY_INLINE V look_up_bit(const uint8_t* bits, V codes) {
  const D d;
  alignas(16) static constexpr uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128};
  const V byte = hn::ShiftRight<3>(codes);
  const V place = hn::And(byte, hn::Set(d, uint8_t{15}));
  const V low = hn::TableLookupBytes(hn::LoadDup128(d, bits), place);
  const V high = hn::TableLookupBytes(hn::LoadDup128(d, bits + 16), place);
  const V eight = hn::IfThenElse(hn::TestBit(byte, hn::Set(d, uint8_t{16})), high, low);
  const V bit =
      hn::TableLookupBytes(hn::LoadDup128(d, kBits), hn::And(codes, hn::Set(d, uint8_t{7})));
  return hn::IfThenElseZero(hn::TestBit(eight, bit), hn::Set(d, uint8_t{1}));
}

HWY_INLINE void fill_categories(const MaskTables& tables, const MaskTree& tree, uint8_t* tile,
                                size_t row_count) {
  const D d;
  for (uint32_t i = 0; i < tree.categories_count; ++i) {
    const MaskCategories& each = tables.categories[tree.first_categories + i];
    const uint8_t* bits = tables.category_bits.data() + each.table;
    for (size_t row = 0; row < row_count; row += hn::Lanes(d)) {
      hn::StoreU(look_up_bit(bits, hn::LoadU(d, tile + each.from + row)), d, tile + each.to + row);
    }
  }
}

// Which of the rows that come to a node go right of it, a vector of kVectors; numbers follow.
HWY_INLINE void step_right(const MaskNode& node, const uint8_t* codes, const V (&rows)[kVectors],
                           V (&right)[kVectors], V (&numbers)[kVectors]) {
  const D d;
  const V limit = four_times(node.limit);
  const V step = four_times(node.step);
  const uint8_t* of_node = codes + node.column_start;
  for (size_t v = 0; v < kVectors; ++v) {
    const auto is_right = goes_right(hn::LoadU(d, of_node + v * hn::Lanes(d)), limit);
    right[v] = hn::IfThenElseZero(is_right, rows[v]);
  }
  for (size_t v = 0; v < kVectors; ++v) numbers[v] = add_step(numbers[v], right[v], step);
}

HWY_INLINE void load_all(const uint8_t* from, V (&to)[kVectors]) {
  for (size_t v = 0; v < kVectors; ++v) to[v] = hn::Load(D(), from + v * hn::Lanes(D()));
}

// The numbers of the leaves that kVectors vectors of rows come to.
HWY_INLINE void find_leaves(const MaskNode* HWY_RESTRICT nodes, size_t branch_count,
                            size_t node_count, const uint8_t* codes, uint8_t* HWY_RESTRICT reached,
                            V (&numbers)[kVectors]) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V rows[kVectors];
  V right[kVectors];
  for (size_t v = 0; v < kVectors; ++v) {
    hn::Store(hn::Set(d, uint8_t{255}), d, reached + v * lanes);
    numbers[v] = hn::Zero(d);
  }
  for (size_t i = 0; i < branch_count; ++i) {
    uint8_t* to_left = reached + nodes[i].left * kVectors * lanes;
    uint8_t* to_right = reached + nodes[i].right * kVectors * lanes;
    load_all(reached + i * kVectors * lanes, rows);
    step_right(nodes[i], codes, rows, right, numbers);
    for (size_t v = 0; v < kVectors; ++v) {
      hn::Store(hn::Xor(rows[v], right[v]), d, to_left + v * lanes);
      hn::Store(right[v], d, to_right + v * lanes);
    }
  }
  for (size_t i = branch_count; i < node_count; ++i) {
    load_all(reached + i * kVectors * lanes, rows);
    step_right(nodes[i], codes, rows, right, numbers);
  }
}

HWY_INLINE void find_by_ways(const MaskNode* HWY_RESTRICT nodes, size_t way_count,
                             const uint8_t* codes, V (&numbers)[kVectors]) {
  const D d;
  for (size_t v = 0; v < kVectors; ++v) numbers[v] = hn::Zero(d);
  for (size_t i = 0; i < way_count; ++i) {
    const V limit = four_times(nodes[i].limit);
    const V step = four_times(nodes[i].step);
    const uint8_t* of_way = codes + nodes[i].column_start;
    for (size_t v = 0; v < kVectors; ++v) {
      const auto is_right = goes_right(hn::LoadU(d, of_way + v * hn::Lanes(d)), limit);
      numbers[v] = hn::Or(numbers[v], hn::IfThenElseZero(is_right, step));
    }
  }
}

// Puts bytes together, and begins anew.
HWY_INLINE void flush(size_t plane_count, size_t row_count, uint16_t* byte_sums, int64_t* sums,
                      size_t stride) {
  const size_t lanes = hn::Lanes(D());
  for (size_t first = 0; first < row_count; first += lanes) {
    const uint16_t* of_group = byte_sums + first * plane_count;
    const size_t count = std::min(lanes, row_count - first);
    for (size_t row = 0; row < count; ++row) {
      uint64_t sum = 0;
      for (size_t plane = 0; plane < plane_count; ++plane) {
        const uint64_t part = of_group[plane * lanes + (row & 1) * (lanes / 2) + row / 2];
        sum += part << (8 * plane);
      }
      int64_t& to = sums[(first + row) * stride];
      to = static_cast<int64_t>(static_cast<uint64_t>(to) + sum);
    }
  }
}

void add_trees(const MaskTables& tables, std::span<const MaskTree> trees, uint8_t* tile,
               size_t row_count, int64_t* sums, size_t stride, MaskScratch& scratch) {
  const D d;
  const D16 d16;
  const size_t lanes = hn::Lanes(d);
  const size_t at_once = kVectors * lanes;
  const size_t rows = (row_count + at_once - 1) / at_once * at_once;
  size_t plane_count = 0;
  size_t node_count = 0;
  for (const MaskTree& tree : trees) {
    plane_count = std::max<size_t>(plane_count, tree.plane_count);
    node_count = std::max<size_t>(node_count, tree.node_count);
  }
  const size_t reached_size = (node_count + 1) * at_once;
  if (scratch.reached_size < reached_size) {
    scratch.reached = hwy::AllocateAligned<uint8_t>(reached_size);
    scratch.reached_size = reached_size;
  }
  const size_t sums_size = rows * plane_count;
  if (scratch.sums_size < sums_size) {
    scratch.sums = hwy::AllocateAligned<uint16_t>(sums_size);
    scratch.sums_size = sums_size;
  }
  uint8_t* reached = scratch.reached.get();
  uint16_t* byte_sums = scratch.sums.get();
  std::fill(byte_sums, byte_sums + sums_size, uint16_t{0});
  HWY_ALIGN uint8_t places[kVectors * 64];
  const auto even_bytes = hn::Set(d16, uint16_t{255});
  size_t summed = 0;
  for (const MaskTree& tree : trees) {
    const MaskNode* nodes = tables.nodes.data() + tree.first_node;
    fill_categories(tables, tree, tile, rows);
    for (size_t first = 0; first < rows; first += at_once) {
      V number[kVectors];
      if (tree.has_few_ways) {
        find_by_ways(nodes, tree.node_count, tile + first, number);
      } else {
        find_leaves(nodes, tree.branch_count, tree.node_count, tile + first, reached, number);
      }
      if (tree.leaf_count > kTableLeaves) {
        for (size_t v = 0; v < kVectors; ++v) hn::Store(number[v], d, places + v * lanes);
        const int64_t* values = tables.values.data() + tree.first_value;
        const size_t count = std::min(at_once, row_count - std::min(row_count, first));
        for (size_t row = 0; row < count; ++row) {
          int64_t& to = sums[(first + row) * stride];
          to = static_cast<int64_t>(static_cast<uint64_t>(to) +
                                    static_cast<uint64_t>(values[places[row]]));
        }
        continue;
      }
      const uint8_t* table = tables.value_bytes.data() + tree.first_value;
      for (size_t v = 0; v < kVectors; ++v) {
        uint16_t* to = byte_sums + (first + v * lanes) * plane_count;
        for (size_t plane = 0; plane < tree.plane_count; ++plane) {
          const auto found = hn::BitCast(d16, look_up(table + plane * kTableLeaves, number[v]));
          uint16_t* even = to + plane * lanes;
          uint16_t* odd = even + lanes / 2;
          hn::Store(hn::Add(hn::Load(d16, even), hn::And(found, even_bytes)), d16, even);
          hn::Store(hn::Add(hn::Load(d16, odd), hn::ShiftRight<8>(found)), d16, odd);
        }
      }
    }
    if (++summed == kByteTrees) {
      flush(plane_count, row_count, byte_sums, sums, stride);
      std::fill(byte_sums, byte_sums + sums_size, uint16_t{0});
      summed = 0;
    }
  }
  flush(plane_count, row_count, byte_sums, sums, stride);
}

size_t lanes() { return hn::Lanes(D()); }

#endif  // HWY_SCALAR

}  // namespace evergrove::score::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::score {

HWY_EXPORT(add_trees);
HWY_EXPORT(lanes);

size_t mask_lanes() { return HWY_DYNAMIC_DISPATCH(lanes)(); }

void add_mask_trees(const MaskTables& tables, std::span<const MaskTree> trees, uint8_t* tile,
                    size_t row_count, int64_t* sums, size_t stride, MaskScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(add_trees)(tables, trees, tile, row_count, sums, stride, scratch);
}

}  // namespace evergrove::score
#endif
