// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/byte_size.h"

#include <gtest/gtest.h>

namespace evergrove {
namespace {

TEST(ByteSize, ReadsWhatPeopleWrite) {
  const std::pair<const char*, uint64_t> sizes[] = {{"1", 1},
                                                    {"1000", 1000},
                                                    {"500M", 500'000'000},
                                                    {"500mb", 500'000'000},
                                                    {"4GiB", 4ull << 30},
                                                    {"4gi", 4ull << 30},
                                                    {"1.5 GB", 1'500'000'000},
                                                    {"2TiB", 2ull << 40},
                                                    {"16KB", 16'000},
                                                    {"0.5Ki", 512},
                                                    {"7B", 7},
                                                    {"3T", 3'000'000'000'000}};
  for (const auto& [text, bytes] : sizes) {
    const auto parsed = parse_byte_size("--memory", text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(ByteSize, RefusesWhatIsNoSize) {
  for (const char* text : {"", "0", "-1", "-4GB", "GB", "4XB", "4 G B", "4GBs", "nan", "inf",
                           "1e99", "99999999T", "0.1B", "4,5GB", "0x10"}) {
    const auto parsed = parse_byte_size("--memory", text);
    EXPECT_EQ(parsed.status().kind(), StatusKind::invalid_input) << text;
    EXPECT_NE(parsed.status().message().find("--memory"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace evergrove
