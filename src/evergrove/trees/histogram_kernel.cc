// A vector of bins at a time, and what is left over one by one with the same code.
// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/trees/histogram_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "evergrove/trees/histogram_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::trees {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
using Counts = hn::Rebind<uint32_t, D>;

template <class Work>
HWY_INLINE void for_each_vector(size_t size, const Work& work) {
  const hn::ScalableTag<int64_t> d;
  const hn::CappedTag<int64_t, 1> one;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d)) work(d, i);
  for (; i < size; ++i) work(one, i);
}

// What a vector of bins has, where it is packed.
template <class D>
HWY_INLINE hn::Vec<D> words_at(D d, const uint64_t* words, size_t i) {
  return hn::LoadU(d, reinterpret_cast<const int64_t*>(words) + i);
}
template <class D, class V>
HWY_INLINE V g_of(D /*d*/, V words) {
  return hn::ShiftRight<38>(words);
}
template <class D, class V>
HWY_INLINE V h_of(D d, V words) {
  return hn::And(hn::ShiftRight<13>(words), hn::Set(d, 0x1ffffff));
}
template <class D, class V>
HWY_INLINE hn::Vec<Counts<D>> count_of(D d, V words) {
  const hn::RebindToUnsigned<D> du;
  return hn::TruncateTo(Counts<D>(), hn::BitCast(du, hn::And(words, hn::Set(d, 0x1fff))));
}

template <class D, class V>
HWY_INLINE void store_wide(D d, V g, V h, hn::Vec<Counts<D>> count, const BinSums& to, size_t i) {
  hn::StoreU(g, d, to.g + i);
  hn::StoreU(h, d, to.h + i);
  hn::StoreU(count, Counts<D>(), to.count + i);
}

// Sets bins to packed words, or adds these, in the form that the bins have.
template <class D, class V>
HWY_INLINE void set_at(D d, V words, const BinSums& to, size_t i) {
  if (to.words != nullptr) {
    hn::StoreU(words, d, reinterpret_cast<int64_t*>(to.words) + i);
  } else {
    store_wide(d, g_of(d, words), h_of(d, words), count_of(d, words), to, i);
  }
}
template <class D, class V>
HWY_INLINE void add_at(D d, V words, const BinSums& to, size_t i) {
  if (to.words != nullptr) {
    set_at(d, hn::Add(words_at(d, to.words, i), words), to, i);
  } else {
    store_wide(d, hn::Add(hn::LoadU(d, to.g + i), g_of(d, words)),
               hn::Add(hn::LoadU(d, to.h + i), h_of(d, words)),
               hn::Add(hn::LoadU(Counts<D>(), to.count + i), count_of(d, words)), to, i);
  }
}

struct Add {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Add(a, b);
  }
};
struct Subtract {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Sub(a, b);
  }
};

// Ranges are copied first, from here on: behind a reference the compiler would read where they are
// again after every store. (Given by value they are written to the stack, and a processor that
// reads two words at once which were written one by one waits until all stores before are done.)

// Sets each sum of `to` to what `combine` makes of it and that of `from`.
template <class Combine>
HWY_INLINE void combine_all(const BinRange from, const BinSums to, const Combine& combine) {
  if (to.words != nullptr) {
    for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
      const auto words = combine(words_at(d, to.words, i), words_at(d, from.words, i));
      hn::StoreU(words, d, reinterpret_cast<int64_t*>(to.words) + i);
    });
  } else if (from.words != nullptr) {
    for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
      const Counts<decltype(d)> dn;
      const auto words = words_at(d, from.words, i);
      store_wide(d, combine(hn::LoadU(d, to.g + i), g_of(d, words)),
                 combine(hn::LoadU(d, to.h + i), h_of(d, words)),
                 combine(hn::LoadU(dn, to.count + i), count_of(d, words)), to, i);
    });
  } else {
    for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
      const Counts<decltype(d)> dn;
      store_wide(d, combine(hn::LoadU(d, to.g + i), hn::LoadU(d, from.g + i)),
                 combine(hn::LoadU(d, to.h + i), hn::LoadU(d, from.h + i)),
                 combine(hn::LoadU(dn, to.count + i), hn::LoadU(dn, from.count + i)), to, i);
    });
  }
}

void add_all(const BinRange& from, const BinSums& to) { combine_all(from, to, Add()); }
void subtract_all(const BinRange& part, const BinSums& whole) {
  combine_all(part, whole, Subtract());
}

// The fields of a word are far enough apart that words are what is added to and taken from.
void subtract_packed_all(const BinRange& from, const BinRange& taken_from, uint64_t* to) {
  const BinRange whole = from, part = taken_from;
  const auto packed = [](auto d, BinRange wide, size_t i) HWY_ATTR {
    const hn::RebindToUnsigned<decltype(d)> du;
    const auto count = hn::PromoteTo(du, hn::LoadU(Counts<decltype(d)>(), wide.count + i));
    const auto g = hn::ShiftLeft<38>(hn::LoadU(d, wide.g + i));
    const auto h = hn::ShiftLeft<13>(hn::LoadU(d, wide.h + i));
    return hn::Add(hn::Add(g, h), hn::BitCast(d, count));
  };
  for_each_vector(whole.size, [&](auto d, size_t i) HWY_ATTR {
    const auto taken = part.words != nullptr ? words_at(d, part.words, i) : packed(d, part, i);
    hn::StoreU(hn::Sub(packed(d, whole, i), taken), d, reinterpret_cast<int64_t*>(to) + i);
  });
}

void add_pairs_all(const uint64_t* pairs, const BinSums& sums) {
  const BinSums to = sums;
  for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
    const Counts<decltype(d)> dn;
    const hn::RebindToUnsigned<decltype(d)> du;
    hn::Vec<decltype(d)> g, h_count;
    hn::LoadInterleaved2(d, reinterpret_cast<const int64_t*>(pairs) + 2 * i, g, h_count);
    const auto counts = hn::And(hn::BitCast(du, h_count), hn::Set(du, 0xfffff));
    const auto h = hn::BitCast(d, hn::ShiftRight<20>(hn::BitCast(du, h_count)));
    store_wide(d, hn::Add(hn::LoadU(d, to.g + i), g), hn::Add(hn::LoadU(d, to.h + i), h),
               hn::Add(hn::LoadU(dn, to.count + i), hn::TruncateTo(dn, counts)), to, i);
  });
}

template <class D>
HWY_INLINE hn::Vec<D> load_bytes(D d, const char* from) {
#if HWY_TARGET == HWY_SCALAR
  int64_t word;
  std::memcpy(&word, from, sizeof(word));
  return hn::Set(d, word);
#else
  const hn::Repartition<uint8_t, D> bytes;
  return hn::BitCast(d, hn::LoadU(bytes, reinterpret_cast<const uint8_t*>(from)));
#endif
}

void add_packed_bytes_all(const char* words, const BinSums& sums) {
  const BinSums to = sums;
  for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
    add_at(d, load_bytes(d, words + i * sizeof(uint64_t)), to, i);
  });
}

template <class D>
HWY_INLINE void clear_at(D d, uint64_t* words, size_t i) {
  hn::StoreU(hn::Zero(d), d, reinterpret_cast<int64_t*>(words) + i);
}

void move_all(uint64_t* words, const BinSums& sums, bool is_unset) {
  const BinSums to = sums;
  if (is_unset) {
    for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
      set_at(d, words_at(d, words, i), to, i);
      clear_at(d, words, i);
    });
  } else {
    for_each_vector(to.size, [&](auto d, size_t i) HWY_ATTR {
      add_at(d, words_at(d, words, i), to, i);
      clear_at(d, words, i);
    });
  }
}

Sums set_all(const uint64_t* words, const BinSums& bins) {
  const BinSums to = bins;
  const hn::ScalableTag<int64_t> d;
  auto g_all = hn::Zero(d), h_all = g_all, count_all = g_all;
  Sums sums;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= to.size; i += hn::Lanes(d)) {
    const auto here = words_at(d, words, i);
    const auto g = g_of(d, here), h = h_of(d, here);
    g_all = hn::Add(g_all, g);
    h_all = hn::Add(h_all, h);
    count_all = hn::Add(count_all, hn::And(here, hn::Set(d, 0x1fff)));
    set_at(d, here, to, i);
  }
  for (; i < to.size; ++i) {
    const Sums here = unpack(words[i]);
    sums = sums + here;
    if (to.words != nullptr) {
      to.words[i] = words[i];
    } else {
      to.g[i] = here.g;
      to.h[i] = here.h;
      to.count[i] = static_cast<uint32_t>(here.count);
    }
  }
  return sums + Sums{hn::GetLane(hn::SumOfLanes(d, g_all)), hn::GetLane(hn::SumOfLanes(d, h_all)),
                     hn::GetLane(hn::SumOfLanes(d, count_all))};
}

}  // namespace HWY_NAMESPACE
}  // namespace evergrove::trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::trees {

HWY_EXPORT(add_all);
HWY_EXPORT(subtract_all);
HWY_EXPORT(subtract_packed_all);
HWY_EXPORT(add_pairs_all);
HWY_EXPORT(add_packed_bytes_all);
HWY_EXPORT(set_all);
HWY_EXPORT(move_all);

void add_to(const BinRange& from, const BinSums& to) { HWY_DYNAMIC_DISPATCH(add_all)(from, to); }
void subtract_from(const BinRange& part, const BinSums& whole) {
  HWY_DYNAMIC_DISPATCH(subtract_all)(part, whole);
}
void subtract_packed(const BinRange& whole, const BinRange& part, uint64_t* to) {
  HWY_DYNAMIC_DISPATCH(subtract_packed_all)(whole, part, to);
}
void add_pairs(const uint64_t* pairs, const BinSums& to) {
  HWY_DYNAMIC_DISPATCH(add_pairs_all)(pairs, to);
}
void add_packed_bytes(const char* words, const BinSums& to) {
  HWY_DYNAMIC_DISPATCH(add_packed_bytes_all)(words, to);
}
Sums set_to(const uint64_t* words, const BinSums& to) {
  return HWY_DYNAMIC_DISPATCH(set_all)(words, to);
}

void move_to(uint64_t* words, const BinSums& to, bool is_unset) {
  HWY_DYNAMIC_DISPATCH(move_all)(words, to, is_unset);
}

}  // namespace evergrove::trees
#endif
