// Gradients against long double derivatives, the laws of their rounding, and the choice of width
// on data that narrow units would be too coarse for.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/gradient_maker.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "evergrove/base/hash.h"
#include "evergrove/base/sha256.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr int32_t kExponent = -32;

double uniform(uint64_t hash) { return (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53; }

double normal(uint64_t a, uint64_t b) {
  return std::sqrt(-2 * std::log(uniform(a))) * std::cos(2 * std::numbers::pi * uniform(b));
}

struct Case {
  Parameters parameters;
  Dataset data;
  size_t outputs = 1;
  std::vector<int64_t> margins;

  size_t rows() const { return margins.size() / std::max<size_t>(1, outputs); }
  GradientMaker maker() const {
    RunHeader header;
    header.parameters = parameters;
    header.value_exponent = kExponent;
    header.base_margins.resize(outputs);
    return {header, WeightFacts::of(parameters, data.classes, data.weights, rows()), data};
  }
  trees::Gradients make(uint64_t iteration = 0, uint32_t output = 0) const {
    std::vector<trees::Gradients> gradients(outputs);
    maker().make_alone(iteration, margins, gradients);
    return gradients[output];
  }
  long double margin(size_t i) const {
    return std::ldexp(static_cast<long double>(margins[i]), kExponent);
  }
  long double weight(size_t row) const {
    const long double weight = data.weights.empty() ? 1 : data.weights[row];
    const bool positive = parameters.objective == ObjectiveKind::binary && data.classes[row] == 1;
    return positive ? weight * parameters.scale_pos_weight : weight;
  }
};

int64_t to_margin(double x) { return static_cast<int64_t>(std::ldexp(x, -kExponent)); }

// Labels drawn with the probability of the margin: what a calibrated model sees.
Case calibrated(size_t rows, double center, double spread, uint64_t seed = 1) {
  Case c;
  const RandomKey key(seed, "calibrated");
  for (size_t row = 0; row < rows; ++row) {
    const double z = center + spread * normal(key.at(3 * row), key.at(3 * row + 1));
    c.margins.push_back(to_margin(z));
    c.data.classes.push_back(uniform(key.at(3 * row + 2)) < 1 / (1 + std::exp(-z)));
  }
  return c;
}

Case multiclass(size_t rows, size_t classes) {
  Case c;
  c.parameters.objective = ObjectiveKind::multiclass;
  c.outputs = classes;
  const RandomKey key(2, "multiclass");
  for (size_t k = 0; k < classes; ++k) {
    for (size_t row = 0; row < rows; ++row) {
      c.margins.push_back(to_margin(uniform(key.at(row * classes + k)) * 6));
    }
  }
  for (size_t row = 0; row < rows; ++row) {
    c.data.classes.push_back(static_cast<uint16_t>(key.at(~row) % classes));
  }
  return c;
}

// Squared error at the targets' mean.
template <typename Target>
Case regression(size_t rows, Target target) {
  Case c;
  c.parameters.objective = ObjectiveKind::regression;
  const RandomKey key(3, "regression");
  double mean = 0;
  for (size_t row = 0; row < rows; ++row) {
    c.data.targets.push_back(target(normal(key.at(2 * row), key.at(2 * row + 1))));
    mean += c.data.targets.back() / static_cast<double>(rows);
  }
  c.margins.assign(rows, to_margin(mean));
  return c;
}

std::vector<float> log_normal_weights(size_t rows, double spread) {
  const RandomKey key(4, "weights");
  std::vector<float> weights;
  for (size_t row = 0; row < rows; ++row) {
    weights.push_back(
        static_cast<float>(std::exp(spread * normal(key.at(2 * row), key.at(2 * row + 1)))));
  }
  return weights;
}

struct Derivatives {
  long double g;
  long double h;
};
Derivatives slow_derivatives(const Case& c, size_t row, uint32_t output) {
  const long double weight = c.weight(row);
  if (c.parameters.objective == ObjectiveKind::regression) {
    return {weight * (c.margin(row) - c.data.targets[row]), weight};
  }
  if (c.parameters.objective == ObjectiveKind::binary) {
    const long double p = 1 / (1 + std::exp(-c.margin(row)));
    return {weight * (p - c.data.classes[row]), weight * p * (1 - p)};
  }
  long double sum = 0;
  for (size_t k = 0; k < c.outputs; ++k) {
    sum += std::exp(c.margin(k * c.rows() + row) - c.margin(row));
  }
  const long double p = std::exp(c.margin(output * c.rows() + row) - c.margin(row)) / sum;
  const long double factor = static_cast<long double>(c.outputs) / (c.outputs - 1);
  return {weight * (p - (c.data.classes[row] == output)), weight * factor * p * (1 - p)};
}

Derivatives value_of(const trees::Gradients& gradients, size_t row) {
  if (gradients.wide) {
    const trees::WideGradient pair = gradients.wide_pairs[row];
    return {pair.g * static_cast<long double>(gradients.g_unit),
            pair.h * static_cast<long double>(gradients.h_unit)};
  }
  const trees::NarrowGradient pair = gradients.narrow[row];
  return {pair.g * static_cast<long double>(gradients.g_unit),
          pair.h * static_cast<long double>(gradients.h_unit)};
}

std::string bytes_of(const trees::Gradients& gradients) {
  const auto bytes = [](const auto& v) {
    return std::string(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(v[0]));
  };
  return bytes(gradients.narrow) + bytes(gradients.wide_pairs);
}

// Many shapes of data, narrow and wide ones, each with rows that do not fill the last block.
std::vector<Case> cases() {
  std::vector<Case> all = {
      calibrated(5'003, -1, 1),
      calibrated(5'003, -1, 1),
      calibrated(5'003, -1, 1),
      multiclass(3'001, 3),
      multiclass(1'025, 7),
      regression(5'003, [](double x) { return 3 + x; }),
      regression(5'003, [](double x) { return std::exp(2.5 * x); }),
      regression(5'003, [](double x) { return 100 * x; }),
      calibrated(7, 0, 1),
  };
  all[1].data.weights = log_normal_weights(5'003, 0.5);
  all[1].parameters.scale_pos_weight = 3;
  all[2].data.weights = log_normal_weights(5'003, 3);
  all[4].data.weights = log_normal_weights(1'025, 0.5);
  all[7].data.weights = log_normal_weights(5'003, 0.5);
  return all;
}

TEST(GradientMaker, EachRowIsWithinOneUnitOfTheDerivative) {
  for (const Case& c : cases()) {
    for (uint32_t output = 0; output < c.outputs; ++output) {
      const trees::Gradients gradients = c.make(3, output);
      ASSERT_EQ(gradients.narrow.size() + gradients.wide_pairs.size(), c.rows());
      for (size_t row = 0; row < c.rows(); ++row) {
        const Derivatives truth = slow_derivatives(c, row, output);
        const Derivatives value = value_of(gradients, row);
        ASSERT_LE(std::fabs(static_cast<double>(value.g - truth.g)), gradients.g_unit * 1.00001);
        ASSERT_LE(std::fabs(static_cast<double>(value.h - truth.h)), gradients.h_unit * 1.00001);
        ASSERT_GE(value.h, 0);
      }
    }
  }
}

// Goal: over iterations rounding errors average out, for rows far below one unit as well.
TEST(GradientMaker, RoundingIsUnbiased) {
  const Case c = calibrated(2'000, -6, 1);
  constexpr int kIterations = 400;
  std::vector<long double> g_mean(c.rows());
  std::vector<long double> h_mean(c.rows());
  double g_unit = 0;
  double h_unit = 0;
  for (uint64_t iteration = 0; iteration < kIterations; ++iteration) {
    const trees::Gradients gradients = c.make(iteration);
    ASSERT_FALSE(gradients.wide);
    g_unit = gradients.g_unit;
    h_unit = gradients.h_unit;
    for (size_t row = 0; row < c.rows(); ++row) {
      g_mean[row] += value_of(gradients, row).g / kIterations;
      h_mean[row] += value_of(gradients, row).h / kIterations;
    }
  }
  // A unit's rounding has a deviation of 1/2 at most; six deviations of the mean.
  const double tolerance = 6 * 0.5 / std::sqrt(kIterations);
  long double g_error = 0;
  long double h_error = 0;
  for (size_t row = 0; row < c.rows(); ++row) {
    const Derivatives truth = slow_derivatives(c, row, 0);
    ASSERT_LT(std::fabs(static_cast<double>(g_mean[row] - truth.g)), tolerance * g_unit);
    ASSERT_LT(std::fabs(static_cast<double>(h_mean[row] - truth.h)), tolerance * h_unit);
    g_error += (g_mean[row] - truth.g) / static_cast<long double>(c.rows());
    h_error += (h_mean[row] - truth.h) / static_cast<long double>(c.rows());
  }
  const double rows_tolerance = tolerance / std::sqrt(static_cast<double>(c.rows()));
  EXPECT_LT(std::fabs(static_cast<double>(g_error)), rows_tolerance * g_unit);
  EXPECT_LT(std::fabs(static_cast<double>(h_error)), rows_tolerance * h_unit);
}

TEST(GradientMaker, AConstantHessianHasNoNoise) {
  Case c = regression(10'000, [](double x) { return x; });
  for (const float weight : {1.0f, 0.3f, 1e-20f, 7e20f}) {
    if (weight != 1) c.data.weights.assign(c.rows(), weight);
    for (uint64_t iteration = 0; iteration < 3; ++iteration) {
      const trees::Gradients gradients = c.make(iteration);
      ASSERT_FALSE(gradients.wide);
      for (const trees::NarrowGradient pair : gradients.narrow) {
        ASSERT_EQ(pair.h, trees::kNarrowMax);
      }
    }
  }
}

TEST(GradientMaker, FieldsStayInTheirRange) {
  for (const Case& c : cases()) {
    const trees::Gradients gradients = c.make();
    for (const trees::NarrowGradient pair : gradients.narrow) {
      ASSERT_LE(std::abs(pair.g), trees::kNarrowMax);
      ASSERT_LE(pair.h, trees::kNarrowMax);
    }
    for (const trees::WideGradient pair : gradients.wide_pairs) {
      ASSERT_LE(std::abs(pair.g), trees::kWideMax);
      ASSERT_GE(pair.h, 0);
      ASSERT_LE(pair.h, trees::kWideMax);
    }
  }
}

TEST(GradientMaker, AnyThreadsGiveTheSameBits) {
  for (const Case& c : cases()) {
    const std::string expected = bytes_of(c.make(5));
    for (int threads : {1, 2, 3, 8}) {
      tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      tbb::task_arena arena(threads);
      arena.execute([&] { EXPECT_EQ(bytes_of(c.make(5)), expected) << threads << " threads"; });
    }
  }
}

TEST(GradientMaker, AnySimdGivesTheSameBits) {
  const auto use = [](int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  };
  for (const Case& c : cases()) {
    use(HWY_STATIC_TARGET);
    const std::string expected = bytes_of(c.make(5));
    use(0);
    for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
      use(target);
      EXPECT_EQ(bytes_of(c.make(5)), expected) << hwy::TargetName(target);
    }
    use(0);
  }
}

// Goal: the bits themselves are a contract, between machines too; altering them alters all models.
TEST(GradientMaker, KeepsItsBits) {
  std::string bytes;
  for (const Case& c : {multiclass(1'025, 7)}) bytes += bytes_of(c.make(5, 2));
  EXPECT_EQ(sha256_hex(bytes).substr(0, 16), "cf41d791f093d9d6");
}

TEST(GradientMaker, RoundsByTheHashOfTheRow) {
  const Case c = regression(1'000, [](double x) { return x; });
  const trees::Gradients gradients = c.make(7);
  double largest = 0;
  for (size_t row = 0; row < c.rows(); ++row) {
    largest = std::max(largest, std::fabs(static_cast<double>(slow_derivatives(c, row, 0).g)));
  }
  const RandomKey key(c.parameters.seed, "gradient rounding", 7);
  size_t different = 0;
  for (size_t row = 0; row < c.rows(); ++row) {
    const double x =
        static_cast<double>(slow_derivatives(c, row, 0).g) / largest * trees::kNarrowMax;
    const double u = (static_cast<double>(key.at(row) >> 32) + 0.5) * 0x1p-32;
    different += std::floor(x + u) != gradients.narrow[row].g;
  }
  EXPECT_EQ(different, 0u);
}

TEST(GradientMaker, FraudIsNarrow) {
  EXPECT_FALSE(calibrated(200'000, -7, 0).make().wide) << "before the first tree";
  EXPECT_FALSE(calibrated(200'000, -9, 2).make().wide) << "after many trees";
  EXPECT_FALSE(calibrated(200'000, -3, 2).make().wide);
}

TEST(GradientMaker, CertaintyIsWide) {
  // All rows right, and the model sure of it: gradients are far below one narrow unit.
  Case c = calibrated(20'000, 0, 3);
  for (size_t row = 0; row < c.rows(); ++row) {
    c.margins[row] = to_margin(c.data.classes[row] == 1 ? 12 : -12);
  }
  EXPECT_TRUE(c.make().wide);
}

TEST(GradientMaker, OrdinaryTargetsAreNarrowAndHeavyTailsWide) {
  EXPECT_FALSE(regression(100'000, [](double x) { return 1e9 + 5 * x; }).make().wide);
  EXPECT_FALSE(regression(100'000, [](double x) { return std::exp(0.5 * x); }).make().wide);
  EXPECT_TRUE(regression(100'000, [](double x) { return std::exp(2.5 * x); }).make().wide);
  EXPECT_TRUE(regression(100'000, [](double x) { return x / std::fabs(x * x * x); }).make().wide);
}

TEST(GradientMaker, WeightsWithAHeavyTailAreWide) {
  Case c = calibrated(50'000, -1, 1);
  c.data.weights = log_normal_weights(c.rows(), 0.5);
  EXPECT_FALSE(c.make().wide);
  c.data.weights = log_normal_weights(c.rows(), 3);
  EXPECT_TRUE(c.make().wide);
  c.data.weights.assign(c.rows(), 2);
  c.data.weights[7] = 1e6;
  EXPECT_TRUE(c.make().wide);
  c.data.weights.assign(c.rows(), 0);  // rows of no weight do not count
  for (size_t row = 0; row < 1'000; ++row) c.data.weights[row] = 3;
  EXPECT_FALSE(c.make().wide);
}

TEST(GradientMaker, TheWidthTriedFirstDoesNotMatter) {
  for (const Case& c : cases()) {
    const trees::Gradients expected = c.make();
    std::vector<trees::Gradients> gradients(c.outputs);
    for (trees::Gradients& each : gradients) each.wide = !expected.wide;
    c.maker().make_alone(0, c.margins, gradients);
    EXPECT_EQ(gradients[0].wide, expected.wide);
    EXPECT_EQ(gradients[0].g_unit, expected.g_unit);
    EXPECT_EQ(bytes_of(gradients[0]), bytes_of(expected));
  }
}

TEST(GradientMaker, ReusesItsMemory) {
  const Case c = calibrated(10'000, -1, 1);
  GradientMaker maker = c.maker();
  trees::Gradients gradients;
  maker.make_alone(0, c.margins, {&gradients, 1});
  const auto* place = gradients.narrow.data();
  maker.make_alone(1, c.margins, {&gradients, 1});
  EXPECT_EQ(gradients.narrow.data(), place);
}

TEST(GradientMaker, ExtremesStayInRange) {
  const int64_t far = std::numeric_limits<int64_t>::max();
  Case c;
  c.margins = {far, -far, 0, far, -far};
  c.data.classes = {0, 1, 1, 1, 0};
  for (uint64_t iteration = 0; iteration < 100; ++iteration) {
    const trees::Gradients gradients = c.make(iteration);
    EXPECT_NEAR(static_cast<double>(value_of(gradients, 0).g), 1, 1e-15);
    EXPECT_NEAR(static_cast<double>(value_of(gradients, 1).g), -1, 1e-15);
    EXPECT_EQ(value_of(gradients, 3).g, 0);
  }
  Case r = regression(4, [](double x) { return x; });
  r.data.targets = {1.7e308, -1.7e308, 0, 5e-324};
  r.data.weights = {1e38f, 1e38f, 1, 1e-38f};
  EXPECT_TRUE(std::isfinite(r.make().g_unit));
  r.data.targets.assign(4, 0);
  r.margins.assign(4, 0);
  const trees::Gradients nothing = r.make();
  for (size_t row = 0; row < 4; ++row) EXPECT_EQ(value_of(nothing, row).g, 0);
}

}  // namespace
}  // namespace evergrove::train
