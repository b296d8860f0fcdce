// Summaries of parts of the rows, merged in any order, are that of all rows; and bytes from anyone.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "evergrove/base/hash.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/testing_problem.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

// The rows of a problem whose number modulo `parts` is `part`.
Problem part_of(const Problem& p, size_t part, size_t parts) {
  Problem q;
  q.objective = p.objective;
  q.outputs = p.outputs;
  for (size_t k = 0; k < p.outputs; ++k) {
    for (size_t row = part; row < p.rows(); row += parts) {
      q.margins.push_back(p.margins[k * p.rows() + row]);
    }
  }
  for (size_t row = part; row < p.rows(); row += parts) {
    if (!p.classes.empty()) q.classes.push_back(p.classes[row]);
    if (!p.targets.empty()) q.targets.push_back(p.targets[row]);
    if (!p.weights.empty()) q.weights.push_back(p.weights[row]);
  }
  return q;
}

std::string bytes_of(const MetricSummary& summary) {
  ByteWriter out;
  summary.encode(out);
  return out.take();
}
Result<MetricSummary> summary_of(std::string_view bytes) {
  ByteReader in(bytes);
  return MetricSummary::decode(in);
}

// Each name that the objective has.
std::vector<std::string> all_names(ObjectiveKind objective) {
  std::vector<std::string> names;
  for (const char* name :
       {"auc", "average_precision", "log_loss", "error", "accuracy", "rmse", "mse", "mae", "r2",
        "precision_at_10", "recall_at_77", "precision_at_3"}) {
    if (check_metric(name, objective).ok()) names.push_back(name);
  }
  return names;
}

class MetricSummaries : public testing::TestWithParam<ObjectiveKind> {};

TEST_P(MetricSummaries, PartsMergedInAnyOrderHaveTheBitsOfTheWhole) {
  const std::vector<std::string> names = all_names(GetParam());
  for (const bool weighted : {false, true}) {
    const Problem p = make_problem(GetParam(), 5'000, 6, weighted, 900);
    const MetricSummary whole = MetricSummary::of(names, p.input());
    const float weight_max =
        weighted ? *std::max_element(p.weights.begin(), p.weights.end()) : 0.0f;
    for (size_t parts : {1, 2, 7, 6'000}) {  // the last leaves some without rows
      std::vector<MetricSummary> summaries;
      for (size_t i = 0; i < parts; ++i) {
        const Problem part = part_of(p, i, parts);
        MetricInput input = part.input();
        input.weight_max = weight_max;
        const auto read = summary_of(bytes_of(MetricSummary::of(names, input)));
        ASSERT_TRUE(read.ok()) << read.status().message();
        summaries.push_back(*read);
      }
      // As a tree from the middle, not as a chain.
      std::rotate(summaries.begin(), summaries.begin() + summaries.size() / 2, summaries.end());
      for (size_t step = 1; step < parts; step *= 2) {
        for (size_t i = 0; i + step < parts; i += 2 * step) summaries[i].merge(summaries[i + step]);
      }
      ASSERT_TRUE(summaries[0].values().ok());
      EXPECT_EQ(bytes_of(summaries[0]), bytes_of(whole)) << parts << " parts";
      EXPECT_EQ(*summaries[0].values(), *whole.values()) << parts << " parts";
      EXPECT_EQ(*whole.values(), *evaluate_metrics(names, p.input()));
    }
  }
}

TEST_P(MetricSummaries, ManyPartsOnlyOfWeightZeroChangeNothing) {
  Problem p = make_problem(GetParam(), 600, 8, true, 90);
  const std::vector<std::string> names = all_names(GetParam());
  std::fill(p.weights.begin(), p.weights.begin() + 100, 0.0f);
  Problem zeros = p;
  std::fill(zeros.weights.begin(), zeros.weights.end(), 0.0f);
  MetricInput input = zeros.input();
  input.weight_max = *std::max_element(p.weights.begin(), p.weights.end());
  MetricSummary sum = MetricSummary::of(names, input);
  sum.merge(MetricSummary::of(names, p.input()));
  const std::vector<double> values = *sum.values();
  for (size_t i = 0; i < names.size(); ++i) {
    if (metric_cutoff(names[i]) > 0) continue;  // they count rows
    EXPECT_EQ(values[i], p.value(names[i])) << names[i];
  }
}

std::string name_of(const testing::TestParamInfo<ObjectiveKind>& test) {
  constexpr std::string_view kNames[] = {"binary", "multiclass", "regression"};
  return std::string(kNames[static_cast<size_t>(test.param)]);
}
INSTANTIATE_TEST_SUITE_P(Objectives, MetricSummaries,
                         testing::Values(ObjectiveKind::binary, ObjectiveKind::multiclass,
                                         ObjectiveKind::regression),
                         name_of);

TEST(MetricSummary, OfOtherSettingsGivesNoValues) {
  const Problem p = make_problem(ObjectiveKind::binary, 50, 1, true);
  const std::vector<std::string> names = {"auc", "log_loss"};
  MetricInput input = p.input();
  const MetricSummary summary = MetricSummary::of(names, input);
  input.weight_max = 100;
  const MetricSummary of_other_weights = MetricSummary::of(names, input);
  const std::vector<std::string> fewer = {"log_loss"};
  const MetricSummary of_other_names = MetricSummary::of(fewer, p.input());
  const MetricSummary of_other_objective =
      MetricSummary::of(fewer, make_problem(ObjectiveKind::multiclass, 50, 1, true).input());
  const auto values_of = [](MetricSummary a, const MetricSummary& b, const MetricSummary& c) {
    a.merge(b);
    a.merge(c);
    const auto read = summary_of(bytes_of(a));
    EXPECT_TRUE(read.ok());
    EXPECT_EQ(read->values().ok(), a.values().ok());
    return a.values();
  };
  EXPECT_TRUE(values_of(summary, summary, MetricSummary()).ok());
  EXPECT_TRUE(values_of(MetricSummary(), summary, summary).ok());
  EXPECT_FALSE(values_of(summary, of_other_weights, summary).ok());
  EXPECT_FALSE(values_of(MetricSummary(), of_other_weights, summary).ok());
  EXPECT_FALSE(values_of(of_other_names, of_other_objective, of_other_names).ok());
  const auto mixed = values_of(summary, of_other_names, summary);
  ASSERT_FALSE(mixed.ok());
  EXPECT_NE(mixed.status().message().find("same settings"), std::string::npos);
}

TEST(MetricSummary, BytesThatMakeNoSenseAreRefused) {
  for (ObjectiveKind objective :
       {ObjectiveKind::binary, ObjectiveKind::multiclass, ObjectiveKind::regression}) {
    const std::vector<std::string> names = all_names(objective);
    const Problem p = make_problem(objective, 20, 2, true, 9);
    const std::string good = bytes_of(MetricSummary::of(names, p.input()));
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_FALSE(summary_of(std::string_view(good).substr(0, size)).ok()) << size;
    }
    // Any change of a byte is refused or gives something that can be used.
    const RandomKey key(4, "bytes");
    for (size_t i = 0; i < 4 * good.size(); ++i) {
      std::string bytes = good;
      bytes[i % bytes.size()] = static_cast<char>(key.at(i));
      const auto summary = summary_of(bytes);
      if (!summary.ok()) continue;
      MetricSummary sum = *summary;
      sum.merge(*summary);
      if (!sum.values().ok()) continue;
      EXPECT_EQ(sum.values()->size(), names.size());
    }
  }
  const auto refused = [](uint8_t objective, uint32_t count, std::string_view name) {
    ByteWriter out;
    out.u8(0).u8(objective).u32(count).string(name);
    for (int i = 0; i < 30; ++i) out.u8(0);
    return !summary_of(out.bytes()).ok();
  };
  EXPECT_FALSE(refused(0, 1, "log_loss"));
  EXPECT_TRUE(refused(3, 1, "log_loss"));
  EXPECT_TRUE(refused(0, 0xffffffff, "log_loss"));
  EXPECT_TRUE(refused(0, 1, "logg_loss"));
  EXPECT_TRUE(refused(2, 1, "log_loss"));  // regression has none
  EXPECT_TRUE(refused(1, 1, "auc"));
}

}  // namespace
}  // namespace evergrove::train
