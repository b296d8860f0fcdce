// Where a row goes is read one row at a time, for a processor's gather is slower than the loads it
// stands for; rows are moved a vector at a time, each side packed and stored as a whole: what is
// too much of it is overwritten by the next one.
// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/trees/partition_kernel.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "evergrove/trees/partition_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::trees::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kWordRows = 64;

using D = hn::CappedTag<uint64_t, 8>;

// By eight bits: where the bits are that are set, ascending, four bits a place, then the others.
// (Highway's Compress has such a table too, which GCC copies to the stack for every use.)
struct Orders {
  uint64_t of[256];
};
constexpr Orders make_orders() {
  Orders orders{};
  for (unsigned bits = 0; bits < 256; ++bits) {
    unsigned at = 0;
    for (const unsigned wanted : {1u, 0u}) {
      for (uint64_t place = 0; place < 8; ++place) {
        if ((bits >> place & 1) == wanted) orders.of[bits] |= place << (4 * at++);
      }
    }
  }
  return orders;
}
constexpr Orders kOrders = make_orders();

// The lanes whose bits are set, from the first lane on; what follows is any.
HWY_INLINE hn::Vec<D> bring_forward(hn::Vec<D> v, size_t bits) {
  const D d;
  const auto shifts = hn::ShiftLeft<2>(hn::Iota(d, 0));
  const auto places =
      hn::And(hn::Shr(hn::Set(d, kOrders.of[bits]), shifts), hn::Set(d, hn::Lanes(d) - 1));
  return hn::TableLookupLanes(v, hn::IndicesFromVec(d, places));
}

// A TreeRow is the row in its lower half and the gradient in its upper one.
struct ListedRows {
  const TreeRow* rows;
  HWY_INLINE uint32_t row(size_t i) const { return rows[i].row; }
  HWY_INLINE TreeRow tree_row(size_t i) const { return rows[i]; }
  HWY_INLINE hn::Vec<D> load(size_t i) const {
    return hn::LoadU(D(), reinterpret_cast<const uint64_t*>(rows + i));
  }
};
struct AllRows {
  const NarrowGradient* gradients;
  // Of 64 rows, those whose bits are set.
  HWY_INLINE void prefetch(size_t first, uint64_t bits) const {
    constexpr size_t kLineRows = 64 / sizeof(NarrowGradient);
    if (bits == 0) return;
    // Which lines are needed nobody can foretell; a branch for each would often be mistaken.
    const size_t any = hwy::Num0BitsBelowLS1Bit_Nonzero64(bits);
    for (size_t i = 0; i < kWordRows; i += kLineRows, bits >>= kLineRows) {
      const bool is_needed = (bits & ((uint64_t{1} << kLineRows) - 1)) != 0;
      size_t at = is_needed ? i : any;
      asm("" : "+r"(at));
      hwy::Prefetch(gradients + first + at);
    }
  }
  HWY_INLINE uint32_t row(size_t i) const { return static_cast<uint32_t>(i); }
  HWY_INLINE TreeRow tree_row(size_t i) const { return {row(i), gradients[i]}; }
};
struct AllRowsAlone {
  HWY_INLINE void prefetch(size_t /*first*/, uint64_t /*bits*/) const {}
  HWY_INLINE uint32_t row(size_t i) const { return static_cast<uint32_t>(i); }
  HWY_INLINE TreeRow tree_row(size_t i) const { return {row(i), {}}; }
};

// Bits of 64 rows at most.
template <bool kIsColumn, typename Rows, typename Bin>
HWY_INLINE uint64_t mark_some(const Rows& rows, size_t first, size_t count,
                              const BinChoice<Bin>& choice) {
  const Bin* const column = choice.column;
  const uint8_t* const goes_left = choice.goes_left;
  const size_t stride = kIsColumn ? 1 : choice.stride;
  const auto bit = [=](size_t i) HWY_ATTR {
    return uint64_t{goes_left[column[rows.row(first + i) * stride]]};
  };
  uint64_t bits = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t eight = bit(i) | bit(i + 1) << 1 | bit(i + 2) << 2 | bit(i + 3) << 3 |
                     bit(i + 4) << 4 | bit(i + 5) << 5 | bit(i + 6) << 6 | bit(i + 7) << 7;
    // Keeps the compiler from making gathers of it, which take several times as long.
    asm("" : "+r"(eight));
    bits |= eight << i;
  }
  for (; i < count; ++i) bits |= bit(i) << i;
  return bits;
}

// Of 64 consecutive rows, where a range goes left.
template <typename Bin>
HWY_INLINE uint64_t mark_range(const Bin* column, const BinChoice<Bin>& choice) {
  const hn::CappedTag<Bin, kWordRows> d;
  const auto span = hn::Set(d, choice.span);
  uint64_t bits = 0;
  for (size_t i = 0; i < kWordRows; i += hn::Lanes(d)) {
    const auto bins = hn::Sub(hn::LoadU(d, column + i), hn::Set(d, choice.first));
    uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, hn::Eq(hn::Min(bins, span), bins), bytes);
    uint64_t here;
    std::memcpy(&here, bytes, sizeof(here));
    bits |= here << i;
  }
  return bits;
}

// The same, of a number that the compiler knows where it is a whole word.
template <bool kIsColumn, typename Bin>
HWY_INLINE uint64_t mark_word(const ListedRows& rows, size_t first, size_t count,
                              const BinChoice<Bin>& choice) {
  if (count == kWordRows) return mark_some<kIsColumn>(rows, first, kWordRows, choice);
  return mark_some<kIsColumn>(rows, first, count, choice);
}

// Stores the first n of a vector's rows at `to`, and perhaps more before `end`.
HWY_INLINE void store_some(hn::Vec<D> v, size_t n, TreeRow* to, const TreeRow* end) {
  const D d;
  if (to + hn::Lanes(d) <= end) {
    hn::StoreU(v, d, reinterpret_cast<uint64_t*>(to));
  } else {
    uint64_t all[8];
    hn::StoreU(v, d, all);
    std::memcpy(to, all, n * sizeof(TreeRow));
  }
}

HWY_INLINE void deal_word(const ListedRows& rows, size_t first, size_t count, uint64_t bits,
                          Sides& sides) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  if (lanes >= 4) {
    for (; i + lanes <= count; i += lanes) {
      const uint64_t all = (uint64_t{1} << lanes) - 1;
      const uint64_t few = bits >> i & all;
      const auto v = rows.load(first + i);
      const auto left_count = static_cast<size_t>(hwy::PopCount(few));
      store_some(bring_forward(v, few), left_count, sides.lefts, sides.lefts_end);
      store_some(bring_forward(v, few ^ all), lanes - left_count, sides.rights, sides.rights_end);
      sides.lefts += left_count;
      sides.rights += lanes - left_count;
    }
  }
  for (; i < count; ++i) {
    const TreeRow row = rows.tree_row(first + i);  // lefts may overwrite it
    if ((bits >> i & 1) != 0) {
      *sides.lefts++ = row;
    } else {
      *sides.rights++ = row;
    }
  }
}

template <bool kIsColumn, typename Bin>
HWY_INLINE size_t deal_by(const ListedRows& rows, size_t count, const BinChoice<Bin>& choice,
                          Sides sides) {
  const TreeRow* const lefts = sides.lefts;
  for (size_t i = 0; i < count; i += kWordRows) {
    const size_t here = std::min(kWordRows, count - i);
    deal_word(rows, i, here, mark_word<kIsColumn>(rows, i, here, choice), sides);
  }
  return static_cast<size_t>(sides.lefts - lefts);
}

template <typename Bin>
HWY_INLINE size_t deal(const TreeRow* rows, size_t count, const BinChoice<Bin>& choice,
                       const Sides& sides) {
  return choice.stride == 1 ? deal_by<true>(ListedRows{rows}, count, choice, sides)
                            : deal_by<false>(ListedRows{rows}, count, choice, sides);
}

template <bool kIsColumn, typename Bin>
HWY_INLINE size_t mark_by(const ListedRows& rows, size_t count, const BinChoice<Bin>& choice,
                          uint64_t* bits) {
  size_t left_count = 0;
  for (size_t i = 0; i < count; i += kWordRows) {
    const size_t here = std::min(kWordRows, count - i);
    const uint64_t word = mark_word<kIsColumn>(rows, i, here, choice);
    bits[i / kWordRows] = word;
    left_count += hwy::PopCount(word);
  }
  return left_count;
}

template <typename Bin>
HWY_INLINE size_t mark(const TreeRow* rows, size_t count, const BinChoice<Bin>& choice,
                       uint64_t* bits) {
  return choice.stride == 1 ? mark_by<true>(ListedRows{rows}, count, choice, bits)
                            : mark_by<false>(ListedRows{rows}, count, choice, bits);
}

// Of 64 rows as many as make it worth while to look at all.
constexpr size_t kMany = 16;

// Those of 64 rows that go left, of rows whose bits are set.
template <typename Bin>
HWY_INLINE uint64_t left_of(uint64_t bits, size_t first, const BinChoice<Bin>& choice) {
  uint64_t left = 0;
  for (uint64_t rest = bits; rest != 0; rest &= rest - 1) {
    const size_t i = hwy::Num0BitsBelowLS1Bit_Nonzero64(rest);
    left |= uint64_t{choice.goes_left[choice.column[(first + i) * choice.stride]]} << i;
  }
  return left;
}

template <typename Bin>
HWY_INLINE size_t divide(const uint64_t* bits, size_t first_row, size_t row_count,
                         const BinChoice<Bin>& choice, uint64_t* lefts, uint64_t* rights) {
  size_t left_count = 0;
  for (size_t i = 0; i < row_count; i += kWordRows) {
    const size_t here = std::min(kWordRows, row_count - i);
    const size_t first = first_row + i;
    const uint64_t all = here == kWordRows ? ~uint64_t{0} : (uint64_t{1} << here) - 1;
    const uint64_t word = bits == nullptr ? all : bits[i / kWordRows];
    uint64_t left = 0;
    if (choice.stride != 1 || here < kWordRows) {
      left = left_of(word, first, choice);
    } else if (choice.is_range) {
      left = word == 0 ? 0 : mark_range(choice.column + first, choice) & word;
    } else if (hwy::PopCount(word) < kMany) {
      left = left_of(word, first, choice);
    } else {
      left = mark_some<true>(AllRowsAlone(), first, kWordRows, choice) & word;
    }
    lefts[i / kWordRows] = left;
    rights[i / kWordRows] = word & ~left;
    left_count += hwy::PopCount(left);
  }
  return left_count;
}

size_t divide_bytes(const uint64_t* bits, size_t first_row, size_t row_count,
                    const BinChoice<uint8_t>& choice, uint64_t* lefts, uint64_t* rights) {
  return divide(bits, first_row, row_count, choice, lefts, rights);
}
size_t divide_pairs(const uint64_t* bits, size_t first_row, size_t row_count,
                    const BinChoice<uint16_t>& choice, uint64_t* lefts, uint64_t* rights) {
  return divide(bits, first_row, row_count, choice, lefts, rights);
}

#if HWY_TARGET <= HWY_AVX3
// Of 64 rows as many as make it worth while to bring all forward, eight at a time.
constexpr size_t kMoved = 8;

// Lists those of 64 rows whose bits are set; the eight that follow may be overwritten.
HWY_INLINE TreeRow* list_word(const AllRows& rows, size_t first, uint64_t bits, TreeRow* to) {
  const D d;
  const hn::Half<hn::Repartition<uint32_t, D>> d32;
  const auto* const gradients = reinterpret_cast<const uint32_t*>(rows.gradients + first);
  auto numbers = hn::Iota(d, first);
  for (size_t i = 0; i < kWordRows; i += 8) {
    const auto few = static_cast<uint8_t>(bits >> i);
    const auto upper = hn::ShiftLeft<32>(hn::PromoteTo(d, hn::LoadU(d32, gradients + i)));
    // Highway's Compress looks the order up in a table.
    const hn::Vec<D> moved{_mm512_maskz_compress_epi64(few, hn::Or(upper, numbers).raw)};
    hn::StoreU(moved, d, reinterpret_cast<uint64_t*>(to));
    numbers = hn::Add(numbers, hn::Set(d, 8));
    to += hwy::PopCount(few);
  }
  return to;
}
#endif

// Bit by bit where few are set, or where a processor has no instruction that brings rows forward:
// by a table that takes longer, however many bits are set.
template <typename Rows>
HWY_INLINE TreeRow* list_of(const Rows& rows, const uint64_t* bits, size_t first_row,
                            size_t row_count, TreeRow* to, [[maybe_unused]] const TreeRow* end) {
  constexpr size_t kAhead = 8 * kWordRows;
  for (size_t i = 0; i < row_count; i += kWordRows) {
    const size_t first = first_row + i;
    uint64_t rest = bits[i / kWordRows];
    if (row_count - i > kAhead) rows.prefetch(first + kAhead, bits[(i + kAhead) / kWordRows]);
#if HWY_TARGET <= HWY_AVX3
    if constexpr (std::is_same_v<Rows, AllRows>) {
      const size_t many = hwy::PopCount(rest);
      if (many >= kMoved && row_count - i >= kWordRows && to + many + 8 <= end) {
        to = list_word(rows, first, rest, to);
        continue;
      }
    }
#endif
    for (; rest != 0; rest &= rest - 1) {
      *to++ = rows.tree_row(first + hwy::Num0BitsBelowLS1Bit_Nonzero64(rest));
    }
  }
  return to;
}

TreeRow* list(const uint64_t* bits, size_t first_row, size_t row_count,
              const NarrowGradient* gradients, TreeRow* to, const TreeRow* end) {
  return gradients != nullptr ? list_of(AllRows{gradients}, bits, first_row, row_count, to, end)
                              : list_of(AllRowsAlone{}, bits, first_row, row_count, to, end);
}

void add_bits(const uint64_t* bits, size_t first_row, size_t row_count, int64_t value,
              int64_t* values) {
  const hn::RebindToSigned<D> d;
  const size_t lanes = hn::Lanes(d);
  const auto added = hn::Set(d, value);
  for (size_t i = 0; i < row_count; i += kWordRows) {
    uint64_t rest = bits[i / kWordRows];
    int64_t* const here = values + first_row + i;
    if (lanes >= 4 && hwy::PopCount(rest) >= kMany && row_count - i >= kWordRows) {
      for (size_t k = 0; k < kWordRows; k += lanes) {
        const auto few = static_cast<uint8_t>(rest >> k);
        const auto before = hn::LoadU(d, here + k);
        const uint8_t mask_bytes[8] = {few};
        const auto mask = hn::LoadMaskBits(d, mask_bytes);
        hn::StoreU(hn::Add(before, hn::IfThenElseZero(mask, added)), d, here + k);
      }
      continue;
    }
    for (; rest != 0; rest &= rest - 1) here[hwy::Num0BitsBelowLS1Bit_Nonzero64(rest)] += value;
  }
}

size_t deal_bytes(const TreeRow* rows, size_t count, const BinChoice<uint8_t>& choice,
                  const Sides& sides) {
  return deal(rows, count, choice, sides);
}
size_t deal_pairs(const TreeRow* rows, size_t count, const BinChoice<uint16_t>& choice,
                  const Sides& sides) {
  return deal(rows, count, choice, sides);
}
size_t mark_bytes(const TreeRow* rows, size_t count, const BinChoice<uint8_t>& choice,
                  uint64_t* bits) {
  return mark(rows, count, choice, bits);
}
size_t mark_pairs(const TreeRow* rows, size_t count, const BinChoice<uint16_t>& choice,
                  uint64_t* bits) {
  return mark(rows, count, choice, bits);
}

void deal_marked(const TreeRow* rows, size_t count, const uint64_t* bits, const Sides& sides) {
  Sides next = sides;
  for (size_t i = 0; i < count; i += kWordRows) {
    deal_word(ListedRows{rows}, i, std::min(kWordRows, count - i), bits[i / kWordRows], next);
  }
}

}  // namespace evergrove::trees::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace evergrove::trees {

static_assert(sizeof(TreeRow) == sizeof(uint64_t));

HWY_EXPORT(deal_bytes);
HWY_EXPORT(deal_pairs);
HWY_EXPORT(add_bits);
HWY_EXPORT(divide_bytes);
HWY_EXPORT(divide_pairs);
HWY_EXPORT(list);
HWY_EXPORT(mark_bytes);
HWY_EXPORT(mark_pairs);
HWY_EXPORT(deal_marked);

size_t deal_rows(const TreeRow* rows, size_t count, const BinChoice<uint8_t>& choice,
                 const Sides& sides) {
  return HWY_DYNAMIC_DISPATCH(deal_bytes)(rows, count, choice, sides);
}
size_t deal_rows(const TreeRow* rows, size_t count, const BinChoice<uint16_t>& choice,
                 const Sides& sides) {
  return HWY_DYNAMIC_DISPATCH(deal_pairs)(rows, count, choice, sides);
}
size_t divide_bits(const uint64_t* bits, size_t first_row, size_t row_count,
                   const BinChoice<uint8_t>& choice, uint64_t* lefts, uint64_t* rights) {
  return HWY_DYNAMIC_DISPATCH(divide_bytes)(bits, first_row, row_count, choice, lefts, rights);
}
size_t divide_bits(const uint64_t* bits, size_t first_row, size_t row_count,
                   const BinChoice<uint16_t>& choice, uint64_t* lefts, uint64_t* rights) {
  return HWY_DYNAMIC_DISPATCH(divide_pairs)(bits, first_row, row_count, choice, lefts, rights);
}
TreeRow* list_rows(const uint64_t* bits, size_t first_row, size_t row_count,
                   const NarrowGradient* gradients, TreeRow* to, const TreeRow* end) {
  return HWY_DYNAMIC_DISPATCH(list)(bits, first_row, row_count, gradients, to, end);
}
void add_where(const uint64_t* bits, size_t first_row, size_t row_count, int64_t value,
               int64_t* values) {
  HWY_DYNAMIC_DISPATCH(add_bits)(bits, first_row, row_count, value, values);
}
size_t mark_rows(const TreeRow* rows, size_t count, const BinChoice<uint8_t>& choice,
                 uint64_t* bits) {
  return HWY_DYNAMIC_DISPATCH(mark_bytes)(rows, count, choice, bits);
}
size_t mark_rows(const TreeRow* rows, size_t count, const BinChoice<uint16_t>& choice,
                 uint64_t* bits) {
  return HWY_DYNAMIC_DISPATCH(mark_pairs)(rows, count, choice, bits);
}
void deal_marked_rows(const TreeRow* rows, size_t count, const uint64_t* bits, const Sides& sides) {
  HWY_DYNAMIC_DISPATCH(deal_marked)(rows, count, bits, sides);
}

}  // namespace evergrove::trees

#endif  // HWY_ONCE
