// exp, log and sigmoid against long double, and every SIMD target against the scalar function.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/exp_log.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "evergrove/base/hash.h"

namespace evergrove::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

uint64_t bits(double x) { return std::bit_cast<uint64_t>(x); }

// How far `value` is from `truth` in units of the last place of a double near it.
double ulps(double value, long double truth) {
  int exponent = 0;
  std::frexp(truth, &exponent);
  const int last_place = std::max(exponent - 53, -1074);
  return static_cast<double>(std::fabs(static_cast<long double>(value) - truth) /
                             std::ldexp(1.0L, last_place));
}

// Any bits at all, bits of numbers near 0, numbers over the range of exp, and the edges.
std::vector<double> inputs(size_t count) {
  std::vector<double> values = {0.0,
                                -0.0,
                                kInfinity,
                                -kInfinity,
                                kNaN,
                                -kNaN,
                                1.0,
                                -1.0,
                                709.78,
                                709.79,
                                710,
                                -708.4,
                                -745.13,
                                -745.14,
                                -746,
                                -744.4,
                                0x1p-1074,
                                -0x1p-1074,
                                0x1p-1022,
                                0x1.fffffffffffffp+1023,
                                std::bit_cast<double>(0x7ff0000000000001)};
  const RandomKey key(1, "exp inputs");
  for (size_t i = values.size(); i < count; ++i) {
    const uint64_t hash = key.at(i);
    const double unit = static_cast<double>(hash >> 11) * 0x1p-53;
    switch (hash % 4) {
      case 0:
        values.push_back(std::bit_cast<double>(hash));
        break;
      case 1:
        values.push_back((unit - 0.5) * 1500);
        break;
      case 2:
        values.push_back((unit - 0.5) * 40);
        break;
      default:
        values.push_back((unit - 0.5) * 2);
        break;
    }
  }
  return values;
}

TEST(Exp, IsWithinTwoUlpsOfLongDouble) {
  double worst = 0;
  for (double x : inputs(4'000'000)) {
    if (x != x) {
      EXPECT_EQ(bits(exp(x)), bits(kNaN));
      continue;
    }
    const long double truth = std::exp(static_cast<long double>(x));
    if (truth > 0x1.fffffffffffff8p1023L) {
      ASSERT_EQ(exp(x), kInfinity) << x;
      continue;
    }
    worst = std::max(worst, ulps(exp(x), truth));
  }
  EXPECT_LT(worst, 1.0);
}

TEST(Exp, KnowsItsEdges) {
  EXPECT_EQ(exp(0.0), 1.0);
  EXPECT_EQ(exp(-0.0), 1.0);
  EXPECT_EQ(exp(kInfinity), kInfinity);
  EXPECT_EQ(exp(-kInfinity), 0.0);
  EXPECT_EQ(exp(1e300), kInfinity);
  EXPECT_EQ(exp(-1e300), 0.0);
  EXPECT_LT(exp(709.78), kInfinity);
  EXPECT_EQ(exp(709.79), kInfinity);
  EXPECT_EQ(exp(-745.13), 0x1p-1074);
  EXPECT_EQ(exp(-745.14), 0.0);
}

TEST(Log, IsWithinTwoUlpsOfLongDouble) {
  double worst = 0;
  for (double x : inputs(4'000'000)) {
    if (!(x > 0) || x == kInfinity) continue;
    worst = std::max(worst, ulps(log(x), std::log(static_cast<long double>(x))));
    const double near_one = 1 + x * 1e-3;
    if (near_one < 2) {
      worst = std::max(worst, ulps(log(near_one), std::log(static_cast<long double>(near_one))));
    }
  }
  EXPECT_LT(worst, 1.0);
}

TEST(Log, KnowsItsEdges) {
  EXPECT_EQ(log(1.0), 0.0);
  EXPECT_EQ(log(0.0), -kInfinity);
  EXPECT_EQ(log(-0.0), -kInfinity);
  EXPECT_EQ(log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log(-1.0)));
  EXPECT_TRUE(std::isnan(log(kNaN)));
}

TEST(Sigmoid, IsWithinThreeUlpsOfLongDouble) {
  double worst = 0;
  for (double x : inputs(1'000'000)) {
    if (!(x > -708)) continue;  // below, exp(-x) overflows and the result is 0
    worst = std::max(worst, ulps(sigmoid(x), 1 / (1 + std::exp(-static_cast<long double>(x)))));
  }
  EXPECT_LT(worst, 3.0);
}

// Runs a test once with each SIMD target that was compiled and that the CPU has.
class EveryTarget : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    update();
  }
  void TearDown() override {
    hwy::SetSupportedTargetsForTest(0);
    update();
  }
  static void update() { hwy::GetChosenTarget().Update(hwy::SupportedTargets()); }
};

TEST_P(EveryTarget, GivesTheBitsOfTheScalarFunction) {
  const std::vector<double> in = inputs(3'000'000);
  std::vector<double> out(in.size());
  exp(in, out);
  for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(bits(out[i]), bits(exp(in[i]))) << in[i];
  sigmoid(in, out);
  for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(bits(out[i]), bits(sigmoid(in[i]))) << in[i];
  log(in, out);
  for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(bits(out[i]), bits(log(in[i]))) << in[i];
}

TEST_P(EveryTarget, TakesSpansOfAnyLengthInPlace) {
  for (size_t size = 0; size < 40; ++size) {
    std::vector<double> values = inputs(size + 30);
    values.erase(values.begin(), values.begin() + 21);
    values.resize(size);
    std::vector<double> out = values;
    exp(out, out);
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(bits(out[i]), bits(exp(values[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, EveryTarget, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& test) { return hwy::TargetName(test.param); });

}  // namespace
}  // namespace evergrove::exact
