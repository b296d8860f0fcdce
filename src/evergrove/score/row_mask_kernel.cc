// Some vectors of rows go at once, so that what is said of a node is read once for all of them.
// Trees of few ways and few leaves go in runs, whose sums stay in registers.
//
// The values of a tree's leaves are looked up digit by digit (digits of a value are so many tables
// of 64), and digits are added up in 16 bits, even and odd rows apart, until they are put together.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/vectors_in_arrays.h"
//
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
int digit_bits(bool) { return kDigitBits; }

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

template <typename Mask>
HWY_INLINE V add_where(Mask where, V number, V step) {
#if HWY_TARGET <= HWY_AVX3
  return V{_mm512_mask_add_epi8(number.raw, where.raw, number.raw, step.raw)};
#else
  return hn::Or(number, hn::IfThenElseZero(where, step));
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

constexpr size_t kFewVectors = 2;

template <size_t kCount>
HWY_INLINE void find_by_ways(const MaskNode* HWY_RESTRICT nodes, size_t way_count,
                             const uint8_t* codes, V (&numbers)[kCount]) {
  const D d;
  for (size_t v = 0; v < kCount; ++v) numbers[v] = hn::Zero(d);
  for (size_t i = 0; i < way_count; ++i) {
    const V limit = four_times(nodes[i].limit);
    const V step = four_times(nodes[i].step);
    const uint8_t* of_way = codes + nodes[i].column_start;
    for (size_t v = 0; v < kCount; ++v) {
      const auto is_right = goes_right(hn::LoadU(d, of_way + v * hn::Lanes(d)), limit);
      numbers[v] = add_where(is_right, numbers[v], step);
    }
  }
}

// Sums of pairs of digits: in 16 bits a sum of pairs less 256 times that of the second ones is that
// of the first ones.
template <size_t kPlanes>
struct PairSums {
  hn::Vec<D16> pairs[kFewVectors][kPlanes];
  hn::Vec<D16> odd[kFewVectors][kPlanes];
};

// Adds kTrees trees of few ways, whose values have kPlanes digits, for two vectors of rows.
template <size_t kPlanes, size_t kTrees>
HWY_INLINE void add_few_ways(const MaskTables& tables, const MaskTree* trees, const uint8_t* codes,
                             PairSums<kPlanes>& sums) {
  V numbers[kTrees][kFewVectors];
  const uint8_t* digits[kTrees];
  for (size_t i = 0; i < kTrees; ++i) {
    find_by_ways(tables.nodes.data() + trees[i].first_node, kTableWays, codes, numbers[i]);
    digits[i] = tables.value_digits.data() + trees[i].first_value;
  }
  for (size_t plane = 0; plane < kPlanes; ++plane) {
    for (size_t v = 0; v < kFewVectors; ++v) {
      V sum = look_up(digits[0] + plane * kTableLeaves, numbers[0][v]);
      for (size_t i = 1; i < kTrees; ++i) {
        sum = hn::Add(sum, look_up(digits[i] + plane * kTableLeaves, numbers[i][v]));
      }
      const auto found = hn::BitCast(D16(), sum);
      sums.pairs[v][plane] = hn::Add(sums.pairs[v][plane], found);
      sums.odd[v][plane] = hn::Add(sums.odd[v][plane], hn::ShiftRight<8>(found));
    }
  }
}

// All of some such trees: their sums stay in registers.
template <size_t kPlanes>
HWY_INLINE void add_few_ways(const MaskTables& tables, std::span<const MaskTree> trees,
                             const uint8_t* codes, size_t plane_count,
                             uint16_t* HWY_RESTRICT digit_sums) {
  const D16 d16;
  const size_t lanes = hn::Lanes(D());
  PairSums<kPlanes> sums;
  const auto place = [&](size_t v, size_t plane) {
    return digit_sums + (v * plane_count + plane) * lanes;
  };
  for (size_t v = 0; v < kFewVectors; ++v) {
    for (size_t plane = 0; plane < kPlanes; ++plane) {
      sums.odd[v][plane] = hn::Load(d16, place(v, plane) + lanes / 2);
      sums.pairs[v][plane] =
          hn::Add(hn::Load(d16, place(v, plane)), hn::ShiftLeft<8>(sums.odd[v][plane]));
    }
  }
  size_t i = 0;
  if (tables.digit_bits == kSmallDigitBits) {
    for (; i + kSmallDigitsTogether <= trees.size(); i += kSmallDigitsTogether) {
      add_few_ways<kPlanes, kSmallDigitsTogether>(tables, &trees[i], codes, sums);
    }
  }
  for (; i < trees.size(); ++i) add_few_ways<kPlanes, 1>(tables, &trees[i], codes, sums);
  for (size_t v = 0; v < kFewVectors; ++v) {
    for (size_t plane = 0; plane < kPlanes; ++plane) {
      hn::Store(hn::Sub(sums.pairs[v][plane], hn::ShiftLeft<8>(sums.odd[v][plane])), d16,
                place(v, plane));
      hn::Store(sums.odd[v][plane], d16, place(v, plane) + lanes / 2);
    }
  }
}

// Puts digits together, even rows and odd ones apart as they are.
HWY_INLINE void flush(int digit_bits, size_t plane_count, size_t row_count,
                      const uint16_t* digit_sums, int64_t* sums, size_t stride) {
  const hn::CappedTag<uint64_t, 8> d64;
  const hn::Rebind<uint32_t, decltype(d64)> d32;
  const hn::Rebind<uint16_t, decltype(d64)> d16;
  const size_t lanes = hn::Lanes(D());
  HWY_ALIGN uint64_t totals[64];
  for (size_t first = 0; first < row_count; first += lanes) {
    const uint16_t* of_group = digit_sums + first * plane_count;
    for (size_t at = 0; at < lanes; at += hn::Lanes(d64)) {
      auto total = hn::Zero(d64);
      for (size_t plane = 0; plane < plane_count; ++plane) {
        const auto part = hn::LoadU(d16, of_group + plane * lanes + at);
        const auto wide = hn::PromoteTo(d64, hn::PromoteTo(d32, part));
        total = hn::Add(total, hn::ShiftLeftSame(wide, digit_bits * static_cast<int>(plane)));
      }
      hn::Store(total, d64, totals + at);
    }
    const size_t count = std::min(lanes, row_count - first);
    for (size_t row = 0; row < count; ++row) {
      int64_t& to = sums[(first + row) * stride];
      to = wrapping_sum(to, static_cast<int64_t>(totals[(row & 1) * (lanes / 2) + row / 2]));
    }
  }
}

HWY_INLINE void add_digits(const uint8_t* table, size_t plane_count, size_t planes_max,
                           const V (&numbers)[kVectors], uint16_t* digit_sums) {
  const D16 d16;
  const size_t lanes = hn::Lanes(D());
  const auto even_bytes = hn::Set(d16, uint16_t{255});
  for (size_t v = 0; v < kVectors; ++v) {
    for (size_t plane = 0; plane < plane_count; ++plane) {
      const auto found = hn::BitCast(d16, look_up(table + plane * kTableLeaves, numbers[v]));
      uint16_t* even = digit_sums + (v * planes_max + plane) * lanes;
      uint16_t* odd = even + lanes / 2;
      hn::Store(hn::Add(hn::Load(d16, even), hn::And(found, even_bytes)), d16, even);
      hn::Store(hn::Add(hn::Load(d16, odd), hn::ShiftRight<8>(found)), d16, odd);
    }
  }
}

HWY_INLINE void add_values(const int64_t* values, const V (&numbers)[kVectors], size_t count,
                           int64_t* sums, size_t stride) {
  HWY_ALIGN uint8_t places[kVectors * 64];
  for (size_t v = 0; v < kVectors; ++v) hn::Store(numbers[v], D(), places + v * hn::Lanes(D()));
  for (size_t row = 0; row < count; ++row) {
    int64_t& to = sums[row * stride];
    to = wrapping_sum(to, values[places[row]]);
  }
}

HWY_INLINE void add_small(const MaskTables& tables, std::span<const MaskTree> run,
                          const uint8_t* codes, size_t plane_count, uint16_t* digit_sums) {
  const size_t lanes = hn::Lanes(D());
  for (size_t v = 0; v < kVectors; v += kFewVectors) {
    const uint8_t* here = codes + v * lanes;
    uint16_t* to = digit_sums + v * lanes * plane_count;
    switch (run[0].plane_count) {
      case 1:
        add_few_ways<1>(tables, run, here, plane_count, to);
        break;
      case 2:
        add_few_ways<2>(tables, run, here, plane_count, to);
        break;
      case 3:
        add_few_ways<3>(tables, run, here, plane_count, to);
        break;
      case 4:
        add_few_ways<4>(tables, run, here, plane_count, to);
        break;
      case 5:
        add_few_ways<5>(tables, run, here, plane_count, to);
        break;
      default:
        add_few_ways<kSmallPlanesMax>(tables, run, here, plane_count, to);
    }
  }
}

// How many trees from the first one on go together: small ones, as many as fit into the nearest
// cache beside the rows; others alone.
HWY_INLINE size_t run_length(std::span<const MaskTree> trees) {
  constexpr size_t kTogether = 64;
  size_t count = 1;
  if (!trees[0].is_small() || trees[0].categories_count > 0) return count;
  while (count < std::min(trees.size(), kTogether) && trees[count].is_small() &&
         trees[count].categories_count == 0 && trees[count].plane_count == trees[0].plane_count) {
    ++count;
  }
  return count;
}

void add_trees(const MaskTables& tables, std::span<const MaskTree> trees, uint8_t* tile,
               size_t row_count, int64_t* sums, size_t stride, MaskScratch& scratch) {
  const D d;
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
  uint16_t* digit_sums = scratch.sums.get();
  std::fill(digit_sums, digit_sums + sums_size, uint16_t{0});
  const auto flush_all = [&] {
    flush(tables.digit_bits, plane_count, row_count, digit_sums, sums, stride);
    std::fill(digit_sums, digit_sums + sums_size, uint16_t{0});
  };
  const size_t summed_max = UINT16_MAX / ((size_t{1} << tables.digit_bits) - 1);
  size_t summed = 0;
  while (!trees.empty()) {
    const size_t count = run_length(trees);
    const std::span<const MaskTree> run = trees.first(count);
    trees = trees.subspan(count);
    const bool has_digits = run[0].leaf_count <= kTableLeaves;
    if (has_digits && summed + count > summed_max) {
      flush_all();
      summed = 0;
    }
    summed += has_digits ? count : 0;
    for (const MaskTree& tree : run) fill_categories(tables, tree, tile, rows);
    for (size_t first = 0; first < rows; first += at_once) {
      uint16_t* to = digit_sums + first * plane_count;
      if (run[0].is_small()) {
        add_small(tables, run, tile + first, plane_count, to);
        continue;
      }
      V numbers[kVectors];
      const MaskNode* nodes = tables.nodes.data() + run[0].first_node;
      if (run[0].has_few_ways) {
        find_by_ways(nodes, run[0].node_count, tile + first, numbers);
      } else {
        find_leaves(nodes, run[0].branch_count, run[0].node_count, tile + first, reached, numbers);
      }
      if (has_digits) {
        add_digits(tables.value_digits.data() + run[0].first_value, run[0].plane_count, plane_count,
                   numbers, to);
      } else if (first < row_count) {
        add_values(tables.values.data() + run[0].first_value, numbers,
                   std::min(at_once, row_count - first), sums + first * stride, stride);
      }
    }
  }
  flush_all();
}

size_t lanes() { return hn::Lanes(D()); }

int digit_bits(bool are_small) {
  return are_small && HWY_TARGET <= HWY_AVX3_DL ? kSmallDigitBits : kDigitBits;
}

#endif  // HWY_SCALAR

}  // namespace evergrove::score::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::score {

HWY_EXPORT(add_trees);
HWY_EXPORT(lanes);
HWY_EXPORT(digit_bits);

size_t mask_lanes() { return HWY_DYNAMIC_DISPATCH(lanes)(); }
int mask_digit_bits(bool are_small) { return HWY_DYNAMIC_DISPATCH(digit_bits)(are_small); }

void add_mask_trees(const MaskTables& tables, std::span<const MaskTree> trees, uint8_t* tile,
                    size_t row_count, int64_t* sums, size_t stride, MaskScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(add_trees)(tables, trees, tile, row_count, sums, stride, scratch);
}

}  // namespace evergrove::score
#endif
