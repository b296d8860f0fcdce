// 64 bins at a time: lanes make the items, those of bins without rows are squeezed out, and what is
// left is written at strides of the item's bytes, each store eight bytes wide. Adding is the same
// the other way round.
// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/trees/histogram_items.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "evergrove/trees/histogram_items.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::trees {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Unsigned = hn::ScalableTag<uint64_t>;
using Signed = hn::ScalableTag<int64_t>;
using UnsignedVec = hn::Vec<Unsigned>;
constexpr size_t kChunk = 64;  // bins, and bits of a mask
constexpr size_t kLanesMax = HWY_MAX_BYTES / sizeof(uint64_t);

HWY_INLINE uint64_t or_of_lanes(Unsigned d, UnsignedVec lanes) {
  HWY_ALIGN uint64_t each[kLanesMax];
  hn::Store(lanes, d, each);
  uint64_t all = 0;
  for (size_t i = 0; i < hn::Lanes(d); ++i) all |= each[i];
  return all;
}

HWY_INLINE int width(uint64_t value) {
  return value == 0 ? 0 : 64 - static_cast<int>(hwy::Num0BitsAboveMS1Bit_Nonzero64(value));
}

HWY_INLINE uint64_t magnitude(int64_t value) {
  return static_cast<uint64_t>(value ^ (value >> 63));
}

ItemBits bits_of(const BinRange& bins) {
  const Unsigned d;
  const Signed s;
  const hn::Rebind<uint32_t, Unsigned> half;
  const size_t lanes = hn::Lanes(d);
  auto g_all = hn::Zero(d), h_all = hn::Zero(d), count_all = hn::Zero(d);
  uint64_t g = 0, h = 0, count = 0;
  size_t i = 0;
  if (bins.words != nullptr) {
    for (; i + lanes <= bins.size; i += lanes) {
      const auto word = hn::LoadU(d, bins.words + i);
      const auto sign = hn::BitCast(d, hn::BroadcastSignBit(hn::BitCast(s, word)));
      g_all = hn::Or(g_all, hn::Xor(word, sign));
      h_all = hn::Or(h_all, word);
    }
    g = or_of_lanes(d, g_all), h = or_of_lanes(d, h_all);
    for (; i < bins.size; ++i) {
      g |= magnitude(static_cast<int64_t>(bins.words[i]));
      h |= bins.words[i];
    }
    return {width(g >> 38) + 1, width((h >> 13) & 0x1ffffff), width(h & 0x1fff)};
  }
  for (; i + lanes <= bins.size; i += lanes) {
    const auto sums = hn::LoadU(s, bins.g + i);
    g_all = hn::Or(g_all, hn::BitCast(d, hn::Xor(sums, hn::BroadcastSignBit(sums))));
    h_all = hn::Or(h_all, hn::BitCast(d, hn::LoadU(s, bins.h + i)));
    count_all = hn::Or(count_all, hn::PromoteTo(d, hn::LoadU(half, bins.count + i)));
  }
  g = or_of_lanes(d, g_all), h = or_of_lanes(d, h_all), count = or_of_lanes(d, count_all);
  for (; i < bins.size; ++i) {
    g |= magnitude(bins.g[i]);
    h |= static_cast<uint64_t>(bins.h[i]);
    count |= bins.count[i];
  }
  return {width(g) + 1, width(h), width(count)};
}

// Squeezes the items of up to 64 bins from `first` on; returns their mask.
HWY_INLINE uint64_t squeeze(const BinRange& bins, size_t first, size_t size, const ItemBits& bits,
                            uint64_t* items, size_t& item_count) {
  const Unsigned d;
  const Signed s;
  const hn::Rebind<uint32_t, Unsigned> half;
  const size_t lanes = hn::Lanes(d);
  uint64_t mask = 0;
  item_count = 0;
  size_t i = 0;
  const auto keep = [&](UnsignedVec item, auto has) {
    uint8_t byte[8] = {};
    hn::StoreMaskBits(d, has, byte);
    mask |= uint64_t{byte[0]} << i;
    item_count += hn::CompressStore(item, has, d, items + item_count);
  };
  for (; i + lanes <= size; i += lanes) {
    const size_t bin = first + i;
    if (bins.words != nullptr) {
      const auto word = hn::LoadU(d, bins.words + bin);
      const auto g = hn::BitCast(d, hn::ShiftRight<38>(hn::BitCast(s, word)));
      const auto h = hn::And(hn::ShiftRight<13>(word), hn::Set(d, uint64_t{0x1ffffff}));
      const auto count = hn::And(word, hn::Set(d, uint64_t{0x1fff}));
      const auto low = hn::Or(hn::ShiftLeftSame(h, bits.count), count);
      keep(hn::Or(hn::ShiftLeftSame(g, bits.h + bits.count), low), hn::Ne(word, hn::Zero(d)));
    } else {
      const auto g = hn::BitCast(d, hn::LoadU(s, bins.g + bin));
      const auto h = hn::BitCast(d, hn::LoadU(s, bins.h + bin));
      const auto count = hn::PromoteTo(d, hn::LoadU(half, bins.count + bin));
      const auto low = hn::Or(hn::ShiftLeftSame(h, bits.count), count);
      keep(hn::Or(hn::ShiftLeftSame(g, bits.h + bits.count), low), hn::Ne(count, hn::Zero(d)));
    }
  }
  for (; i < size; ++i) {
    const size_t bin = first + i;
    uint64_t g, h, count;
    if (bins.words != nullptr) {
      const uint64_t word = bins.words[bin];
      if (word == 0) continue;
      g = static_cast<uint64_t>(static_cast<int64_t>(word) >> 38);
      h = (word >> 13) & 0x1ffffff;
      count = word & 0x1fff;
    } else {
      count = bins.count[bin];
      if (count == 0) continue;
      g = static_cast<uint64_t>(bins.g[bin]);
      h = static_cast<uint64_t>(bins.h[bin]);
    }
    mask |= uint64_t{1} << i;
    items[item_count++] = (g << (bits.h + bits.count)) | (h << bits.count) | count;
  }
  return mask;
}

char* write_all(const BinRange& bins, const ItemBits& bits, char* mask, char* items) {
  uint64_t squeezed[kChunk + kLanesMax];
  const size_t item_bytes = bits.bytes();
  for (size_t first = 0; first < bins.size; first += kChunk) {
    const size_t size = HWY_MIN(kChunk, bins.size - first);
    size_t item_count;
    const uint64_t has = squeeze(bins, first, size, bits, squeezed, item_count);
    std::memcpy(mask + first / 8, &has, (size + 7) / 8);
    for (size_t i = 0; i < item_count; ++i, items += item_bytes) {
      std::memcpy(items, squeezed + i, sizeof(uint64_t));
    }
  }
  return items;
}

// Puts each item, with whatever is above its bytes, where its bin is among the 64; others have 0.
HWY_INLINE void spread(uint64_t has, const char* items, const char* end, size_t item_bytes,
                       uint64_t* words) {
  std::memset(words, 0, kChunk * sizeof(uint64_t));
  const size_t size = hwy::PopCount(has) * item_bytes;
  const bool may_read_on = static_cast<size_t>(end - items) >= size + sizeof(uint64_t);
  for (; has != 0; has &= has - 1, items += item_bytes) {
    uint64_t* const word = words + hwy::Num0BitsBelowLS1Bit_Nonzero64(has);
    if (may_read_on) {
      std::memcpy(word, items, sizeof(uint64_t));
    } else {
      std::memcpy(word, items, item_bytes);
    }
  }
}

// Adds items, one a lane, to the bins from `bin` on; a lane without rows has 0.
template <class D>
HWY_INLINE void add_lanes(D d, hn::Vec<D> item, size_t item_bytes, int h_bits, int count_bits,
                          const BinSums& to, size_t bin) {
  const hn::RebindToSigned<D> s;
  const hn::Rebind<uint32_t, D> half;
  const int unused = static_cast<int>(64 - 8 * item_bytes);
  const auto whole = hn::BitCast(s, hn::ShiftLeftSame(item, unused));
  const auto g = hn::ShiftRightSame(whole, unused + h_bits + count_bits);
  const auto h =
      hn::And(hn::ShiftRightSame(item, count_bits), hn::Set(d, (uint64_t{1} << h_bits) - 1));
  const auto count = hn::And(item, hn::Set(d, (uint64_t{1} << count_bits) - 1));
  if (to.words != nullptr) {
    const auto low = hn::Add(hn::ShiftLeft<13>(h), count);
    const auto word = hn::Add(hn::ShiftLeft<38>(hn::BitCast(d, g)), low);
    hn::StoreU(hn::Add(hn::LoadU(d, to.words + bin), word), d, to.words + bin);
  } else {
    hn::StoreU(hn::Add(hn::LoadU(s, to.g + bin), g), s, to.g + bin);
    hn::StoreU(hn::Add(hn::LoadU(s, to.h + bin), hn::BitCast(s, h)), s, to.h + bin);
    const auto counts = hn::Add(hn::LoadU(half, to.count + bin), hn::TruncateTo(half, count));
    hn::StoreU(counts, half, to.count + bin);
  }
}

void add_all(const char* mask, const char* items, const char* end, size_t item_bytes, int h_bits,
             int count_bits, const BinSums& to) {
  const Unsigned d;
  const hn::CappedTag<uint64_t, 1> one;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN uint64_t words[kChunk];
  for (size_t first = 0; first < to.size; first += kChunk) {
    const size_t size = HWY_MIN(kChunk, to.size - first);
    uint64_t has = 0;
    std::memcpy(&has, mask + first / 8, (size + 7) / 8);
    spread(has, items, end, item_bytes, words);
    items += hwy::PopCount(has) * item_bytes;
    size_t i = 0;
    for (; i + lanes <= size; i += lanes) {
      add_lanes(d, hn::LoadU(d, words + i), item_bytes, h_bits, count_bits, to, first + i);
    }
    for (; i < size; ++i) {
      add_lanes(one, hn::LoadU(one, words + i), item_bytes, h_bits, count_bits, to, first + i);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace evergrove::trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::trees {

HWY_EXPORT(bits_of);
HWY_EXPORT(write_all);
HWY_EXPORT(add_all);

ItemBits item_bits(const BinRange& bins) { return HWY_DYNAMIC_DISPATCH(bits_of)(bins); }

char* write_items(const BinRange& bins, const ItemBits& bits, char* mask, char* items) {
  return HWY_DYNAMIC_DISPATCH(write_all)(bins, bits, mask, items);
}

void add_items(const char* mask, const char* items, const char* end, size_t item_bytes, int h_bits,
               int count_bits, const BinSums& to) {
  HWY_DYNAMIC_DISPATCH(add_all)(mask, items, end, item_bytes, h_bits, count_bits, to);
}

}  // namespace evergrove::trees
#endif
