// Metrics against slow, obvious twins in long double, and the laws that they keep.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/metrics.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "evergrove/base/hash.h"
#include "evergrove/base/radix_sort.h"
#include "evergrove/train/testing_problem.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

// Each pair of a positive and a negative row, looked at.
long double slow_auc(const Problem& p) {
  long double won = 0;
  long double pairs = 0;
  for (size_t i = 0; i < p.rows(); ++i) {
    for (size_t j = 0; j < p.rows(); ++j) {
      if (p.classes[i] != 1 || p.classes[j] != 0) continue;
      const long double weight = p.weight(i) * p.weight(j);
      pairs += weight;
      if (p.margins[i] > p.margins[j]) won += weight;
      if (p.margins[i] == p.margins[j]) won += weight / 2;
    }
  }
  return won / pairs;
}

// scikit-learn's sum of (R_n - R_{n-1}) P_n, each threshold counted afresh.
long double slow_average_precision(const Problem& p) {
  std::vector<int64_t> thresholds = p.margins;
  std::sort(thresholds.begin(), thresholds.end(), std::greater<>());
  thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
  long double positives = 0;
  for (size_t i = 0; i < p.rows(); ++i) positives += p.classes[i] * p.weight(i);
  long double sum = 0;
  long double recall_before = 0;
  for (int64_t threshold : thresholds) {
    long double hits = 0;
    long double all = 0;
    for (size_t i = 0; i < p.rows(); ++i) {
      if (p.margins[i] < threshold) continue;
      hits += p.classes[i] * p.weight(i);
      all += p.weight(i);
    }
    if (all == 0) continue;
    sum += (hits / positives - recall_before) * (hits / all);
    recall_before = hits / positives;
  }
  return sum;
}

template <typename Loss>
long double slow_mean(const Problem& p, Loss loss) {
  long double sum = 0;
  long double weights = 0;
  for (size_t i = 0; i < p.rows(); ++i) {
    sum += p.weight(i) * loss(i);
    weights += p.weight(i);
  }
  return sum / weights;
}

struct Shape {
  size_t rows;
  bool weighted;
  uint64_t distinct;
};
class MetricShapes : public testing::TestWithParam<Shape> {};

TEST_P(MetricShapes, BinaryIsThatOfTheSlowTwin) {
  const Shape shape = GetParam();
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Problem p =
        make_problem(ObjectiveKind::binary, shape.rows, seed, shape.weighted, shape.distinct);
    EXPECT_NEAR(p.value("auc"), static_cast<double>(slow_auc(p)), 1e-9);
    EXPECT_NEAR(p.value("average_precision"), static_cast<double>(slow_average_precision(p)), 1e-8);
    const auto log_loss = [&](size_t i) {
      return std::log1p(std::exp(p.classes[i] ? -p.margin(i) : p.margin(i)));
    };
    EXPECT_NEAR(p.value("log_loss"), static_cast<double>(slow_mean(p, log_loss)), 1e-14);
    const auto error = [&](size_t i) { return (p.margins[i] > 0) != (p.classes[i] == 1); };
    EXPECT_NEAR(p.value("error"), static_cast<double>(slow_mean(p, error)), 1e-15);
    EXPECT_NEAR(p.value("accuracy"), 1 - p.value("error"), 1e-15);
    const auto residual = [&](size_t i) { return 1 / (1 + std::exp(-p.margin(i))) - p.classes[i]; };
    const auto brier = slow_mean(p, [&](size_t i) { return residual(i) * residual(i); });
    EXPECT_NEAR(p.value("mse"), static_cast<double>(brier), 1e-15);
    EXPECT_NEAR(p.value("rmse"), static_cast<double>(std::sqrt(brier)), 1e-15);
  }
}

TEST_P(MetricShapes, MulticlassIsThatOfTheSlowTwin) {
  const Shape shape = GetParam();
  const Problem p =
      make_problem(ObjectiveKind::multiclass, shape.rows, 7, shape.weighted, shape.distinct);
  const auto log_loss = [&](size_t i) {
    long double sum = 0;
    for (size_t k = 0; k < 5; ++k) sum += std::exp(p.margin(k * p.rows() + i));
    return std::log(sum) - p.margin(p.classes[i] * p.rows() + i);
  };
  EXPECT_NEAR(p.value("log_loss"), static_cast<double>(slow_mean(p, log_loss)), 1e-14);
  const auto error = [&](size_t i) {
    size_t best = 0;
    for (size_t k = 1; k < 5; ++k) {
      if (p.margins[k * p.rows() + i] > p.margins[best * p.rows() + i]) best = k;
    }
    return best != p.classes[i];
  };
  EXPECT_NEAR(p.value("error"), static_cast<double>(slow_mean(p, error)), 1e-15);
}

TEST_P(MetricShapes, RegressionIsThatOfTheSlowTwin) {
  const Shape shape = GetParam();
  const Problem p =
      make_problem(ObjectiveKind::regression, shape.rows, 7, shape.weighted, shape.distinct);
  const auto residual = [&](size_t i) { return p.margin(i) - p.targets[i]; };
  const auto mse = slow_mean(p, [&](size_t i) { return residual(i) * residual(i); });
  const auto mae = slow_mean(p, [&](size_t i) { return std::fabs(residual(i)); });
  const auto mean = slow_mean(p, [&](size_t i) { return static_cast<long double>(p.targets[i]); });
  const auto variance =
      slow_mean(p, [&](size_t i) { return (p.targets[i] - mean) * (p.targets[i] - mean); });
  const auto relative = [](double value, long double truth) {
    return static_cast<double>(std::fabs(value / truth - 1));
  };
  EXPECT_LT(relative(p.value("mse"), mse), 1e-14);
  EXPECT_LT(relative(p.value("rmse"), std::sqrt(mse)), 1e-14);
  EXPECT_LT(relative(p.value("mae"), mae), 1e-14);
  EXPECT_LT(relative(p.value("r2"), 1 - mse / variance), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Sizes, MetricShapes,
                         testing::Values(Shape{40, false, 7}, Shape{40, true, 7},
                                         Shape{700, false, 1 << 30}, Shape{700, true, 50},
                                         Shape{3000, false, 100}, Shape{3000, true, 1 << 30}));

std::vector<uint64_t> all_bits(const Problem& p) {
  std::vector<uint64_t> bits;
  std::vector<std::string> names = default_metrics(p.objective);
  names.push_back(p.objective == ObjectiveKind::regression ? "r2" : "error");
  if (p.objective == ObjectiveKind::binary) names.insert(names.end(), {"recall_at_99", "mse"});
  const auto values = evaluate_metrics(names, p.input());
  EXPECT_TRUE(values.ok());
  for (double value : *values) bits.push_back(std::bit_cast<uint64_t>(value));
  return bits;
}

class EachObjective : public testing::TestWithParam<ObjectiveKind> {};

TEST_P(EachObjective, AnyNumberOfThreadsGivesTheSameBits) {
  const Problem p = make_problem(GetParam(), 100'000, 3, true);
  std::vector<uint64_t> expected;
  for (int threads : {1, 2, 3, 8}) {
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    tbb::task_arena arena(threads);
    arena.execute([&] {
      const std::vector<uint64_t> bits = all_bits(p);
      if (threads == 1) expected = bits;
      EXPECT_EQ(bits, expected) << threads << " threads";
    });
  }
}

TEST_P(EachObjective, AnyOrderOfRowsGivesTheSameBits) {
  const Problem p = make_problem(GetParam(), 20'000, 4, true, 1000);
  Problem q = p;
  std::vector<size_t> order(p.rows());
  std::iota(order.begin(), order.end(), 0);
  const RandomKey key(5, "shuffle");
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key.at(a) < key.at(b); });
  for (size_t i = 0; i < order.size(); ++i) {
    for (size_t k = 0; k < p.outputs; ++k) {
      q.margins[k * p.rows() + i] = p.margins[k * p.rows() + order[i]];
    }
    if (!p.classes.empty()) q.classes[i] = p.classes[order[i]];
    if (!p.targets.empty()) q.targets[i] = p.targets[order[i]];
    q.weights[i] = p.weights[order[i]];
  }
  EXPECT_EQ(all_bits(p), all_bits(q));
}

TEST_P(EachObjective, EqualWeightsAreLikeNone) {
  Problem p = make_problem(GetParam(), 5'000, 4, false, 1000);
  const std::vector<uint64_t> expected = all_bits(p);
  p.weights.assign(p.rows(), 0.5f);
  EXPECT_EQ(all_bits(p), expected);
  p.weights.assign(p.rows(), 1e-30f);
  const std::vector<uint64_t> tiny = all_bits(p);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(std::bit_cast<double>(tiny[i]), std::bit_cast<double>(expected[i]), 1e-12);
  }
}

TEST_P(EachObjective, WeightOfZeroIsLikeNoRow) {
  Problem p = make_problem(GetParam(), 2'000, 4, false, 100);
  Problem q = p;
  p.weights.assign(p.rows(), 1);
  for (size_t i = 1'500; i < 2'000; ++i) p.weights[i] = 0;
  for (size_t k = q.outputs; k-- > 0;) {
    const auto first = q.margins.begin() + static_cast<ptrdiff_t>(k * 2'000);
    q.margins.erase(first + 1'500, first + 2'000);
  }
  if (!q.classes.empty()) q.classes.resize(1'500);
  if (!q.targets.empty()) q.targets.resize(1'500);
  for (const std::string& name : default_metrics(p.objective)) {
    EXPECT_NEAR(p.value(name), q.value(name), 1e-12 * std::fabs(q.value(name))) << name;
  }
}

std::string name_of(const testing::TestParamInfo<ObjectiveKind>& test) {
  constexpr std::string_view kNames[] = {"binary", "multiclass", "regression"};
  return std::string(kNames[static_cast<size_t>(test.param)]);
}
INSTANTIATE_TEST_SUITE_P(Objectives, EachObjective,
                         testing::Values(ObjectiveKind::binary, ObjectiveKind::multiclass,
                                         ObjectiveKind::regression),
                         name_of);

Problem binary(std::vector<int64_t> margins, std::vector<uint16_t> classes) {
  Problem p;
  p.margins = std::move(margins);
  p.classes = std::move(classes);
  return p;
}

TEST(Metrics, PrecisionAndRecallAtKCountTheTopRows) {
  const Problem p = binary({50, 40, 30, 20, 10}, {1, 0, 1, 0, 1});
  EXPECT_EQ(p.value("precision_at_1"), 1);
  EXPECT_EQ(p.value("precision_at_2"), 0.5);
  EXPECT_EQ(p.value("precision_at_3"), 2.0 / 3);
  EXPECT_EQ(p.value("recall_at_3"), 2.0 / 3);
  EXPECT_EQ(p.value("precision_at_100"), 3.0 / 5);
  EXPECT_EQ(p.value("recall_at_100"), 1);
}

TEST(Metrics, TiesAtTheCutoffCountByTheirShare) {
  const Problem p = binary({50, 40, 40, 40, 40, 10}, {0, 1, 0, 0, 1, 1});
  EXPECT_EQ(p.value("precision_at_3"), 1.0 / 3);  // 2 of 4 tied rows, half of them positive
  EXPECT_EQ(p.value("recall_at_3"), 1.0 / 3);
}

TEST(Metrics, WhatHasNoMeaningIsNaN) {
  const Problem p = binary({3, 1, 2}, {0, 0, 0});
  EXPECT_TRUE(std::isnan(p.value("auc")));
  EXPECT_TRUE(std::isnan(p.value("average_precision")));
  EXPECT_TRUE(std::isnan(p.value("recall_at_2")));
  EXPECT_EQ(p.value("precision_at_2"), 0);
  EXPECT_TRUE(std::isnan(binary({1, 2}, {1, 1}).value("auc")));
  for (const char* name : {"auc", "log_loss", "error", "precision_at_1", "rmse"}) {
    EXPECT_TRUE(std::isnan(binary({}, {}).value(name))) << name;
  }
  Problem constant;
  constant.objective = ObjectiveKind::regression;
  constant.margins = {1, 2};
  constant.targets = {7, 7};
  EXPECT_TRUE(std::isnan(constant.value("r2")));
  constant.weights = {0, 0};
  EXPECT_TRUE(std::isnan(constant.value("rmse")));
}

TEST(Metrics, ExtremesStayFinite) {
  const int64_t far = std::numeric_limits<int64_t>::max();
  const Problem p = binary({far, -far - 1, 0}, {0, 1, 1});
  EXPECT_EQ(p.value("auc"), 0);
  EXPECT_NEAR(p.value("log_loss"), (2 * 52 + 1) * std::log(2.0) / 3, 1e-12);
  Problem q;
  q.objective = ObjectiveKind::regression;
  q.margins = {0, 0, 0, 0};
  q.targets = {1.7e308, -1.7e308, 5e-324, 0};
  for (const char* name : {"rmse", "mae", "r2"}) EXPECT_TRUE(std::isfinite(q.value(name))) << name;
  q.targets = {5e-324, 0, 0, 0};
  for (const char* name : {"rmse", "mae"}) EXPECT_TRUE(std::isfinite(q.value(name))) << name;
}

TEST(Metrics, R2OfTargetsFarFromZeroIsExact) {
  Problem p;
  p.objective = ObjectiveKind::regression;
  for (int i = 0; i < 1'000; ++i) {
    p.targets.push_back(1e9 + i % 2);
    p.margins.push_back(static_cast<int64_t>((1e9 + 0.25) * 0x1p32) + (int64_t{i % 2} << 31));
  }
  EXPECT_EQ(p.value("r2"), 0.75);  // residuals of 1/4, deviations of 1/2
  p.targets.assign(1'000, 0.1);
  EXPECT_TRUE(std::isnan(p.value("r2")));
  p.weights.assign(1'000, 0.3f);
  EXPECT_TRUE(std::isnan(p.value("r2")));
}

TEST(Metrics, NamesAreKnownByObjective) {
  for (ObjectiveKind objective :
       {ObjectiveKind::binary, ObjectiveKind::multiclass, ObjectiveKind::regression}) {
    for (const std::string& name : default_metrics(objective)) {
      EXPECT_TRUE(check_metric(name, objective).ok()) << name;
    }
  }
  EXPECT_TRUE(check_metric("precision_at_250", ObjectiveKind::binary).ok());
  for (const char* name : {"precision_at_", "precision_at_0", "precision_at_01", "precision_at_-1",
                           "precision_at_K", "recall_at_1x", "", "AUC"}) {
    EXPECT_FALSE(check_metric(name, ObjectiveKind::binary).ok()) << name;
  }
  const Status status = check_metric("averge_precision", ObjectiveKind::binary);
  EXPECT_NE(status.message().find("average_precision"), std::string::npos) << status.message();
  EXPECT_FALSE(check_metric("auc", ObjectiveKind::multiclass).ok());
  EXPECT_TRUE(larger_is_better("auc"));
  EXPECT_TRUE(larger_is_better("recall_at_5"));
  EXPECT_FALSE(larger_is_better("log_loss"));
  EXPECT_EQ(canonical_metric_name("mlogloss"), "log_loss");
}

TEST(RadixSort, SortsLikeTheLibrary) {
  const RandomKey key(9, "radix");
  for (size_t size : {0, 1, 2047, 2048, 5000, 300'000}) {
    for (int bits : {1, 11, 12, 37, 64}) {
      std::vector<uint64_t> items(size);
      for (size_t i = 0; i < size; ++i) items[i] = key.at(i) >> (64 - bits);
      std::vector<uint64_t> expected = items;
      std::vector<uint64_t> scratch;
      std::sort(expected.begin(), expected.end());
      radix_sort(items, scratch, bits, [](uint64_t item) { return item; });
      ASSERT_EQ(items, expected) << size << " items of " << bits << " bits";
    }
  }
}

}  // namespace
}  // namespace evergrove::train
