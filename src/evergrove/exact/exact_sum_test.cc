// ExactSum against long integers: any terms, any order, any partition, and bytes from anyone.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/exact_sum.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "evergrove/base/hash.h"

namespace evergrove::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLeast = std::numeric_limits<double>::denorm_min();

uint64_t bits(double x) { return std::bit_cast<uint64_t>(x); }

// The slow twin: a number in two's complement, a bit an element, in units of 2^-kUnit. Terms are
// added bit by bit; rounding tries neighbours until none is nearer.
class BitNumber {
 public:
  static constexpr int kUnit = 2400;
  static constexpr size_t kSize = 5000;

  BitNumber() : bits_(kSize) {}
  explicit BitNumber(double x) : bits_(kSize) {
    int exponent = 0;
    const double fraction = std::frexp(std::fabs(x), &exponent);
    auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, 53));
    // Bits below the unit of the least double are 0.
    for (int i = exponent - 53 + kUnit; mantissa != 0; ++i, mantissa >>= 1) {
      bits_[static_cast<size_t>(i)] = mantissa & 1;
    }
    if (x < 0) negate();
  }

  void add(const BitNumber& other) {
    int carry = 0;
    for (size_t i = 0; i < kSize; ++i) {
      carry += bits_[i] + other.bits_[i];
      bits_[i] = carry & 1;
      carry >>= 1;
    }
  }
  void negate() {
    int carry = 1;
    for (uint8_t& bit : bits_) {
      carry += bit ^ 1;
      bit = carry & 1;
      carry >>= 1;
    }
  }
  bool negative() const { return bits_.back() != 0; }
  // Returns this times x, by shifting and adding.
  BitNumber times(double x) const {
    int exponent = 0;
    auto mantissa = static_cast<uint64_t>(std::ldexp(std::frexp(std::fabs(x), &exponent), 53));
    BitNumber product;
    for (int shift = exponent - 53; mantissa != 0; ++shift, mantissa >>= 1) {
      if ((mantissa & 1) != 0) product.add(shifted(shift));
    }
    if (x < 0) product.negate();
    return product;
  }
  // Nearest double, ties to even: the largest one not above, or the next.
  double nearest() const {
    if (negative()) {
      BitNumber positive = *this;
      positive.negate();
      return -positive.nearest();
    }
    uint64_t low = 0;
    uint64_t high = bits(kInfinity);  // doubles of one sign are in the order of their bits
    while (high - low > 1) {
      const uint64_t middle = low + (high - low) / 2;
      (minus(std::bit_cast<double>(middle)).negative() ? high : low) = middle;
    }
    const double below = std::bit_cast<double>(low);
    // Twice the distance from below, less the step to the next: the sign says which is nearer.
    BitNumber twice = minus(below);
    twice.add(twice);
    const double step = below == DBL_MAX ? 0x1p971 : std::bit_cast<double>(high) - below;
    const BitNumber side = twice.minus(step);
    const bool tie = std::count(side.bits_.begin(), side.bits_.end(), 1) == 0;
    if (side.negative() || (tie && low % 2 == 0)) return below;
    return std::bit_cast<double>(high);
  }

 private:
  BitNumber minus(double x) const {
    BitNumber result = *this;
    result.add(BitNumber(-x));
    return result;
  }
  // Requires: no bit that is set leaves the number below.
  BitNumber shifted(int by) const {
    BitNumber result;
    for (int i = 0; i < static_cast<int>(kSize); ++i) {
      const int from = i - by;
      if (from >= static_cast<int>(kSize)) continue;
      result.bits_[static_cast<size_t>(i)] = from < 0 ? 0 : bits_[static_cast<size_t>(from)];
    }
    if (by < 0) {  // the sign goes on
      std::fill(result.bits_.end() + by, result.bits_.end(), bits_.back());
    }
    return result;
  }

  std::vector<uint8_t> bits_;
};

// Doubles of all kinds: any bits, near each other, near the least and the largest, small integers.
double arbitrary_double() {
  const auto any = *rc::gen::arbitrary<uint64_t>();
  const double unit = (static_cast<double>(any >> 11) * 0x1p-53 - 0.5) * 2;
  switch (*rc::gen::inRange(0, 6)) {
    case 0: {
      const double x = std::bit_cast<double>(any);
      return std::isfinite(x) ? x : 1;
    }
    case 1:
      return unit * 0x1p-1040;
    case 2:
      return unit * DBL_MAX;
    case 3:
      return static_cast<double>(static_cast<int64_t>(any % 7) - 3);
    case 4:
      return std::ldexp(any % 2 == 0 ? 1 : -1, static_cast<int>(any >> 1 & 127) - 64);
    default:
      return unit;
  }
}
std::vector<double> arbitrary_doubles(size_t most) {
  std::vector<double> values(*rc::gen::inRange<size_t>(0, most));
  for (double& value : values) value = arbitrary_double();
  return values;
}

std::string bytes_of(const ExactSum& sum) {
  ByteWriter out;
  sum.encode(out);
  return out.take();
}

RC_GTEST_PROP(ExactSum, IsTheTrueSumRoundedOnce, ()) {
  const std::vector<double> values = arbitrary_doubles(12);
  ExactSum sum;
  sum.add(values);
  BitNumber truth;
  for (double value : values) truth.add(BitNumber(value));
  RC_ASSERT(sum.value() == truth.nearest());
  if (std::fabs(truth.nearest()) > 0x1p-1000 && std::isfinite(truth.nearest())) {
    RC_ASSERT(sum.scaled().value() == truth.nearest());
  }
}

RC_GTEST_PROP(ExactSum, AddsProductsWithoutRounding, ()) {
  const std::vector<double> a = arbitrary_doubles(5);
  std::vector<double> b;
  std::vector<float> c;
  ExactSum pairs;
  ExactSum triples;
  BitNumber pair_truth;
  BitNumber triple_truth;
  for (double x : a) {
    b.push_back(arbitrary_double());
    const auto z = static_cast<float>(
        std::ldexp(static_cast<double>(*rc::gen::inRange(-99, 99)), *rc::gen::inRange(-149, 121)));
    c.push_back(z);
    const BitNumber product = BitNumber(x).times(b.back());
    pair_truth.add(product);
    triple_truth.add(product.times(z));
  }
  pairs.add_products(a, b);
  triples.add_products(a, b, c);
  RC_ASSERT(pairs.value() == pair_truth.nearest());
  RC_ASSERT(triples.value() == triple_truth.nearest());
}

RC_GTEST_PROP(ExactSum, IsTheSameForAnyOrderAndPartition, ()) {
  const std::vector<double> a = arbitrary_doubles(30);
  ExactSum whole;
  whole.add(a);
  whole.add_products(a, a);
  std::vector<ExactSum> parts(*rc::gen::inRange<size_t>(1, 6));
  std::vector<size_t> order(a.size());
  std::iota(order.begin(), order.end(), 0);
  const RandomKey key(*rc::gen::arbitrary<uint64_t>(), "order");
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return key.at(i) < key.at(j); });
  for (size_t i : order) {
    parts[key.at(i) % parts.size()].add(a[i]);
    parts[key.at(i) / 7 % parts.size()].add_product(a[i], a[i]);
  }
  ExactSum merged;
  for (const ExactSum& part : parts) {
    const std::string bytes = bytes_of(part);
    ByteReader in(bytes);
    const auto read = ExactSum::decode(in);
    RC_ASSERT(read.ok());
    RC_ASSERT(in.at_end());
    merged.merge(*read);
  }
  RC_ASSERT(bytes_of(merged) == bytes_of(whole));
  RC_ASSERT(bits(merged.value()) == bits(whole.value()));
}

TEST(ExactSum, CancelsWithoutATrace) {
  ExactSum sum;
  for (double x : {1e300, 1.0, -1e300, kLeast, -1.0}) sum.add(x);
  EXPECT_EQ(sum.value(), kLeast);
  sum.add(-kLeast);
  EXPECT_EQ(bits(sum.value()), bits(0.0));
  EXPECT_EQ(bytes_of(sum), bytes_of(ExactSum()));
}

TEST(ExactSum, RoundsTiesToEvenAndBelowTheNormalRange) {
  const auto value = [](std::vector<double> values) {
    ExactSum sum;
    sum.add(values);
    return sum.value();
  };
  EXPECT_EQ(value({1, 0x1p-53}), 1);
  EXPECT_EQ(value({1, 0x1p-53, kLeast}), 1 + 0x1p-52);
  EXPECT_EQ(value({1 + 0x1p-52, 0x1p-53}), 1 + 0x1p-51);
  EXPECT_EQ(value({-1, -0x1p-53, -kLeast}), -1 - 0x1p-52);
  EXPECT_EQ(value({DBL_MAX, 0x1p969}), DBL_MAX);
  EXPECT_EQ(value({DBL_MAX, 0x1p970}), kInfinity);
  EXPECT_EQ(value({DBL_MAX, DBL_MAX, -DBL_MAX}), DBL_MAX);
  ExactSum tiny;
  tiny.add_product(kLeast, 0.5);
  EXPECT_EQ(tiny.value(), 0);  // half the least: a tie
  tiny.add_product(kLeast, kLeast);
  EXPECT_EQ(tiny.value(), kLeast);
  tiny.add(kLeast);
  EXPECT_EQ(tiny.value(), 2 * kLeast);
}

TEST(ExactSum, HoldsTheLeastAndTheLargestTerms) {
  const float least_float = std::numeric_limits<float>::denorm_min();
  ExactSum least;
  least.add_product(kLeast, kLeast, least_float);
  EXPECT_EQ(least.value(), 0);
  EXPECT_EQ(least.scaled().fraction, 0.5);
  EXPECT_EQ(least.scaled().exponent, -2296);
  ExactSum largest;
  for (int i = 0; i < 5; ++i) {
    for (double sign : {1.0, -1.0, -1.0}) largest.add_product(sign * DBL_MAX, DBL_MAX, FLT_MAX);
  }
  EXPECT_EQ(largest.value(), -kInfinity);
  EXPECT_EQ(largest.scaled().exponent, 2176 + 3);
  EXPECT_NEAR(largest.scaled().fraction, -5.0 / 8, 1e-6);
}

TEST(ExactSum, KnowsNaNAndInfinities) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ExactSum up;
  up.add(kInfinity);
  up.add(-1e308);
  EXPECT_EQ(up.value(), kInfinity);
  ExactSum down;
  down.add_product(-2, kInfinity);
  EXPECT_EQ(down.value(), -kInfinity);
  EXPECT_EQ(down.scaled().value(), -kInfinity);
  down.merge(up);
  EXPECT_TRUE(std::isnan(down.value()));
  for (const auto& [a, b, c] : {std::tuple{nan, 1.0, 1.0f},
                                {0.0, kInfinity, 1.0f},
                                {1.0, 1.0, std::numeric_limits<float>::quiet_NaN()}}) {
    ExactSum sum;
    sum.add_product(a, b, c);
    EXPECT_TRUE(std::isnan(sum.value()));
    const std::string bytes = bytes_of(sum);
    ByteReader in(bytes);
    EXPECT_TRUE(std::isnan(ExactSum::decode(in)->value()));
  }
}

TEST(ExactSum, DifferenceOfProductsIsRoundedOnce) {
  // Squares of numbers around 1e9 of which the variance is 2/3: doubles would lose it.
  ExactSum count;
  ExactSum sum;
  ExactSum squares;
  for (double x : {1e9 + 1, 1e9, 1e9 - 1}) {
    count.add(1);
    sum.add(x);
    squares.add_product(x, x);
  }
  EXPECT_EQ(ExactSum::difference_of_products(squares, count, sum, sum).value(), 6);
  EXPECT_EQ(ExactSum::difference_of_products(sum, sum, squares, count).value(), -6);
  EXPECT_EQ(ExactSum::difference_of_products(sum, sum, sum, sum).fraction, 0);
  ExactSum minus;
  minus.add(-1e9);
  EXPECT_EQ(ExactSum::difference_of_products(minus, count, ExactSum(), sum).value(), -3e9);
  ExactSum huge;
  huge.add_product(DBL_MAX, DBL_MAX, FLT_MAX);
  const Scaled square = ExactSum::difference_of_products(huge, huge, count, count);
  EXPECT_EQ(square.exponent, 2 * 2176);
  EXPECT_EQ((square / square).value(), 1);
}

TEST(Scaled, DividesAndTakesRootsBeyondTheRangeOfDoubles) {
  EXPECT_EQ((Scaled{0.75, 3000} / Scaled{0.5, 2999}).value(), 3);
  EXPECT_EQ(square_root({0.5, 3001}).exponent, 1501);
  EXPECT_EQ(square_root({0.5, 3}).value(), 2);
  EXPECT_EQ(square_root({0.5, -1}).value(), 0.5);
  EXPECT_EQ(square_root({0, 0}).value(), 0);
  EXPECT_TRUE(std::isnan((Scaled{} / Scaled{}).value()));
}

TEST(ExactSum, BytesAreShortAndRefusedWhereTheyMakeNoSense) {
  ExactSum sum;
  const RandomKey key(1, "values");
  for (uint64_t i = 0; i < 1000; ++i) sum.add(static_cast<double>(key.at(i)) * 0x1p-60);
  const std::string good = bytes_of(sum);
  EXPECT_LE(good.size(), 19u);
  for (size_t size = 0; size < good.size(); ++size) {
    ByteReader in(std::string_view(good).substr(0, size));
    EXPECT_FALSE(ExactSum::decode(in).ok()) << size;
  }
  const auto refused = [](uint8_t flags, uint8_t first, uint8_t count) {
    ByteWriter out;
    out.u8(flags).u8(first).u8(count);
    for (int i = 0; i < 256; ++i) out.u64(~uint64_t{0});
    ByteReader in(out.bytes());
    return !ExactSum::decode(in).ok();
  };
  EXPECT_FALSE(refused(0, 0, 72));
  EXPECT_TRUE(refused(0, 0, 73));
  EXPECT_TRUE(refused(0, 255, 255));
  EXPECT_TRUE(refused(16, 0, 1));
}

RC_GTEST_PROP(ExactSum, AnyBytesGiveASumOrAnError, ()) {
  auto bytes = *rc::gen::arbitrary<std::string>();
  if (bytes.size() > 2) bytes[2] %= 16;
  ByteReader in(bytes);
  auto sum = ExactSum::decode(in);
  if (!sum.ok()) return;
  for (int i = 0; i < 40; ++i) sum->merge(ExactSum(*sum));
  (void)sum->scaled();
  const std::string again = bytes_of(*sum);
  ByteReader back(again);
  const auto read = ExactSum::decode(back);
  RC_ASSERT(!read.ok() || bits(read->value()) == bits(sum->value()));
}

}  // namespace
}  // namespace evergrove::exact
