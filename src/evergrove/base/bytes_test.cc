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

TEST(SharedString, IsAPartOfWhatHasAnOwner) {
  ByteWriter out;
  out.u32(7).string("first").string("").string("last");
  Bytes all = Bytes::of(out.take());
  ByteReader in(all);
  EXPECT_EQ(in.u32(), 7u);
  const Bytes first = in.shared_string(), none = in.shared_string(), last = in.shared_string();
  EXPECT_TRUE(in.at_end());
  EXPECT_EQ(first.view.data(), all.view.data() + 8);
  EXPECT_EQ(all.owner.use_count(), 4);
  all = {};
  EXPECT_EQ(first.view, "first");
  EXPECT_EQ(none.view, "");
  EXPECT_EQ(last.view, "last");
}

TEST(SharedString, IsACopyOfWhatHasNone) {
  std::string bytes = ByteWriter().string("text").take();
  const Bytes unowned{bytes, nullptr};
  ByteReader in(unowned);
  ByteReader of_view(bytes);
  const Bytes copy = in.shared_string(), other = of_view.shared_string();
  bytes.assign(bytes.size(), 'x');
  EXPECT_EQ(copy.view, "text");
  EXPECT_EQ(other, copy);
}

TEST(SharedString, CutOffAnywhereFails) {
  const Bytes all = Bytes::of(ByteWriter().string("text").take());
  for (size_t size = 0; size < all.view.size(); ++size) {
    const Bytes part = all.first(size);
    ByteReader in(part);
    EXPECT_EQ(in.shared_string().view, "");
    EXPECT_FALSE(in.ok()) << size;
  }
}

}  // namespace
}  // namespace evergrove
