// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/margins.h"

#include <gtest/gtest.h>

namespace evergrove::train {
namespace {

std::vector<int64_t> values(std::span<const int64_t> margins) {
  return {margins.begin(), margins.end()};
}

// Three outputs of so many rows, each margin with a number of its own.
Margins numbered(size_t row_count) {
  Margins margins(std::vector<int64_t>{0, 100, 200}, row_count);
  for (size_t output = 0; output < 3; ++output) {
    for (size_t row = 0; row < row_count; ++row) {
      margins.of(output)[row] += static_cast<int64_t>(row);
    }
  }
  return margins;
}

TEST(Margins, StartAtTheBaseMargins) {
  const Margins margins(std::vector<int64_t>{7, -3}, 2);
  EXPECT_EQ(values(margins.all()), (std::vector<int64_t>{7, 7, -3, -3}));
  EXPECT_EQ(values(margins.of(1)), (std::vector<int64_t>{-3, -3}));
}

TEST(Margins, AreCutAndJoinedByRow) {
  const Margins whole = numbered(5);
  const Margins first = whole.slice(0, 2);
  const Margins none = whole.slice(2, 0);
  const Margins last = whole.slice(2, 3);
  EXPECT_EQ(values(last.all()), (std::vector<int64_t>{2, 3, 4, 102, 103, 104, 202, 203, 204}));
  EXPECT_EQ(none.row_count(), 0);
  const std::vector<const Margins*> parts = {&first, &none, &last};
  const Margins joined = Margins::join(parts);
  EXPECT_EQ(joined.row_count(), 5);
  EXPECT_EQ(values(joined.all()), values(whole.all()));
}

TEST(Margins, JoinOnlyThoseOfAsManyOutputs) {
  const Margins three = numbered(1);
  const Margins one(std::vector<int64_t>{0}, 1);
  const std::vector<const Margins*> parts = {&three, &one};
  EXPECT_DEATH(Margins::join(parts), "output_count_");
}

}  // namespace
}  // namespace evergrove::train
