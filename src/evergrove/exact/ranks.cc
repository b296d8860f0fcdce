// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/exact/ranks.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "evergrove/base/check.h"
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
    HWY_ALIGN T coarse[HWY_MAX_BYTES / sizeof(T)];
    std::fill(coarse, coarse + lanes, std::numeric_limits<T>::infinity());
    const size_t count = (size_t{1} << coarse_steps_) - 1;
    for (size_t i = 0; i < count; ++i) coarse[i] = table[((i + 1) << fine_steps_) - 1];
    hn::Store(hn::Load(D(), coarse), D(), coarse_);
  }

  // Ranks of kVectors vectors of values, whose look-ups overlap.
  static constexpr size_t kVectors = 4;
  HWY_INLINE void run(const T* values, uint32_t* out) const {
    const D d;
    const DI di;
    const size_t lanes = hn::Lanes(d);
    const V coarse = hn::Load(d, coarse_);
    V value[kVectors];
    VI rank[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      value[v] = hn::LoadU(d, values + v * lanes);
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
      store(found, out + v * lanes);
    }
  }

 private:
  HWY_INLINE static void store(VI ranks, uint32_t* out) {
    if constexpr (sizeof(T) == 4) {
      hn::StoreU(ranks, DI(), reinterpret_cast<int32_t*>(out));
    } else {
      const hn::RebindToUnsigned<DI> du;
      const hn::Rebind<uint32_t, DI> d32;
      hn::StoreU(hn::TruncateTo(d32, hn::BitCast(du, ranks)), d32, out);
    }
  }

  const T* table_;
  int coarse_steps_, fine_steps_;
  HWY_ALIGN T coarse_[HWY_MAX_BYTES / sizeof(T)];
};

#endif  // HWY_SCALAR

template <typename T>
HWY_INLINE void find_ranks(const T* table, int steps, std::span<const T> values, uint32_t* out) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const Search<T> search(table, steps);
  const size_t at_once = Search<T>::kVectors * hn::Lanes(hn::ScalableTag<T>());
  for (; i + at_once <= values.size(); i += at_once) search.run(&values[i], out + i);
#endif
  for (; i < values.size(); ++i) out[i] = rank_of(table, steps, values[i]);
}

void ranks_of_floats(const float* table, int steps, std::span<const float> values, uint32_t* out) {
  find_ranks(table, steps, values, out);
}
void ranks_of_doubles(const double* table, int steps, std::span<const double> values,
                      uint32_t* out) {
  find_ranks(table, steps, values, out);
}

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

HWY_EXPORT(ranks_of_floats);
HWY_EXPORT(ranks_of_doubles);

Ranks::Ranks(std::span<const double> thresholds)
    : steps_(std::bit_width(thresholds.size())), doubles_(thresholds.begin(), thresholds.end()) {
  doubles_.resize((size_t{1} << steps_) - 1, std::numeric_limits<double>::infinity());
  for (const double threshold : doubles_) floats_.push_back(rounded_down(threshold));
}

void Ranks::of(std::span<const float> values, std::span<uint32_t> out) const {
  CHECK(values.size() == out.size());
  HWY_DYNAMIC_DISPATCH(ranks_of_floats)(floats_.data(), steps_, values, out.data());
}

void Ranks::of(std::span<const double> values, std::span<uint32_t> out) const {
  CHECK(values.size() == out.size());
  HWY_DYNAMIC_DISPATCH(ranks_of_doubles)(doubles_.data(), steps_, values, out.data());
}

}  // namespace evergrove::exact
#endif
