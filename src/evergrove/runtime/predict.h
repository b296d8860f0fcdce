// Scoring and evaluating whole data sets with a model, block by block, in parallel.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/score/scorer.h"
#include "evergrove/table/row_source.h"

namespace evergrove::runtime {

enum class PredictionKind : uint8_t { probability, margin, predicted_class, leaf };

// Scores of all rows, row by row: probability and margin have 1 value a row (binary, regression)
// or one a class; predicted_class one (the class's index; regression: the value); leaf one a tree.
struct Predictions {
  size_t row_count = 0;
  size_t width = 1;
  LargeVector<double> values;
};

// A model that is laid out for scoring once (some milliseconds), for any number of sources.
// Immutable; safe to use from many threads. The model must outlive it.
class Predictor {
 public:
  // Requires: model::validate(model) is ok.
  explicit Predictor(const model::Model& model)
      : model_(&model), scorer_(std::make_shared<score::Scorer>(model)) {}

  // Refuses a source that lacks a feature or has it as another kind, naming the column.
  Result<Predictions> predict(const table::RowSource& source, PredictionKind kind,
                              int threads = 0) const;

 private:
  const model::Model* model_;
  std::shared_ptr<const score::Scorer> scorer_;
};

// The same, once.
Result<Predictions> predict(const model::Model& model, const table::RowSource& source,
                            PredictionKind kind, int threads = 0);

// Streams scores to a Parquet file, written beside its place and renamed: the kept columns first,
// as they are in the data, the scores last (`score`, or one column a class or tree).
struct PredictRequest {
  std::vector<std::string> data_paths;
  std::string out_path;
  PredictionKind kind = PredictionKind::probability;
  std::vector<std::string> keep;
  int threads = 0;
};
Result<uint64_t> predict_to_parquet(const model::Model& model, const PredictRequest& request);

// Metrics on labelled data; the label (and weight, if the model had one and the data has it) is
// the model's. Empty names: the objective's own metrics.
struct Evaluation {
  uint64_t row_count = 0;
  std::vector<model::MetricValue> metrics;
};
Result<Evaluation> evaluate(const model::Model& model, const table::RowSource& source,
                            const std::vector<std::string>& metric_names, int threads = 0);

}  // namespace evergrove::runtime
