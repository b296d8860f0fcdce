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

// One number; the table has 2^steps - 1 thresholds.
template <typename T>
HWY_INLINE uint32_t rank_of(const T* table, int steps, T value) {
  if (value != value) return Ranks::kNaN;
  uint32_t rank = 0;
  for (uint32_t step = (uint32_t{1} << steps) >> 1; step > 0; step >>= 1) {
    rank += table[rank + step - 1] < value ? step : 0;
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

  Search(const T* table, int steps)
      : table_(table),
        coarse_steps_(std::min<int>(steps, std::bit_width(hn::Lanes(D())) - 1)),
        fine_steps_(steps - coarse_steps_) {
    const size_t lanes = hn::Lanes(D());
    std::fill(coarse_, coarse_ + lanes, std::numeric_limits<T>::infinity());
    const size_t count = (size_t{1} << coarse_steps_) - 1;
    for (size_t i = 0; i < count; ++i) coarse_[i] = table[((i + 1) << fine_steps_) - 1];
  }

  // Ranks of kVectors vectors of values, whose look-ups overlap.
  static constexpr size_t kVectors = 4;
  template <typename Out>
  HWY_INLINE void run(const T* values, size_t first, const Out& out) const {
    const D d;
    const DI di;
    const size_t lanes = hn::Lanes(d);
    const V coarse = hn::Load(d, coarse_);
    V value[kVectors];
    VI rank[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      value[v] = hn::LoadU(d, values + first + v * lanes);
      rank[v] = hn::Zero(di);
    }
    const auto go_on = [&](V threshold, Index step, size_t v) HWY_ATTR {
      const auto is_below = hn::RebindMask(di, hn::Lt(threshold, value[v]));
      rank[v] = hn::Add(rank[v], hn::IfThenElseZero(is_below, hn::Set(di, step)));
    };
    for (Index step = (Index{1} << coarse_steps_) >> 1; step > 0; step >>= 1) {
      for (size_t v = 0; v < kVectors; ++v) {
        const VI at = hn::Add(rank[v], hn::Set(di, static_cast<Index>(step - 1)));
        go_on(hn::TableLookupLanes(coarse, hn::IndicesFromVec(d, at)), step, v);
      }
    }
    for (size_t v = 0; v < kVectors; ++v) rank[v] = hn::ShiftLeftSame(rank[v], fine_steps_);
    for (Index step = (Index{1} << fine_steps_) >> 1; step > 0; step >>= 1) {
      for (size_t v = 0; v < kVectors; ++v) {
        const VI at = hn::Add(rank[v], hn::Set(di, static_cast<Index>(step - 1)));
        go_on(hn::GatherIndex(d, table_, at), step, v);
      }
    }
    for (size_t v = 0; v < kVectors; ++v) {
      const VI all = hn::Set(di, Index{-1});
      const VI found = hn::IfThenElse(hn::RebindMask(di, hn::IsNaN(value[v])), all, rank[v]);
      out.store(hn::BitCast(hn::RebindToUnsigned<DI>(), found), first + v * lanes);
    }
  }

 private:
  const T* table_;
  int coarse_steps_, fine_steps_;
  HWY_ALIGN T coarse_[HWY_MAX_BYTES / sizeof(T)];
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
HWY_INLINE void find_ranks(const T* table, int steps, std::span<const T> values,
                           const Ranks::Codes<Code>& codes) {
  const CodeOut<Code> out{codes};
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const Search<T> search(table, steps);
  const size_t at_once = Search<T>::kVectors * hn::Lanes(hn::ScalableTag<T>());
  for (; i + at_once <= values.size(); i += at_once) search.run(values.data(), i, out);
#endif
  for (; i < values.size(); ++i) out.store_one(rank_of(table, steps, values[i]), i);
}

#define EVERGROVE_RANKS(name, Number, Code)                                 \
  void name(const Number* table, int steps, std::span<const Number> values, \
            const Ranks::Codes<Code>& codes) {                              \
    find_ranks(table, steps, values, codes);                                \
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

Ranks::Ranks(std::span<const double> thresholds)
    : steps_(std::bit_width(thresholds.size())), doubles_(thresholds.begin(), thresholds.end()) {
  doubles_.resize((size_t{1} << steps_) - 1, std::numeric_limits<double>::infinity());
  for (const double threshold : doubles_) floats_.push_back(rounded_down(threshold));
}

template <typename Number, typename Code>
void Ranks::of(std::span<const Number> values, const Codes<Code>& codes) const {
  constexpr size_t kBytes = sizeof(Code);
  if constexpr (sizeof(Number) == 4) {
    const float* table = floats_.data();
    if constexpr (kBytes == 1) HWY_DYNAMIC_DISPATCH(floats_to_8)(table, steps_, values, codes);
    if constexpr (kBytes == 2) HWY_DYNAMIC_DISPATCH(floats_to_16)(table, steps_, values, codes);
    if constexpr (kBytes == 4) HWY_DYNAMIC_DISPATCH(floats_to_32)(table, steps_, values, codes);
  } else {
    const double* table = doubles_.data();
    if constexpr (kBytes == 1) HWY_DYNAMIC_DISPATCH(doubles_to_8)(table, steps_, values, codes);
    if constexpr (kBytes == 2) HWY_DYNAMIC_DISPATCH(doubles_to_16)(table, steps_, values, codes);
    if constexpr (kBytes == 4) HWY_DYNAMIC_DISPATCH(doubles_to_32)(table, steps_, values, codes);
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
