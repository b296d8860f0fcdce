// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/large_vector.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>

namespace evergrove {
namespace {

TEST(LargeVector, HoldsWhatItIsGivenWhateverItsSize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100'000}, size_t{3'000'001}}) {
    LargeVector<uint64_t> values(size);
    std::iota(values.begin(), values.end(), uint64_t{0});
    const LargeVector<uint64_t> copy = values;
    values.clear();
    values.shrink_to_fit();
    ASSERT_EQ(copy.size(), size);
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(copy[i], i);
  }
}

TEST(LargeVector, BeginsAHugePageWhereItIsLarge) {
  const LargeVector<uint8_t> large(size_t{9} << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large.data()) % (size_t{2} << 20), 0);
}

TEST(LargeVector, BeginsACacheLineHoweverSmall) {
  for (size_t size = 1; size < 100; ++size) {
    const LargeVector<uint8_t> small(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(small.data()) % 64, 0) << size;
  }
}

TEST(LargeVector, RefusesMoreThanThereCanBe) {
  LargeVector<uint64_t> values;
  EXPECT_ANY_THROW(values.reserve(size_t{1} << 60));
}

}  // namespace
}  // namespace evergrove
