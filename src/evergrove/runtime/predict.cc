// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/predict.h"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/runtime/block_scorer.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/train/label.h"
#include "evergrove/train/margins.h"
#include "evergrove/train/metrics.h"

namespace evergrove::runtime {
namespace {

// Runs work(block_index) for all blocks in parallel; the first failure, in row order, is the
// result.
template <typename Work>
Status for_each_block(const table::RowSource& source, Work work) {
  std::vector<Status> statuses(source.blocks().size());
  tbb::parallel_for(size_t{0}, statuses.size(), [&](size_t b) { statuses[b] = work(b); });
  for (Status& status : statuses) {
    if (!status.ok()) return std::move(status);
  }
  return {};
}

Result<Predictions> predict_by(const BlockScorer& scorer, const table::RowSource& source,
                               PredictionKind kind) {
  Predictions predictions;
  predictions.row_count = source.row_count();
  predictions.width = scorer.width(kind);
  predictions.values.resize(predictions.row_count * predictions.width);
  EVERGROVE_RETURN_IF_ERROR(for_each_block(source, [&](size_t b) -> Status {
    const table::BlockExtent extent = source.blocks()[b];
    const std::span<double> to =
        std::span(predictions.values)
            .subspan(extent.first_row * predictions.width, extent.row_count * predictions.width);
    if (kind != PredictionKind::leaf) return scorer.values(b, kind, to);
    EVERGROVE_ASSIGN_OR_RETURN(const std::vector<int32_t> leaves, scorer.leaves(b));
    std::copy(leaves.begin(), leaves.end(), to.begin());
    return {};
  }));
  return predictions;
}

Result<Evaluation> evaluate_here(const model::Model& model, const table::RowSource& source,
                                 const std::vector<std::string>& metric_names) {
  std::vector<std::string> names;
  for (const std::string& name : metric_names) names.push_back(train::canonical_metric_name(name));
  if (names.empty()) names = train::default_metrics(model.objective);
  for (const std::string& name : names) {
    EVERGROVE_RETURN_IF_ERROR(train::check_metric(name, model.objective));
  }
  if (model.metadata.label.empty()) {
    return invalid_input(
        "The model does not say which column is its label, so it cannot be "
        "evaluated; use one that Evergrove trained");
  }
  if (source.row_count() == 0) {
    return invalid_input("The data has no rows; there is nothing to evaluate on");
  }
  EVERGROVE_ASSIGN_OR_RETURN(const BlockScorer scorer, BlockScorer::create(model, source));
  EVERGROVE_ASSIGN_OR_RETURN(const train::RawLabels labels,
                             train::read_labels(source, model.metadata.label));
  train::MetricInput input;
  input.objective = model.objective;
  input.value_exponent = model.value_exponent;
  input.output_count = model.output_count();
  std::vector<double> targets;
  std::vector<uint16_t> classes;
  if (model.objective == model::ObjectiveKind::regression) {
    EVERGROVE_ASSIGN_OR_RETURN(targets, train::to_targets(labels));
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(classes, train::to_classes(labels, class_names(model)));
  }
  std::vector<float> weights;
  if (!model.metadata.weight.empty() && source.schema().find(model.metadata.weight)) {
    EVERGROVE_ASSIGN_OR_RETURN(weights, train::read_weights(source, model.metadata.weight));
  }
  const size_t outputs = input.output_count;
  train::Margins margins(model.base_margins, source.row_count());
  EVERGROVE_RETURN_IF_ERROR(for_each_block(source, [&](size_t b) -> Status {
    const table::BlockExtent extent = source.blocks()[b];
    std::vector<int64_t> by_row(extent.row_count * outputs);
    EVERGROVE_RETURN_IF_ERROR(scorer.margins(b, by_row));
    for (size_t k = 0; k < outputs; ++k) {
      const std::span<int64_t> to = margins.of(k).subspan(extent.first_row, extent.row_count);
      for (size_t row = 0; row < to.size(); ++row) to[row] = by_row[row * outputs + k];
    }
    return {};
  }));
  input.margins = margins.all();
  input.classes = classes;
  input.targets = targets;
  input.weights = weights;
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<double> values,
                             train::evaluate_metrics(names, input));
  Evaluation evaluation;
  evaluation.row_count = source.row_count();
  for (size_t i = 0; i < names.size(); ++i) {
    evaluation.metrics.push_back({"data", names[i], values[i]});
  }
  return evaluation;
}

}  // namespace

Result<Predictions> Predictor::predict(const table::RowSource& source, PredictionKind kind,
                                       int threads) const {
  const ThreadLimit limit(threads);
  EVERGROVE_ASSIGN_OR_RETURN(const BlockScorer scorer,
                             BlockScorer::create(*model_, source, scorer_));
  return limit.execute([&] { return predict_by(scorer, source, kind); });
}

Result<Predictions> predict(const model::Model& model, const table::RowSource& source,
                            PredictionKind kind, int threads) {
  return Predictor(model).predict(source, kind, threads);
}

Result<Evaluation> evaluate(const model::Model& model, const table::RowSource& source,
                            const std::vector<std::string>& metric_names, int threads) {
  const ThreadLimit limit(threads);
  return limit.execute([&] { return evaluate_here(model, source, metric_names); });
}

}  // namespace evergrove::runtime
