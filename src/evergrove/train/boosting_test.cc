// The training run as a state machine: what it learns, that nothing but rows, parameters and seed
// matters, and that replaying its records is as good as having computed them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cmath>
#include <numeric>

#include "evergrove/base/hash.h"
#include "evergrove/table/memory_source.h"
#include "evergrove/train/trainer.h"

namespace evergrove::train {
namespace {

using table::ColumnKind;
using table::ColumnValues;
using table::MemorySource;

double uniform(uint64_t bits) { return double(bits >> 11) * 0x1p-53; }

// Five numeric columns (one with missing values), one of text, a weight and three labels.
struct Rows {
  size_t count;
  std::vector<std::vector<double>> numbers{5};
  std::vector<int32_t> colours;
  std::vector<double> weight, binary, target;
  std::vector<int32_t> species;

  explicit Rows(size_t row_count, uint64_t seed = 1) : count(row_count) {
    const RandomKey key(seed, "rows");
    for (size_t row = 0; row < count; ++row) {
      double signal = 0;
      for (size_t f = 0; f < numbers.size(); ++f) {
        const double x = uniform(key.at(row * 16 + f));
        numbers[f].push_back(f == 1 && x < 0.1 ? std::nan("") : x);
        signal += f == 1 && x < 0.1 ? 1 : std::sin(5 * x + double(f));
      }
      colours.push_back(static_cast<int32_t>(key.at(row * 16 + 6) % 6));
      signal += colours.back() % 3 == 0 ? 0.8 : -0.4;
      const double noise = uniform(key.at(row * 16 + 7));
      binary.push_back(1 / (1 + std::exp(-signal)) > noise ? 1 : 0);
      species.push_back(static_cast<int32_t>(signal + 2 * noise > 1) +
                        static_cast<int32_t>(signal > 0));
      target.push_back(1000 * std::exp(signal) + 100 * noise);
      weight.push_back(0.5 + uniform(key.at(row * 16 + 8)));
    }
  }

  std::shared_ptr<MemorySource> source(const std::string& label, size_t block_rows = 65536) const {
    std::vector<table::ColumnSpec> schema;
    std::vector<ColumnValues> columns;
    for (size_t f = 0; f < numbers.size(); ++f) {
      schema.push_back({"x" + std::to_string(f), ColumnKind::numeric, "double"});
      columns.push_back(ColumnValues::of(numbers[f]));
    }
    schema.push_back({"colour", ColumnKind::categorical, "string"});
    columns.push_back(
        ColumnValues::of(colours, {"red", "green", "blue", "black", "white", "grey"}));
    schema.push_back({"w", ColumnKind::numeric, "double"});
    columns.push_back(ColumnValues::of(weight));
    if (label == "species") {
      schema.push_back({label, ColumnKind::categorical, "string"});
      columns.push_back(ColumnValues::of(species, {"setosa", "virginica", "versicolor"}));
    } else {
      schema.push_back({label, ColumnKind::numeric, "double"});
      columns.push_back(ColumnValues::of(label == "binary" ? binary : target));
    }
    return std::make_shared<MemorySource>(schema, columns, count, block_rows);
  }
};

struct Setting {
  std::string label = "binary";
  Parameters parameters;
  size_t block_rows = 65536;
  int threads = 2;
  double valid_fraction = 0;
  bool weighted = false;
};

DataSpec spec_of(const Rows& rows, const Setting& setting) {
  DataSpec spec;
  spec.data = rows.source(setting.label, setting.block_rows);
  spec.label = setting.label;
  if (setting.weighted) {
    spec.weight = "w";
  } else {
    spec.exclude = {"w"};
  }
  spec.valid_fraction = setting.valid_fraction;
  return spec;
}

Parameters quick(Growth growth = Growth::leaf) {
  Parameters parameters;
  parameters.n_estimators = 12;
  parameters.growth = growth;
  parameters.max_leaves = growth == Growth::symmetric ? 64 : 15;
  parameters.max_depth = growth == Growth::leaf ? 0 : 4;
  parameters.seed = 3;
  return parameters;
}

struct Outcome {
  model::Model model;
  std::vector<Iteration> iterations;
  std::vector<model::MetricValue> training_metrics;
  std::string digest() const { return model::digest(model); }
  double metric(std::string_view set, std::string_view name) const {
    const auto& all = set == "train" ? training_metrics : iterations.back().metrics;
    for (const model::MetricValue& value : all) {
      if (value.set == set && value.name == name) return value.value;
    }
    return std::nan("");
  }
};

Outcome run(const Rows& rows, const Setting& setting) {
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(setting.threads);
  return arena.execute([&] {
    Result<PreparedData> prepared =
        prepare(spec_of(rows, setting), setting.parameters, nullptr, nullptr);
    EXPECT_TRUE(prepared.ok()) << prepared.status().message();
    auto trainer = Trainer::create(prepared->header, std::move(prepared->data));
    EXPECT_TRUE(trainer.ok()) << trainer.status().message();
    Outcome outcome;
    while (!(*trainer)->finished()) outcome.iterations.push_back(*(*trainer)->next());
    outcome.model = (*trainer)->model();
    outcome.training_metrics = *(*trainer)->training_metrics();
    EXPECT_TRUE(model::validate(outcome.model).ok()) << model::validate(outcome.model).message();
    return outcome;
  });
}

TEST(Boosting, LearnsEachObjective) {
  const Rows rows(6000);
  EXPECT_GT(run(rows, {.label = "binary", .parameters = quick()}).metric("train", "auc"), 0.78);
  EXPECT_LT(run(rows, {.label = "species", .parameters = quick()}).metric("train", "error"), 0.25);
  Setting regression{.label = "target", .parameters = quick()};
  regression.parameters.n_estimators = 60;
  const double mean = std::accumulate(rows.target.begin(), rows.target.end(), 0.0) / 6000;
  double variance = 0;
  for (double y : rows.target) variance += (y - mean) * (y - mean) / 6000;
  EXPECT_LT(run(rows, regression).metric("train", "rmse"), 0.35 * std::sqrt(variance));
}

TEST(Boosting, GivesOneDigestWhateverTheThreadsAndBlocks) {
  const Rows rows(5000);
  for (const char* label : {"binary", "species", "target"}) {
    for (const Growth growth : {Growth::leaf, Growth::depth, Growth::symmetric}) {
      Setting setting{.label = label, .parameters = quick(growth), .weighted = true};
      setting.parameters.subsample = 0.7;
      setting.parameters.colsample_bytree = 0.8;
      setting.parameters.colsample_bynode = 0.8;
      setting.parameters.n_estimators = 5;
      const std::string digest = run(rows, setting).digest();
      for (const auto& [threads, block_rows] :
           {std::pair{1, size_t{100}}, {3, size_t{777}}, {8, size_t{5000}}}) {
        setting.threads = threads;
        setting.block_rows = block_rows;
        EXPECT_EQ(run(rows, setting).digest(), digest) << label << " threads " << threads;
      }
      setting.parameters.seed = 4;
      EXPECT_NE(run(rows, setting).digest(), digest);
    }
  }
}

TEST(Boosting, ReplayIsAsGoodAsComputing) {
  const Rows rows(4000);
  for (const char* label : {"binary", "species", "target"}) {
    Setting setting{.label = label, .parameters = quick(), .valid_fraction = 0.25};
    setting.parameters.subsample = 0.5;
    const Outcome whole = run(rows, setting);
    for (size_t known : {size_t{0}, size_t{1}, size_t{7}, whole.iterations.size()}) {
      Result<PreparedData> first = prepare(spec_of(rows, setting), setting.parameters, nullptr, {});
      ASSERT_TRUE(first.ok());
      const Result<RunHeader> logged = decode_header(encode_header(first->header));
      ASSERT_TRUE(logged.ok()) << logged.status().message();
      Result<PreparedData> again =
          prepare(spec_of(rows, setting), setting.parameters, &*logged, nullptr);
      ASSERT_TRUE(again.ok()) << again.status().message();
      auto trainer = Trainer::create(again->header, std::move(again->data));
      ASSERT_TRUE(trainer.ok());
      for (size_t i = 0; i < known; ++i) {
        const auto record = decode_iteration(encode_iteration(whole.iterations[i]));
        ASSERT_TRUE(record.ok()) << record.status().message();
        ASSERT_TRUE((*trainer)->replay(*record).ok());
      }
      while (!(*trainer)->finished()) {
        const Iteration iteration = *(*trainer)->next();
        const Iteration& expected = whole.iterations[iteration.index];
        EXPECT_EQ(encode_iteration(iteration), encode_iteration(expected));
      }
      EXPECT_EQ(model::digest((*trainer)->model()), whole.digest());
    }
  }
}

TEST(Boosting, RefusesRecordsThatDoNotFollow) {
  const Rows rows(2000);
  const Setting setting{.parameters = quick()};
  const Outcome whole = run(rows, setting);
  Result<PreparedData> prepared = prepare(spec_of(rows, setting), setting.parameters, nullptr, {});
  auto trainer = Trainer::create(prepared->header, std::move(prepared->data));
  EXPECT_EQ((*trainer)->replay(whole.iterations[1]).kind(), StatusKind::corrupt);
  Iteration altered = whole.iterations[0];
  for (model::Node& node : altered.trees[0].nodes) node.threshold += 1e-3;
  EXPECT_EQ((*trainer)->replay(altered).kind(), StatusKind::corrupt);
  EXPECT_EQ((*trainer)->iteration_count(), 0u);
  EXPECT_TRUE((*trainer)->replay(whole.iterations[0]).ok());
}

TEST(Boosting, ALongerRunStartsAsTheShorterOne) {
  const Rows rows(3000);
  Setting setting{.parameters = quick()};
  const Outcome shorter = run(rows, setting);
  setting.parameters.n_estimators = 20;
  const Outcome longer = run(rows, setting);
  for (size_t i = 0; i < shorter.iterations.size(); ++i) {
    EXPECT_EQ(encode_iteration(shorter.iterations[i]), encode_iteration(longer.iterations[i]));
  }
}

TEST(Boosting, StopsEarlyAtTheBestIteration) {
  const Rows rows(1500);
  Setting setting{.parameters = quick(), .valid_fraction = 0.3};
  setting.parameters.n_estimators = 500;
  setting.parameters.learning_rate = 0.5;
  setting.parameters.metrics = {"log_loss"};
  setting.parameters.early_stopping_rounds = 5;
  const Outcome outcome = run(rows, setting);
  const size_t kept = outcome.model.metadata.best_iteration;
  EXPECT_LT(outcome.iterations.size(), 500u);
  EXPECT_EQ(outcome.iterations.size(), kept + 5);
  EXPECT_EQ(outcome.model.trees.size(), kept);
  for (const Iteration& iteration : outcome.iterations) {
    EXPECT_GE(iteration.metrics[0].value, outcome.iterations[kept - 1].metrics[0].value);
  }
}

// A sample that is empty is not the sample of all rows.
TEST(Boosting, LearnsNothingFromASampleWithoutRows) {
  Setting setting;
  setting.parameters = quick();
  setting.parameters.subsample = 1e-9;
  const Outcome outcome = run(Rows(300), setting);
  ASSERT_FALSE(outcome.iterations.empty());
  for (const Iteration& iteration : outcome.iterations) {
    ASSERT_EQ(iteration.trees.size(), 1u);
    EXPECT_EQ(iteration.trees[0].nodes.size(), 1u);
    EXPECT_EQ(iteration.trees[0].nodes[0].value, 0);
    EXPECT_EQ(iteration.trees[0].nodes[0].cover, 0u);
  }
}

TEST(Boosting, WeightTwoIsTheRowTwice) {
  // Not to the bit, for row ids differ; but what is learnt must be the same but for rounding.
  Rows once(3000);
  for (double& w : once.weight) w = 1;
  const double plain = run(once, {.parameters = quick()}).metric("train", "auc");
  const double weighted =
      run(once, {.parameters = quick(), .weighted = true}).metric("train", "auc");
  EXPECT_NEAR(plain, weighted, 1e-3);
}

TEST(Prepare, RefusesBadLabelsAndWeights) {
  const auto refuse = [](const Rows& rows, const Setting& setting, std::string_view word) {
    const auto result = prepare(spec_of(rows, setting), setting.parameters, nullptr, nullptr);
    ASSERT_FALSE(result.ok()) << word;
    EXPECT_EQ(result.status().kind(), StatusKind::invalid_input);
    EXPECT_NE(result.status().message().find(word), std::string::npos) << result.status().message();
  };
  const Setting plain{.parameters = quick()};
  Setting weighted = plain;
  weighted.weighted = true;
  Setting target{.label = "target", .parameters = quick()};

  Rows rows(200);
  rows.binary[17] = std::nan("");
  refuse(rows, plain, "missing");
  refuse(rows, plain, "first row: 17");
  rows = Rows(200);
  rows.target[3] = INFINITY;
  refuse(rows, target, "infinite");
  rows = Rows(200);
  rows.binary.assign(200, 1);
  refuse(rows, plain, "constant");
  rows = Rows(200);
  rows.weight[5] = -1;
  refuse(rows, weighted, "negative");
  rows.weight[5] = std::nan("");
  refuse(rows, weighted, "NaN");
  rows.weight.assign(200, 0);
  refuse(rows, weighted, "All weights are 0");
  rows.weight.assign(200, 1e-30);
  refuse(rows, weighted, "as good as");
  target.weighted = true;
  refuse(rows, target, "as good as");
  rows.weight[9] = 1e300;
  refuse(rows, weighted, "first row: 9");
  rows = Rows(200);
  rows.target[4] = -1e101;
  refuse(rows, target, "beyond 1e100");
  rows = Rows(200);
  rows.species[0] = -1;
  Setting species{.label = "species", .parameters = quick()};
  refuse(rows, species, "missing");

  DataSpec spec = spec_of(Rows(200), plain);
  spec.objective_is_chosen = true;
  spec.label = "x0";
  auto result = prepare(spec, plain.parameters, nullptr, nullptr);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("two values"), std::string::npos);
  spec.label = "nowhere";
  result = prepare(spec, plain.parameters, nullptr, nullptr);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("nowhere"), std::string::npos);
  spec = spec_of(Rows(200), plain);
  spec.exclude.push_back("colou");
  EXPECT_FALSE(prepare(spec, plain.parameters, nullptr, nullptr).ok());
}

TEST(Prepare, StopsWhenAsked) {
  const auto result = prepare(spec_of(Rows(200), {}), quick(), nullptr,
                              [](std::string_view, double) { return false; });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().kind(), StatusKind::interrupted);
}

}  // namespace
}  // namespace evergrove::train
