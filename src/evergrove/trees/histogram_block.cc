// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_block.h"

#include <bit>
#include <cstring>

#include "evergrove/base/check.h"

namespace evergrove::trees {
namespace {

constexpr uint8_t kPacked = 1;
constexpr uint8_t kWide = 2;
constexpr size_t kWideBytes = 20;  // g, h, count

uint64_t read_u64(const char* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}
static_assert(std::endian::native == std::endian::little);

Status broken() {
  return corrupt("A block of a histogram is not what it should be; it was damaged on its way");
}

}  // namespace

Histogram wide_histogram(size_t bin_count) {
  Histogram histogram;
  histogram.g.assign(bin_count, 0);
  histogram.h.assign(bin_count, 0);
  histogram.count.assign(bin_count, 0);
  return histogram;
}

void add(const Histogram& from, Histogram& to) {
  CHECK((from.packed ? from.words.size() : from.g.size()) == to.g.size());
  add_range(from, 0, to);
}

Histogram minus(const Histogram& whole, const Histogram& part) {
  CHECK(!whole.packed && !part.packed && whole.g.size() == part.g.size());
  Histogram rest = whole;
  for (size_t bin = 0; bin < rest.g.size(); ++bin) {
    rest.g[bin] -= part.g[bin];
    rest.h[bin] -= part.h[bin];
    rest.count[bin] -= part.count[bin];
  }
  return rest;
}

void add_range(const Histogram& from, size_t bin_begin, Histogram& to) {
  CHECK(!to.packed);
  const size_t bin_count = to.g.size();
  CHECK((from.packed ? from.words.size() : from.g.size()) >= bin_begin + bin_count);
  for (size_t bin = 0; bin < bin_count; ++bin) {
    const Sums sums = from.at(bin_begin + bin);
    to.g[bin] += sums.g;
    to.h[bin] += sums.h;
    to.count[bin] += static_cast<uint32_t>(sums.count);
  }
}

std::string encode_block(const Histogram& histogram, size_t bin_begin, size_t bin_end) {
  const size_t bin_count = bin_end - bin_begin;
  const size_t item_bytes = histogram.packed ? sizeof(uint64_t) : kWideBytes;
  std::string bytes(1 + (bin_count + 7) / 8 + bin_count * item_bytes, 0);
  bytes[0] = static_cast<char>(histogram.packed ? kPacked : kWide);
  char* bits = bytes.data() + 1;
  char* item = bits + (bin_count + 7) / 8;
  for (size_t i = 0; i < bin_count; ++i) {
    const size_t bin = bin_begin + i;
    const bool present = histogram.packed ? histogram.words[bin] != 0 : histogram.count[bin] != 0;
    if (!present) continue;
    bits[i / 8] = static_cast<char>(bits[i / 8] | (1 << (i % 8)));
    if (histogram.packed) {
      std::memcpy(item, &histogram.words[bin], sizeof(uint64_t));
    } else {
      std::memcpy(item, &histogram.g[bin], sizeof(int64_t));
      std::memcpy(item + 8, &histogram.h[bin], sizeof(int64_t));
      std::memcpy(item + 16, &histogram.count[bin], sizeof(uint32_t));
    }
    item += item_bytes;
  }
  bytes.resize(static_cast<size_t>(item - bytes.data()));
  return bytes;
}

Status add_block(std::string_view bytes, Histogram& to) {
  CHECK(!to.packed);
  const size_t bin_count = to.g.size();
  const size_t bit_bytes = (bin_count + 7) / 8;
  if (bytes.size() < 1 + bit_bytes) return broken();
  const auto form = static_cast<uint8_t>(bytes[0]);
  if (form != kPacked && form != kWide) return broken();
  const auto* bits = reinterpret_cast<const uint8_t*>(bytes.data() + 1);
  size_t present = 0;
  for (size_t i = 0; i < bit_bytes; ++i) present += static_cast<size_t>(std::popcount(bits[i]));
  if (bin_count % 8 != 0 && bits[bit_bytes - 1] >> (bin_count % 8) != 0) return broken();
  const size_t item_bytes = form == kPacked ? sizeof(uint64_t) : kWideBytes;
  if (bytes.size() != 1 + bit_bytes + present * item_bytes) return broken();
  const char* item = bytes.data() + 1 + bit_bytes;
  for (size_t i = 0; i < bit_bytes; ++i) {
    for (uint8_t rest = bits[i]; rest != 0; rest &= static_cast<uint8_t>(rest - 1)) {
      const size_t bin = 8 * i + static_cast<size_t>(std::countr_zero(rest));
      Sums sums;
      if (form == kPacked) {
        sums = unpack(read_u64(item));
      } else {
        uint32_t count;
        std::memcpy(&count, item + 16, sizeof(count));
        sums = {static_cast<int64_t>(read_u64(item)), static_cast<int64_t>(read_u64(item + 8)),
                int64_t{count}};
      }
      // As unsigned numbers: hostile sums may wrap, and must not be undefined.
      to.g[bin] = static_cast<int64_t>(uint64_t(to.g[bin]) + uint64_t(sums.g));
      to.h[bin] = static_cast<int64_t>(uint64_t(to.h[bin]) + uint64_t(sums.h));
      to.count[bin] += static_cast<uint32_t>(sums.count);
      item += item_bytes;
    }
  }
  return {};
}

}  // namespace evergrove::trees
