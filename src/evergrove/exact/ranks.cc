// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/vectors_in_arrays.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/exact/ranks.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "evergrove/exact/ranks.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::exact::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One number.
template <typename T>
HWY_INLINE uint32_t rank_of(const T* levels, int steps, T value) {
  if (value != value) return Ranks::kNaN;
  uint32_t rank = 0;
  for (int level = 0; level < steps; ++level) {
    rank = 2 * rank + (levels[ranks_level_start(level) + rank] < value ? 1 : 0);
  }
  return rank;
}

#if HWY_TARGET != HWY_SCALAR

template <typename T>
class Search {
 public:
  using D = hn::ScalableTag<T>;
  using DI = hn::RebindToSigned<D>;
  using Index = hn::TFromD<DI>;
  using V = hn::Vec<D>;
  using VI = hn::Vec<DI>;

  Search(const T* levels, int steps) : levels_(levels), steps_(steps) {}

  // Ranks of kVectors vectors of values, whose look-ups overlap.
  static constexpr size_t kVectors = 4;
  template <typename Out>
  HWY_INLINE void run(const T* values, size_t first, const Out& out) const {
    const D d;
    const DI di;
    const size_t lanes = hn::Lanes(d);
    V value[kVectors];
    VI rank[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      value[v] = hn::LoadU(d, values + first + v * lanes);
      rank[v] = hn::Zero(di);
    }
    for (int level = 0; level < steps_; ++level) {
      const T* const table = levels_ + ranks_level_start(level);
      const size_t vectors = ((size_t{1} << level) + lanes - 1) / lanes;
      if (vectors == 1) {
        go_down<1>(table, value, rank);
      } else if (vectors == 2) {
        go_down<2>(table, value, rank);
      } else if (vectors == 4 && kTableVectors >= 4) {
        go_down<4>(table, value, rank);
      } else if (vectors == 8 && kTableVectors >= 8) {
        go_down<8>(table, value, rank);
      } else {
        go_down<0>(table, value, rank);
      }
    }
    for (size_t v = 0; v < kVectors; ++v) {
      const VI all = hn::Set(di, Index{-1});
      const VI found = hn::IfThenElse(hn::RebindMask(di, hn::IsNaN(value[v])), all, rank[v]);
      out.store(hn::BitCast(hn::RebindToUnsigned<DI>(), found), first + v * lanes);
    }
  }

 private:
  // Tables of so many vectors are looked up in registers; larger ones in memory.
  static constexpr size_t kTableVectors = HWY_TARGET <= HWY_AVX3 ? 8 : 2;

  // table[at], of a table of kTables vectors (0: in memory).
  template <size_t kTables>
  HWY_INLINE static V look_up(const T* table, VI at) {
    const D d;
    const DI di;
    const size_t lanes = hn::Lanes(d);
    if constexpr (kTables == 0) {
      return hn::GatherIndex(d, table, at);
    } else if constexpr (kTables == 1) {
      return hn::TableLookupLanes(hn::LoadU(d, table), hn::IndicesFromVec(d, at));
#if HWY_TARGET <= HWY_AVX3
    } else if constexpr (kTables == 2 && sizeof(T) == 4) {
      return V{
          _mm512_permutex2var_ps(hn::LoadU(d, table).raw, at.raw, hn::LoadU(d, table + lanes).raw)};
    } else if constexpr (kTables == 2) {
      return V{
          _mm512_permutex2var_pd(hn::LoadU(d, table).raw, at.raw, hn::LoadU(d, table + lanes).raw)};
#endif
    } else {
      constexpr size_t kHalf = kTables / 2;
      const auto half = static_cast<Index>(kHalf * lanes);
      const VI in_half = hn::And(at, hn::Set(di, half - 1));
      const auto is_upper = hn::RebindMask(d, hn::Gt(at, hn::Set(di, half - 1)));
      return hn::IfThenElse(is_upper, look_up<kHalf>(table + kHalf * lanes, in_half),
                            look_up<kHalf>(table, in_half));
    }
  }

  template <size_t kTables>
  HWY_INLINE static void go_down(const T* table, const V (&value)[kVectors], VI (&rank)[kVectors]) {
    const DI di;
    for (size_t v = 0; v < kVectors; ++v) {
      const auto is_below = hn::RebindMask(di, hn::Lt(look_up<kTables>(table, rank[v]), value[v]));
      rank[v] =
          hn::Add(hn::Add(rank[v], rank[v]), hn::IfThenElseZero(is_below, hn::Set(di, Index{1})));
    }
  }

  const T* levels_;
  int steps_;
};

#endif  // HWY_SCALAR

// Where ranks go: as codes, from vectors of unsigned whole numbers as wide as the values.
template <typename Code>
struct CodeOut {
  Ranks::Codes<Code> codes;

  HWY_INLINE void store_one(uint32_t rank, size_t at) const {
    if (codes.one_more != nullptr) codes.one_more[at] = static_cast<Code>(rank + 1);
    if (codes.nan_last != nullptr) {
      codes.nan_last[at] = static_cast<Code>(std::min(rank, uint32_t{codes.nan}));
    }
  }
#if HWY_TARGET != HWY_SCALAR
  template <typename VU>
  HWY_INLINE void store(VU ranks, size_t at) const {
    const hn::DFromV<VU> du;
    using Wide = hn::TFromV<VU>;
    if (codes.one_more != nullptr) {
      store_narrow(hn::Add(ranks, hn::Set(du, Wide{1})), codes.one_more + at);
    }
    if (codes.nan_last != nullptr) {
      store_narrow(hn::Min(ranks, hn::Set(du, Wide{codes.nan})), codes.nan_last + at);
    }
  }

 private:
  template <typename VU>
  HWY_INLINE static void store_narrow(VU wide, Code* to) {
    const hn::DFromV<VU> du;
    if constexpr (sizeof(Code) == sizeof(hn::TFromV<VU>)) {
      hn::StoreU(wide, du, to);
    } else {
      const hn::Rebind<Code, decltype(du)> narrow;
      hn::StoreU(hn::TruncateTo(narrow, wide), narrow, to);
    }
  }
#endif
};

template <typename T, typename Code>
HWY_INLINE void find_ranks(const T* levels, int steps, std::span<const T> values,
                           const Ranks::Codes<Code>& codes) {
  const CodeOut<Code> out{codes};
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const Search<T> search(levels, steps);
  const size_t at_once = Search<T>::kVectors * hn::Lanes(hn::ScalableTag<T>());
  for (; i + at_once <= values.size(); i += at_once) search.run(values.data(), i, out);
#endif
  for (; i < values.size(); ++i) out.store_one(rank_of(levels, steps, values[i]), i);
}

#define EVERGROVE_RANKS(name, Number, Code)                                  \
  void name(const Number* levels, int steps, std::span<const Number> values, \
            const Ranks::Codes<Code>& codes) {                               \
    find_ranks(levels, steps, values, codes);                                \
  }
EVERGROVE_RANKS(floats_to_8, float, uint8_t)
EVERGROVE_RANKS(floats_to_16, float, uint16_t)
EVERGROVE_RANKS(floats_to_32, float, uint32_t)
EVERGROVE_RANKS(doubles_to_8, double, uint8_t)
EVERGROVE_RANKS(doubles_to_16, double, uint16_t)
EVERGROVE_RANKS(doubles_to_32, double, uint32_t)
#undef EVERGROVE_RANKS

}  // namespace evergrove::exact::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::exact {
namespace {

// The largest float that is not larger: x > it exactly when x > threshold, for a float x.
float rounded_down(double threshold) {
  const auto nearest = static_cast<float>(threshold);
  if (static_cast<double>(nearest) <= threshold) return nearest;
  return std::nextafter(nearest, -std::numeric_limits<float>::infinity());
}

}  // namespace

HWY_EXPORT(floats_to_8);
HWY_EXPORT(floats_to_16);
HWY_EXPORT(floats_to_32);
HWY_EXPORT(doubles_to_8);
HWY_EXPORT(doubles_to_16);
HWY_EXPORT(doubles_to_32);

Ranks::Ranks(std::span<const double> thresholds) : steps_(std::bit_width(thresholds.size())) {
  doubles_.resize(ranks_level_start(steps_), std::numeric_limits<double>::infinity());
  for (int level = 0; level < steps_; ++level) {
    const size_t between = size_t{1} << (steps_ - level);
    for (size_t i = 0; i < size_t{1} << level; ++i) {
      const size_t at = i * between + between / 2 - 1;
      if (at < thresholds.size()) doubles_[ranks_level_start(level) + i] = thresholds[at];
    }
  }
  for (const double threshold : doubles_) floats_.push_back(rounded_down(threshold));
}

template <typename Number, typename Code>
void Ranks::of(std::span<const Number> values, const Codes<Code>& codes) const {
  constexpr size_t kBytes = sizeof(Code);
  if constexpr (sizeof(Number) == 4) {
    const float* levels = floats_.data();
    if constexpr (kBytes == 1) HWY_DYNAMIC_DISPATCH(floats_to_8)(levels, steps_, values, codes);
    if constexpr (kBytes == 2) HWY_DYNAMIC_DISPATCH(floats_to_16)(levels, steps_, values, codes);
    if constexpr (kBytes == 4) HWY_DYNAMIC_DISPATCH(floats_to_32)(levels, steps_, values, codes);
  } else {
    const double* levels = doubles_.data();
    if constexpr (kBytes == 1) HWY_DYNAMIC_DISPATCH(doubles_to_8)(levels, steps_, values, codes);
    if constexpr (kBytes == 2) HWY_DYNAMIC_DISPATCH(doubles_to_16)(levels, steps_, values, codes);
    if constexpr (kBytes == 4) HWY_DYNAMIC_DISPATCH(doubles_to_32)(levels, steps_, values, codes);
  }
}

template void Ranks::of(std::span<const float>, const Codes<uint8_t>&) const;
template void Ranks::of(std::span<const float>, const Codes<uint16_t>&) const;
template void Ranks::of(std::span<const float>, const Codes<uint32_t>&) const;
template void Ranks::of(std::span<const double>, const Codes<uint8_t>&) const;
template void Ranks::of(std::span<const double>, const Codes<uint16_t>&) const;
template void Ranks::of(std::span<const double>, const Codes<uint32_t>&) const;

}  // namespace evergrove::exact
#endif
