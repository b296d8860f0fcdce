// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/ranks.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "evergrove/exact/testing_simd.h"

namespace evergrove::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The slow, obvious way.
template <typename Number>
uint32_t twin(const std::vector<double>& thresholds, Number value) {
  if (std::isnan(value)) return Ranks::kNaN;
  return static_cast<uint32_t>(std::count_if(thresholds.begin(), thresholds.end(),
                                             [&](double x) { return x < double{value}; }));
}

template <typename Number>
void expect_like_twin(const std::vector<double>& thresholds, const std::vector<Number>& values) {
  std::vector<uint32_t> expected;
  for (const Number value : values) expected.push_back(twin(thresholds, value));
  const Ranks ranks(thresholds);
  with_each_simd([&] {
    std::vector<uint32_t> found(values.size(), 77);
    ranks.of(std::span<const Number>(values),
             Ranks::Codes<uint32_t>{.nan_last = found.data(), .nan = Ranks::kNaN});
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(found[i], expected[i]) << values[i] << " at " << i;
    }
  });
}

// Around each threshold, where float32 and double differ, and what is special.
template <typename Number>
std::vector<Number> values_around(const std::vector<double>& thresholds) {
  std::vector<Number> values = {0,
                                -Number{0},
                                std::numeric_limits<Number>::infinity(),
                                -std::numeric_limits<Number>::infinity(),
                                std::numeric_limits<Number>::quiet_NaN(),
                                std::numeric_limits<Number>::max(),
                                std::numeric_limits<Number>::lowest(),
                                std::numeric_limits<Number>::denorm_min()};
  for (const double threshold : thresholds) {
    const auto near = static_cast<Number>(threshold);
    values.push_back(near);
    values.push_back(std::nextafter(near, std::numeric_limits<Number>::infinity()));
    values.push_back(std::nextafter(near, -std::numeric_limits<Number>::infinity()));
  }
  return values;
}

RC_GTEST_PROP(Ranks, CountWhatIsBelow, (std::vector<double> thresholds)) {
  std::erase_if(thresholds, [](double x) { return std::isnan(x); });
  std::sort(thresholds.begin(), thresholds.end());
  expect_like_twin(thresholds, values_around<float>(thresholds));
  expect_like_twin(thresholds, values_around<double>(thresholds));
  RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Ranks, CountWhatIsBelowManyThresholds) {
  for (const size_t count : {0, 1, 2, 3, 6, 7, 8, 15, 16, 31, 100, 254, 255, 256, 1000, 3000}) {
    std::vector<double> thresholds;
    for (size_t i = 0; i < count; ++i) thresholds.push_back(std::tan(3 * (double(i) / 1e5 - 0.3)));
    std::sort(thresholds.begin(), thresholds.end());
    expect_like_twin(thresholds, values_around<float>(thresholds));
    expect_like_twin(thresholds, values_around<double>(thresholds));
  }
}

TEST(Ranks, TakeThresholdsThatNoFloatHolds) {
  const std::vector<double> thresholds = {-kInfinity, -1e300, -1e-300, 5e-324,   0.1,
                                          3.4e38,     3.5e38, 1e300,   kInfinity};
  expect_like_twin(thresholds, values_around<float>(thresholds));
  expect_like_twin(thresholds, values_around<double>(thresholds));
}

template <typename Number, typename Code>
void expect_codes() {
  std::vector<double> thresholds;
  for (int i = 0; i < 254; ++i) thresholds.push_back(i / 8.0);
  const std::vector<Number> values = values_around<Number>(thresholds);
  const Ranks ranks(thresholds);
  with_each_simd([&] {
    std::vector<Code> one_more(values.size());
    std::vector<Code> nan_last(values.size());
    ranks.of(std::span<const Number>(values),
             Ranks::Codes<Code>{one_more.data(), nan_last.data(), 255});
    for (size_t i = 0; i < values.size(); ++i) {
      const uint32_t rank = twin(thresholds, values[i]);
      ASSERT_EQ(one_more[i], std::isnan(values[i]) ? 0 : rank + 1) << values[i];
      ASSERT_EQ(nan_last[i], std::isnan(values[i]) ? 255 : rank) << values[i];
    }
  });
}

TEST(Ranks, AreCodesOfAnyWidth) {
  expect_codes<float, uint8_t>();
  expect_codes<float, uint16_t>();
  expect_codes<float, uint32_t>();
  expect_codes<double, uint8_t>();
  expect_codes<double, uint16_t>();
  expect_codes<double, uint32_t>();
}

}  // namespace
}  // namespace evergrove::exact
