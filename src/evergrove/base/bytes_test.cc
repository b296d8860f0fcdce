// Bytes: what is written is read, and nothing beyond the end.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace evergrove {
namespace {

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

TEST(Varint, OfEveryLengthIsReadAsWritten) {
  for (int bits = 0; bits < 64; ++bits) {
    const uint64_t power = uint64_t{1} << bits;
    for (uint64_t value : {power - 1, power, power + 1, kMost >> bits}) {
      const std::string bytes = ByteWriter().varint(value).take();
      const size_t length = value == 0 ? 1 : (std::bit_width(value) + 6) / 7;
      EXPECT_EQ(bytes.size(), length) << value;
      ByteReader in(bytes);
      EXPECT_EQ(in.varint(), value);
      EXPECT_TRUE(in.at_end()) << value;
    }
  }
}

TEST(Varint, CutOffAnywhereFails) {
  const std::string bytes = ByteWriter().varint(kMost).take();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader in(std::string_view(bytes).substr(0, size));
    EXPECT_EQ(in.varint(), 0u);
    EXPECT_FALSE(in.ok()) << size;
  }
}

TEST(Varint, LongerThanItHasToBeFails) {
  const std::string most = ByteWriter().varint(kMost).take();
  std::string beyond = most;
  beyond.back() = 2;  // bit 64
  std::string eleven = most;
  eleven.back() = '\x81';
  eleven += '\0';
  for (const std::string& bytes :
       {std::string("\x80\0", 2), std::string("\xff\x80\0", 3), beyond, eleven}) {
    ByteReader in(bytes);
    EXPECT_EQ(in.varint(), 0u);
    EXPECT_FALSE(in.ok()) << bytes.size();
  }
}

}  // namespace
}  // namespace evergrove
