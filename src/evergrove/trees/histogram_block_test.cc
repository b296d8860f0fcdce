// Blocks come back as they were, add up in any order, and no bytes do harm.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_block.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

Histogram packed_histogram(size_t bins) {
  Histogram histogram;
  histogram.packed = true;
  histogram.words.assign(bins, 0);
  return histogram;
}

Histogram random_histogram(size_t bins, bool packed, uint64_t seed) {
  const RandomKey key(seed, "histogram block");
  Histogram histogram = wide_histogram(bins);
  if (packed) {
    histogram = packed_histogram(bins);
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
  for (size_t bin = 0; bin < a.bin_count(); ++bin) {
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

// What encode_block is to write, one bit at a time.
std::string encode_slowly(const Histogram& histogram) {
  const auto bits_of = [](uint64_t value) {
    int bits = 0;
    for (; value != 0; value >>= 1) ++bits;
    return bits;
  };
  int g_bits = 1, h_bits = 0, count_bits = 0;
  for (size_t bin = 0; bin < histogram.bin_count(); ++bin) {
    const Sums sums = histogram.at(bin);
    g_bits = std::max(g_bits, 1 + bits_of(uint64_t(sums.g < 0 ? -(sums.g + 1) : sums.g)));
    h_bits = std::max(h_bits, bits_of(uint64_t(sums.h)));
    count_bits = std::max(count_bits, bits_of(uint64_t(sums.count)));
  }
  const int item_bytes = (g_bits + h_bits + count_bits + 7) / 8;
  std::string bytes = {char(histogram.packed ? 1 : 3), char(h_bits), char(count_bits),
                       char(item_bytes)};
  std::string items;
  for (size_t bin = 0; bin < histogram.bin_count(); ++bin) {
    if (bin % 8 == 0) bytes.push_back(0);
    const Sums sums = histogram.at(bin);
    if (sums.count == 0) continue;
    bytes.back() = static_cast<char>(bytes.back() | (1 << bin % 8));
    for (int bit = 0; bit < 8 * item_bytes; ++bit) {
      if (bit % 8 == 0) items.push_back(0);
      int64_t field = sums.count, shift = bit;
      if (bit >= count_bits) field = sums.h, shift = bit - count_bits;
      if (bit >= count_bits + h_bits) field = sums.g, shift = bit - count_bits - h_bits;
      if ((field >> std::min<int64_t>(shift, 63)) & 1) {
        items.back() = static_cast<char>(items.back() | (1 << bit % 8));
      }
    }
  }
  return bytes + items;
}

TEST(HistogramBlock, WritesWhatASlowWriterWrites) {
  for (const bool packed : {true, false}) {
    for (size_t bins = 1; bins < 200; bins += 1 + bins / 30) {
      Histogram histogram = random_histogram(bins, packed, 40 + bins);
      for (int64_t& g : histogram.g) g >>= 12;  // so that they fit into 64 bits
      for (int64_t& h : histogram.h) h >>= 12;
      EXPECT_TRUE(encode_block(histogram, 0, bins) == encode_slowly(histogram))
          << packed << " " << bins;
    }
  }
}

TEST(HistogramBlock, ChoosesTheFormByWhatFits) {
  Histogram wide = wide_histogram(2);
  wide.count = {3, 1};
  wide.h = {(int64_t{1} << 30) - 1, 0};
  wide.g = {-(int64_t{1} << 31), 5};  // 32 + 30 + 2 bits
  EXPECT_EQ(encode_block(wide, 0, 2)[0], 3);
  EXPECT_EQ(encode_block(wide, 0, 2), encode_slowly(wide));
  wide.g[0] *= 2;
  EXPECT_EQ(encode_block(wide, 0, 2)[0], 2);
  Histogram back = wide_histogram(2);
  ASSERT_TRUE(add_block(encode_block(wide, 0, 2), back).ok());
  EXPECT_TRUE(equal(back, wide, 0));
}

TEST(HistogramBlock, AddsUpInAnyForm) {
  const Histogram a = random_histogram(77, true, 1);
  const Histogram b = random_histogram(77, true, 2);
  const Histogram c = random_histogram(77, false, 3);
  Histogram packed = packed_histogram(77), wide = wide_histogram(77);
  for (Histogram* to : {&packed, &wide}) {
    Histogram by_bytes = *to;
    for (const Histogram* from : {&b, &a}) {
      add_range(*from, 0, *to);
      ASSERT_TRUE(add_block(encode_block(*from, 0, 77), by_bytes).ok());
    }
    EXPECT_TRUE(equal(by_bytes, *to, 0));
    for (size_t bin = 0; bin < 77; ++bin) EXPECT_EQ(to->at(bin), a.at(bin) + b.at(bin)) << bin;
  }
  Histogram by_bytes = wide;
  ASSERT_TRUE(add_block(encode_block(c, 0, 77), by_bytes).ok());
  for (size_t bin = 0; bin < 77; ++bin) EXPECT_EQ(by_bytes.at(bin), wide.at(bin) + c.at(bin));
  const Histogram before = packed;
  EXPECT_FALSE(add_block(encode_block(c, 0, 77), packed).ok()) << "wide sums have no room in it";
  EXPECT_TRUE(equal(packed, before, 0));
}

TEST(HistogramBlock, AddsWordsAsTheyAre) {
  const Histogram words = random_histogram(77, true, 3);
  // At any address.
  const std::string bytes = "x" + std::string(block_words(words));
  const std::string_view sent = std::string_view(bytes).substr(1);
  for (const bool packed : {true, false}) {
    for (const bool is_unset : {true, false}) {
      const Histogram before = random_histogram(77, packed, 4);
      Histogram to = before;
      ASSERT_TRUE(add_block_words(sent, to, is_unset).ok());
      for (size_t bin = 0; bin < 77; ++bin) {
        EXPECT_EQ(to.at(bin), is_unset ? words.at(bin) : words.at(bin) + before.at(bin));
      }
    }
  }
  Histogram to = random_histogram(77, true, 4);
  const Histogram before = to;
  for (const std::string_view wrong : {sent.substr(1), sent.substr(8), std::string_view()}) {
    EXPECT_EQ(add_block_words(wrong, to, false).kind(), StatusKind::corrupt);
  }
  EXPECT_TRUE(equal(to, before, 0));
}

TEST(HistogramBlock, HoldsTheLargestSumsThereAre) {
  Histogram packed = packed_histogram(3);
  for (size_t row = 0; row < kPackedRows; ++row) {
    packed.words[0] += pack({-kNarrowMax, kNarrowMax});
    packed.words[1] += pack({kNarrowMax, 0});
  }
  Histogram wide = wide_histogram(3);
  wide.g = {INT64_MIN, INT64_MAX, -1};
  wide.h = {INT64_MAX, 0, 1};
  wide.count = {UINT32_MAX, 1, 256};
  for (const Histogram* from : {&packed, &wide}) {
    Histogram block = wide_histogram(3);
    ASSERT_TRUE(add_block(encode_block(*from, 0, 3), block).ok());
    EXPECT_TRUE(equal(block, *from, 0));
  }
}

TEST(HistogramBlock, TakesFewBytesForFewRows) {
  Histogram few = packed_histogram(256);
  for (size_t bin = 0; bin < 256; ++bin) few.words[bin] = pack({-5, 9}) * (1 + bin % 2);
  EXPECT_LE(encode_block(few, 0, 256).size(), 4u + 32 + 256 * 2);
  EXPECT_LE(encode_block(packed_histogram(256), 0, 256).size(), 4u + 32);
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
  altered[0] = 4;
  EXPECT_FALSE(add_block(altered, block).ok());
  altered = bytes;
  altered[7] = static_cast<char>(altered[7] | 0x80);  // a bin beyond the last
  EXPECT_FALSE(add_block(altered, block).ok());
  for (size_t place : {1, 2, 3}) {  // widths that there are not
    for (int width : {0, 9, 26, 255}) {
      altered = bytes;
      if (uint8_t(bytes[place]) == width) continue;
      altered[place] = static_cast<char>(width);
      const bool is_right = add_block(altered, block).ok();
      EXPECT_TRUE(!is_right || (place == 1 && width <= 25) || (place == 2 && width <= 13));
    }
  }
}

}  // namespace
}  // namespace evergrove::trees
