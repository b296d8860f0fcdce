// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/number_text.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <charconv>
#include <limits>

namespace evergrove {
namespace {

TEST(NumberText, NamesAnIntegerAlikeInEveryType) {
  EXPECT_EQ(number_text(int64_t{100000}), "100000");
  EXPECT_EQ(number_text(uint64_t{100000}), "100000");
  EXPECT_EQ(number_text(100000.0f), "100000");
  EXPECT_EQ(number_text(100000.0), "100000");
  EXPECT_EQ(number_text(-0.0), "0");
}

TEST(NumberText, GivesTheShortestTextOfTheNumbersOwnWidth) {
  EXPECT_EQ(number_text(0.1f), "0.1");
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(double{0.1f}), "0.10000000149011612");
  EXPECT_EQ(number_text(1e300), "1e+300");
}

TEST(NumberText, KeepsLargeIntegersApart) {
  EXPECT_EQ(number_text(std::numeric_limits<int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(number_text(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
}

RC_GTEST_PROP(NumberText, ReadsBackAsTheSameNumber, (double number)) {
  const std::string text = number_text(number);
  double back = 0;
  std::from_chars(text.data(), text.data() + text.size(), back);
  RC_ASSERT(back == number);
}

}  // namespace
}  // namespace evergrove
