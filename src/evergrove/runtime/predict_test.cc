// Predicting and evaluating: the laws that tie them to training, and what they must refuse.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/predict.h"

#include <gtest/gtest.h>

#include <cmath>

#include "evergrove/runtime/predict_fixture.h"

namespace evergrove::runtime {
namespace {

using table::ColumnKind;
using table::ColumnValues;
using table::MemorySource;

struct Case {
  std::string label;
  bool weighted;
};

class PredictLaws : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Objectives, PredictLaws,
                         testing::Values(Case{"fraud", false}, Case{"fraud", true},
                                         Case{"species", false}, Case{"price", false},
                                         Case{"price", true}),
                         [](const auto& instance) {
                           return instance.param.label +
                                  (instance.param.weighted ? "Weighted" : "");
                         });

// Training computed margins from bins; scoring computes them from values. One bit of difference in
// one row would show in the metrics.
TEST_P(PredictLaws, EvaluatingTheTrainingDataGivesTheMetricsOfTraining) {
  const auto [label, weighted] = GetParam();
  const Rows rows(3000);
  const Trained trained = train_on(*rows.source(label), label, weighted);
  for (const size_t block_rows : {size_t{1000}, size_t{77}, size_t{5000}}) {
    const auto evaluation = evaluate(trained.model, *rows.source(label, block_rows), {}, 2);
    ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
    EXPECT_EQ(evaluation->row_count, 3000u);
    ASSERT_EQ(evaluation->metrics.size(), trained.metrics.size());
    for (size_t i = 0; i < trained.metrics.size(); ++i) {
      EXPECT_EQ(evaluation->metrics[i].name, trained.metrics[i].name);
      EXPECT_EQ(evaluation->metrics[i].value, trained.metrics[i].value);
      EXPECT_EQ(evaluation->metrics[i].set, "data");
    }
  }
}

TEST_P(PredictLaws, ScoresAreTheSameForAnyBlocksAndThreads) {
  const auto [label, weighted] = GetParam();
  const Rows rows(2000);
  const model::Model model = train_on(*rows.source(label), label, weighted).model;
  for (const PredictionKind kind : {PredictionKind::probability, PredictionKind::margin,
                                    PredictionKind::predicted_class, PredictionKind::leaf}) {
    const auto expected = predict(model, *rows.source(label, 100'000), kind, 1);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    EXPECT_EQ(expected->values.size(), expected->row_count * expected->width);
    for (const int threads : {0, 1, 2, 3, 8}) {
      for (const size_t block_rows : {size_t{1}, size_t{333}}) {
        const auto scores = predict(model, *rows.source(label, block_rows), kind, threads);
        ASSERT_TRUE(scores.ok()) << scores.status().message();
        EXPECT_EQ(scores->values, expected->values);
      }
    }
  }
}

TEST_P(PredictLaws, KindsOfScoresAgree) {
  const auto [label, weighted] = GetParam();
  const Rows rows(500);
  const auto source = rows.source(label);
  const model::Model model = train_on(*source, label, weighted).model;
  const auto scores = [&](PredictionKind kind) { return predict(model, *source, kind).value(); };
  const Predictions probability = scores(PredictionKind::probability);
  const Predictions margin = scores(PredictionKind::margin);
  const Predictions chosen = scores(PredictionKind::predicted_class);
  const Predictions leaf = scores(PredictionKind::leaf);
  const size_t outputs = model.output_count();
  EXPECT_EQ(probability.width, outputs);
  EXPECT_EQ(margin.width, outputs);
  EXPECT_EQ(chosen.width, 1u);
  EXPECT_EQ(leaf.width, model.trees.size());
  for (size_t row = 0; row < 500; ++row) {
    std::vector<int64_t> sums = model.base_margins;
    for (size_t tree = 0; tree < model.trees.size(); ++tree) {
      const auto index = static_cast<size_t>(leaf.values[row * leaf.width + tree]);
      ASSERT_LT(index, model.trees[tree].nodes.size());
      ASSERT_EQ(model.trees[tree].nodes[index].feature, -1);
      sums[model.trees[tree].output] += model.trees[tree].nodes[index].value;
    }
    size_t best = 0;
    for (size_t k = 0; k < outputs; ++k) {
      EXPECT_EQ(margin.values[row * outputs + k],
                std::ldexp(double(sums[k]), model.value_exponent));
      if (sums[k] > sums[best]) best = k;
    }
    if (label == "price") {
      EXPECT_EQ(chosen.values[row], margin.values[row]);
      EXPECT_EQ(probability.values[row], margin.values[row]);
    } else if (label == "fraud") {
      EXPECT_EQ(chosen.values[row], probability.values[row] > 0.5 ? 1 : 0);
    } else {
      EXPECT_EQ(chosen.values[row], double(best));
    }
  }
}

// ---- what is refused ----

// The rows without a column, or with one replaced.
std::shared_ptr<MemorySource> without(const MemorySource& source, const std::string& name) {
  std::vector<table::ColumnSpec> schema;
  std::vector<size_t> columns;
  for (size_t i = 0; i < source.schema().columns.size(); ++i) {
    if (source.schema().columns[i].name == name) continue;
    schema.push_back(source.schema().columns[i]);
    columns.push_back(i);
  }
  const auto block = source.read(0, columns);
  return std::make_shared<MemorySource>(schema, block->columns, block->row_count);
}

std::shared_ptr<MemorySource> with(const MemorySource& source, table::ColumnSpec spec,
                                   ColumnValues values) {
  const auto others = without(source, spec.name);
  std::vector<table::ColumnSpec> schema = others->schema().columns;
  std::vector<size_t> columns;
  for (size_t i = 0; i < schema.size(); ++i) columns.push_back(i);
  auto block = others->read(0, columns);
  schema.push_back(std::move(spec));
  block->columns.push_back(std::move(values));
  return std::make_shared<MemorySource>(schema, block->columns, block->row_count);
}

template <typename T>
void expect_refused(const Result<T>& result, const std::string& part,
                    StatusKind kind = StatusKind::invalid_input) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().kind(), kind);
  EXPECT_NE(result.status().message().find(part), std::string::npos) << result.status().message();
}

class PredictRefuses : public testing::Test {
 protected:
  const Rows rows_{400};
  const std::shared_ptr<MemorySource> source_ = rows_.source("fraud", 400);
  const model::Model model_ = train_on(*source_, "fraud", true).model;
};

TEST_F(PredictRefuses, AColumnThatIsNotThere) {
  expect_refused(predict(model_, *without(*source_, "colour"), PredictionKind::margin), "colour");
  expect_refused(evaluate(model_, *without(*source_, "x1"), {}), "x1");
  // The label is not needed for scores.
  EXPECT_TRUE(predict(model_, *without(*source_, "fraud"), PredictionKind::margin).ok());
}

TEST_F(PredictRefuses, AColumnOfAnotherKind) {
  const auto numbers = with(*source_, {"colour", ColumnKind::numeric, "int64"},
                            ColumnValues::of(std::vector<double>(400, 1.0)));
  expect_refused(predict(model_, *numbers, PredictionKind::leaf), "colour");
  const auto text = with(*source_, {"x0", ColumnKind::categorical, "string"},
                         ColumnValues::of(std::vector<int32_t>(400, 0), {"a"}));
  expect_refused(predict(model_, *text, PredictionKind::probability), "x0");
}

TEST_F(PredictRefuses, EvaluationWithoutTheLabel) {
  expect_refused(evaluate(model_, *without(*source_, "fraud"), {}), "fraud");
  model::Model unlabelled = model_;
  unlabelled.metadata.label.clear();
  expect_refused(evaluate(unlabelled, *source_, {}), "label");
}

TEST_F(PredictRefuses, EvaluationOfAClassThatTheModelDoesNotKnow) {
  std::vector<double> labels(400, 0.0);
  labels[123] = 2;
  const auto source =
      with(*source_, {"fraud", ColumnKind::numeric, "double"}, ColumnValues::of(labels));
  expect_refused(evaluate(model_, *source, {}), "row: 123");
}

TEST_F(PredictRefuses, EvaluationOfMissingLabelsAndNegativeWeights) {
  std::vector<double> labels(400, 0.0);
  labels[7] = std::nan("");
  expect_refused(
      evaluate(model_,
               *with(*source_, {"fraud", ColumnKind::numeric, "double"}, ColumnValues::of(labels)),
               {}),
      "missing");
  std::vector<double> weights(400, 1.0);
  weights[9] = -1;
  expect_refused(
      evaluate(model_,
               *with(*source_, {"w", ColumnKind::numeric, "double"}, ColumnValues::of(weights)),
               {}),
      "negative");
}

TEST_F(PredictRefuses, EvaluationOfNoRows) {
  std::vector<ColumnValues> columns(source_->schema().columns.size());
  const MemorySource empty(source_->schema().columns, columns, 0);
  expect_refused(evaluate(model_, empty, {}), "no rows");
  const auto scores = predict(model_, empty, PredictionKind::probability);
  ASSERT_TRUE(scores.ok());
  EXPECT_EQ(scores->row_count, 0u);
}

TEST_F(PredictRefuses, MetricsThatAreUnknownOrOfAnotherObjective) {
  expect_refused(evaluate(model_, *source_, {"acuracy"}), "accuracy");
  expect_refused(evaluate(model_, *source_, {"r2"}), "r2");
}

TEST_F(PredictRefuses, ALabelOfTextForRegression) {
  const model::Model regression = train_on(*rows_.source("price"), "price", false).model;
  const auto text = with(*rows_.source("price", 400), {"price", ColumnKind::categorical, "string"},
                         ColumnValues::of(std::vector<int32_t>(400, 0), {"dear"}));
  expect_refused(evaluate(regression, *text, {}), "text");
}

// ---- what is allowed ----

class PredictAllows : public PredictRefuses {};

TEST_F(PredictAllows, AConstantLabel) {
  const auto source = with(*source_, {"fraud", ColumnKind::numeric, "double"},
                           ColumnValues::of(std::vector<double>(400, 1.0)));
  const auto evaluation = evaluate(model_, *source, {"auc", "log_loss"});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
  EXPECT_TRUE(std::isnan(evaluation->metrics[0].value));
  EXPECT_TRUE(std::isfinite(evaluation->metrics[1].value));
}

TEST_F(PredictAllows, DataWithoutTheWeight) {
  const auto weighted = evaluate(model_, *source_, {"log_loss"});
  const auto plain = evaluate(model_, *without(*source_, "w"), {"log_loss"});
  ASSERT_TRUE(plain.ok()) << plain.status().message();
  EXPECT_NE(plain->metrics[0].value, weighted->metrics[0].value);
}

TEST_F(PredictAllows, OtherNamesOfMetrics) {
  const auto evaluation = evaluate(model_, *source_, {"logloss", "roc_auc", "precision_at_10"});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
  EXPECT_EQ(evaluation->metrics[0].name, "log_loss");
  EXPECT_EQ(evaluation->metrics[1].name, "auc");
}

// Categories that the model never saw, and missing values everywhere, are scored.
TEST_F(PredictAllows, UnseenCategoriesAndMissingValues) {
  auto source = with(*source_, {"colour", ColumnKind::categorical, "string"},
                     ColumnValues::of(std::vector<int32_t>(400, 0), {"ultraviolet"}));
  const auto unseen = predict(model_, *source, PredictionKind::margin);
  source = with(*source_, {"colour", ColumnKind::categorical, "string"},
                ColumnValues::of(std::vector<int32_t>(400, -1), {}));
  const auto missing = predict(model_, *source, PredictionKind::margin);
  ASSERT_TRUE(unseen.ok());
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(unseen->values, missing->values);
}

}  // namespace
}  // namespace evergrove::runtime
