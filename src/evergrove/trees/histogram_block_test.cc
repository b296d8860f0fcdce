// Blocks come back as they were, add up in any order, and no bytes do harm.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_block.h"

#include <gtest/gtest.h>

#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

Histogram random_histogram(size_t bins, bool packed, uint64_t seed) {
  const RandomKey key(seed, "histogram block");
  Histogram histogram = wide_histogram(bins);
  if (packed) {
    histogram = {};
    histogram.packed = true;
    histogram.words.assign(bins, 0);
  }
  for (size_t bin = 0; bin < bins; ++bin) {
    const uint64_t bits = key.at(bin);
    if (bits % 3 == 0) continue;
    for (uint64_t row = 0; row < 1 + bits % 5; ++row) {
      const NarrowGradient gradient{static_cast<int16_t>(int(key.at(1000 + bin) % 8191) - 4095),
                                    static_cast<uint16_t>(key.at(2000 + bin) % 4096)};
      if (packed) {
        histogram.words[bin] += pack(gradient);
      } else {
        histogram.g[bin] += int64_t{gradient.g} << 20;
        histogram.h[bin] += int64_t{gradient.h} << 20;
        histogram.count[bin] += 1;
      }
    }
  }
  return histogram;
}

bool equal(const Histogram& a, const Histogram& b, size_t b_begin) {
  for (size_t bin = 0; bin < a.g.size(); ++bin) {
    if (!(a.at(bin) == b.at(b_begin + bin))) return false;
  }
  return true;
}

TEST(HistogramBlock, ComesBackAsItWas) {
  for (const bool packed : {true, false}) {
    const Histogram whole = random_histogram(300, packed, 7);
    for (const auto& [begin, end] : {std::pair{0, 300}, {0, 1}, {13, 29}, {8, 16}, {299, 300}}) {
      const std::string bytes = encode_block(whole, begin, end);
      Histogram block = wide_histogram(end - begin);
      ASSERT_TRUE(add_block(bytes, block).ok());
      EXPECT_TRUE(equal(block, whole, begin)) << packed << " " << begin << " " << end;
      Histogram added = wide_histogram(end - begin);
      add_range(whole, begin, added);
      EXPECT_TRUE(equal(added, whole, begin));
    }
  }
}

TEST(HistogramBlock, AddsUpAndIsTakenAwayAgain) {
  const Histogram a = random_histogram(77, true, 1);
  const Histogram b = random_histogram(77, false, 2);
  Histogram by_adding = wide_histogram(77);
  add(a, by_adding);
  Histogram only_a = by_adding;
  add(b, by_adding);
  Histogram by_bytes = wide_histogram(77);
  for (const Histogram* from : {&b, &a}) {
    const std::string bytes = encode_block(*from, 0, 77);
    ASSERT_TRUE(add_block(bytes, by_bytes).ok());
  }
  EXPECT_TRUE(equal(by_bytes, by_adding, 0));
  EXPECT_TRUE(equal(minus(by_bytes, b), only_a, 0));
}

TEST(HistogramBlock, RefusesWhatItIsNotAndChangesNothing) {
  const std::string bytes = encode_block(random_histogram(30, true, 3), 0, 30);
  for (size_t size = 0; size < bytes.size(); ++size) {
    Histogram block = wide_histogram(30);
    EXPECT_FALSE(add_block(std::string_view(bytes).substr(0, size), block).ok()) << size;
    EXPECT_TRUE(equal(block, wide_histogram(30), 0));
  }
  Histogram block = wide_histogram(30);
  EXPECT_FALSE(add_block(bytes + "x", block).ok());
  Histogram of_another_size = wide_histogram(41);
  EXPECT_FALSE(add_block(bytes, of_another_size).ok());
  std::string altered = bytes;
  altered[0] = 3;
  EXPECT_FALSE(add_block(altered, block).ok());
  altered = bytes;
  altered[4] = static_cast<char>(altered[4] | 0x80);  // a bin beyond the last
  EXPECT_FALSE(add_block(altered, block).ok());
}

}  // namespace
}  // namespace evergrove::trees
