// The bytes: the form; three widths; a bit a bin, set where rows are; an item for each bit that is
// set. Packed and joined: bits of h, bits of count, bytes an item, g in the upper bits of it as
// two's complement; packed sums are small enough for a packed histogram. Wide, where an item would
// not fit into 64 bits: bytes of g, of h and of count, which follow one another.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "evergrove/base/check.h"
#include "evergrove/trees/histogram_items.h"
#include "evergrove/trees/histogram_kernel.h"

namespace evergrove::trees {
namespace {

constexpr uint8_t kPacked = 1;
constexpr uint8_t kWide = 2;
constexpr uint8_t kJoined = 3;
constexpr size_t kHeadBytes = 4;
constexpr int kHBits = 25, kCountBits = 13;  // at most, packed

static_assert(std::endian::native == std::endian::little);

Status broken() {
  return corrupt("A block of a histogram is not what it should be; it was damaged on its way");
}

// Writes the lower bytes of a number; there is room for all eight.
void put(char*& to, uint64_t value, size_t bytes) {
  std::memcpy(to, &value, sizeof(value));
  to += bytes;
}

uint64_t get(const char*& from, const char* end, size_t bytes) {
  uint64_t value = 0;
  if (end - from >= 8) {
    std::memcpy(&value, from, sizeof(value));
    if (bytes < 8) value &= (uint64_t{1} << (8 * bytes)) - 1;
  } else {
    std::memcpy(&value, from, bytes);
  }
  from += bytes;
  return value;
}

int64_t extended(uint64_t value, int bits) {
  return static_cast<int64_t>(value << (64 - bits)) >> (64 - bits);
}

// The bits of the bins that have rows, from `has`.
template <typename Has>
void write_bits(char* bits, size_t bin_count, const Has& has) {
  for (size_t i = 0; i < bin_count; i += 8) {
    unsigned byte = 0;
    const size_t end = std::min<size_t>(8, bin_count - i);
    for (size_t k = 0; k < end; ++k) byte |= static_cast<unsigned>(has(i + k)) << k;
    bits[i / 8] = static_cast<char>(byte);
  }
}

// Where a block is written before it is known how long it is: a string would set all of it first.
char* room(size_t bytes_max) {
  thread_local std::unique_ptr<char[]> place;
  thread_local size_t size = 0;
  if (size < bytes_max) {
    place = std::make_unique_for_overwrite<char[]>(bytes_max);
    size = bytes_max;
  }
  return place.get();
}

size_t head_and_bits_bytes(size_t bin_count) { return kHeadBytes + (bin_count + 7) / 8; }

std::string encode_joined(const BinRange& bins, const ItemBits& widths) {
  const size_t before_items = head_and_bits_bytes(bins.size);
  char* const bytes = room(before_items + bins.size * widths.bytes() + 8);
  bytes[0] = static_cast<char>(bins.words != nullptr ? kPacked : kJoined);
  bytes[1] = static_cast<char>(widths.h);
  bytes[2] = static_cast<char>(widths.count);
  bytes[3] = static_cast<char>(widths.bytes());
  char* const end = write_items(bins, widths, bytes + kHeadBytes, bytes + before_items);
  return std::string(bytes, end);
}

size_t bytes_for(int bits) { return static_cast<size_t>(std::max(1, (bits + 7) / 8)); }

std::string encode_wide(const Histogram& histogram, size_t bin_begin, size_t bin_count,
                        const ItemBits& widths) {
  const size_t g_bytes = bytes_for(widths.g);
  const size_t h_bytes = bytes_for(widths.h);
  const size_t count_bytes = bytes_for(widths.count);
  const size_t item_bytes = g_bytes + h_bytes + count_bytes;
  const size_t before_items = head_and_bits_bytes(bin_count);
  char* const bytes = room(before_items + bin_count * item_bytes + 8);
  bytes[0] = static_cast<char>(kWide);
  bytes[1] = static_cast<char>(g_bytes);
  bytes[2] = static_cast<char>(h_bytes);
  bytes[3] = static_cast<char>(count_bytes);
  write_bits(bytes + kHeadBytes, bin_count,
             [&](size_t bin) { return histogram.count[bin_begin + bin] != 0; });
  char* to = bytes + before_items;
  for (size_t bin = bin_begin; bin < bin_begin + bin_count; ++bin) {
    if (histogram.count[bin] == 0) continue;
    put(to, static_cast<uint64_t>(histogram.g[bin]), g_bytes);
    put(to, static_cast<uint64_t>(histogram.h[bin]), h_bytes);
    put(to, histogram.count[bin], count_bytes);
  }
  return std::string(bytes, to);
}

// As unsigned numbers: hostile sums may wrap, and must not be undefined.
void add_to_bin(Histogram& to, size_t bin, const Sums& sums) {
  to.g[bin] = static_cast<int64_t>(uint64_t(to.g[bin]) + uint64_t(sums.g));
  to.h[bin] = static_cast<int64_t>(uint64_t(to.h[bin]) + uint64_t(sums.h));
  to.count[bin] += static_cast<uint32_t>(sums.count);
}

// What is before the items, checked against the size of all.
struct Layout {
  uint8_t form = 0;
  int widths[3] = {};
  const uint8_t* bits = nullptr;
  size_t bit_bytes = 0;
  const char* items = nullptr;
};

Status read_layout(std::string_view bytes, size_t bin_count, Layout& layout) {
  layout.bit_bytes = (bin_count + 7) / 8;
  if (bytes.size() < kHeadBytes + layout.bit_bytes) return broken();
  layout.form = static_cast<uint8_t>(bytes[0]);
  for (size_t i = 0; i < 3; ++i) layout.widths[i] = static_cast<uint8_t>(bytes[1 + i]);
  const auto [first, second, third] = layout.widths;
  size_t item_bytes = 0;
  if (layout.form == kPacked || layout.form == kJoined) {
    if (third < 1 || third > 8 || first + second >= 8 * third) return broken();
    const bool fits = first <= kHBits && second <= kCountBits;
    if (layout.form == kPacked && !fits) return broken();
    item_bytes = static_cast<size_t>(third);
  } else if (layout.form == kWide) {
    if (first < 1 || first > 8 || second < 1 || second > 8 || third < 1 || third > 4) {
      return broken();
    }
    item_bytes =
        static_cast<size_t>(first) + static_cast<size_t>(second) + static_cast<size_t>(third);
  } else {
    return broken();
  }
  layout.bits = reinterpret_cast<const uint8_t*>(bytes.data() + kHeadBytes);
  size_t present = 0;
  for (size_t i = 0; i < layout.bit_bytes; i += 8) {
    uint64_t bits = 0;
    std::memcpy(&bits, layout.bits + i, std::min<size_t>(8, layout.bit_bytes - i));
    present += static_cast<size_t>(std::popcount(bits));
  }
  if (bin_count % 8 != 0 && layout.bits[layout.bit_bytes - 1] >> (bin_count % 8) != 0) {
    return broken();
  }
  if (bytes.size() != kHeadBytes + layout.bit_bytes + present * item_bytes) return broken();
  layout.items = bytes.data() + kHeadBytes + layout.bit_bytes;
  return {};
}

template <typename Item>
void for_each_bin(const Layout& layout, const Item& item) {
  CHECK(layout.bits != nullptr);
  for (size_t i = 0; i < layout.bit_bytes; ++i) {
    for (uint8_t rest = layout.bits[i]; rest != 0; rest &= static_cast<uint8_t>(rest - 1)) {
      item(8 * i + static_cast<size_t>(std::countr_zero(rest)));
    }
  }
}

}  // namespace

Histogram wide_histogram(size_t bin_count) {
  Histogram histogram;
  histogram.g.assign(bin_count, 0);
  histogram.h.assign(bin_count, 0);
  histogram.count.assign(bin_count, 0);
  return histogram;
}

void add_range(const Histogram& from, size_t bin_begin, Histogram& to) {
  CHECK(from.bin_count() >= bin_begin + to.bin_count() && (from.packed || !to.packed));
  add_to(from.range(bin_begin, to.bin_count()), to.sums(0, to.bin_count()));
}

void set_range(const Histogram& from, size_t bin_begin, Histogram& to) {
  CHECK(from.bin_count() >= bin_begin + to.bin_count() && (from.packed || !to.packed));
  const BinRange range = from.range(bin_begin, to.bin_count());
  if (to.packed) {
    std::copy_n(range.words, range.size, to.words.begin());
  } else if (from.packed) {
    set_to(range.words, to.sums(0, to.bin_count()));
  } else {
    std::copy_n(range.g, range.size, to.g.begin());
    std::copy_n(range.h, range.size, to.h.begin());
    std::copy_n(range.count, range.size, to.count.begin());
  }
}

std::string encode_block(const Histogram& histogram, size_t bin_begin, size_t bin_end) {
  const BinRange bins = histogram.range(bin_begin, bin_end - bin_begin);
  const ItemBits widths = item_bits(bins);
  return widths.sum() <= 64 ? encode_joined(bins, widths)
                            : encode_wide(histogram, bin_begin, bins.size, widths);
}

std::string_view block_words(const Histogram& histogram) {
  CHECK(histogram.packed);
  return {reinterpret_cast<const char*>(histogram.words.data()),
          histogram.words.size() * sizeof(uint64_t)};
}

Status add_block_words(std::string_view bytes, Histogram& to, bool is_unset) {
  if (bytes.size() != to.bin_count() * sizeof(uint64_t)) return broken();
  if (is_unset && to.packed) {
    std::memcpy(to.words.data(), bytes.data(), bytes.size());
    return {};
  }
  if (is_unset) clear(to);
  add_packed_bytes(bytes.data(), to.sums(0, to.bin_count()));
  return {};
}

Status add_block(std::string_view bytes, Histogram& to) {
  Layout layout;
  EVERGROVE_RETURN_IF_ERROR(read_layout(bytes, to.bin_count(), layout));
  if (to.packed && layout.form != kPacked) return broken();
  const char* item = layout.items;
  const char* end = bytes.data() + bytes.size();
  const int first = layout.widths[0], second = layout.widths[1], third = layout.widths[2];
  if (layout.form != kWide) {
    add_items(reinterpret_cast<const char*>(layout.bits), item, end, static_cast<size_t>(third),
              first, second, to.sums(0, to.bin_count()));
    return {};
  }
  const auto g_bytes = static_cast<size_t>(first);
  const auto h_bytes = static_cast<size_t>(second);
  const auto count_bytes = static_cast<size_t>(third);
  for_each_bin(layout, [&](size_t bin) {
    Sums sums;
    sums.g = extended(get(item, end, g_bytes), first * 8);
    sums.h = static_cast<int64_t>(get(item, end, h_bytes));
    sums.count = static_cast<int64_t>(get(item, end, count_bytes));
    add_to_bin(to, bin, sums);
  });
  return {};
}

}  // namespace evergrove::trees
