// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/block_scorer.h"

#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/train/features.h"

namespace evergrove::runtime {

BlockScorer::BlockScorer(const model::Model& model, const table::RowSource& source,
                         std::shared_ptr<const score::Scorer> scorer,
                         const std::vector<size_t>& columns)
    : model_(&model), source_(&source), scorer_(std::move(scorer)) {
  for (size_t feature : scorer_->used_features()) used_columns_.push_back(columns[feature]);
}

Result<BlockScorer> BlockScorer::create(const model::Model& model, const table::RowSource& source,
                                        std::shared_ptr<const score::Scorer> scorer) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<size_t> columns,
                             train::match_columns(model.features, source, "data to score"));
  if (!scorer) scorer = std::make_shared<score::Scorer>(model);
  return BlockScorer(model, source, std::move(scorer), columns);
}

size_t BlockScorer::width(PredictionKind kind) const {
  switch (kind) {
    case PredictionKind::probability:
    case PredictionKind::margin:
      return model_->output_count();
    case PredictionKind::predicted_class:
      return 1;
    case PredictionKind::leaf:
      return model_->trees.size();
  }
  return 1;
}

Result<table::RowBlock> BlockScorer::read(size_t block_index) const {
  const table::BlockExtent extent = source_->blocks()[block_index];
  table::RowBlock block{extent.first_row, extent.row_count, {}};
  block.columns.resize(model_->features.size());
  if (used_columns_.empty()) return block;
  EVERGROVE_ASSIGN_OR_RETURN(table::RowBlock used, source_->read(block_index, used_columns_));
  CHECK(used.row_count == extent.row_count);
  for (size_t i = 0; i < used_columns_.size(); ++i) {
    block.columns[scorer_->used_features()[i]] = std::move(used.columns[i]);
  }
  return block;
}

Status BlockScorer::margins(size_t block_index, std::span<int64_t> margins) const {
  EVERGROVE_ASSIGN_OR_RETURN(const table::RowBlock block, read(block_index));
  // Isolated: a thread that waits for its tiles must not start on another block meanwhile.
  tbb::this_task_arena::isolate([&] { scorer_->margins(block, margins); });
  return {};
}

Result<std::vector<int32_t>> BlockScorer::leaves(size_t block_index) const {
  EVERGROVE_ASSIGN_OR_RETURN(const table::RowBlock block, read(block_index));
  std::vector<int32_t> leaves(block.row_count * scorer_->tree_count());
  tbb::this_task_arena::isolate([&] { scorer_->leaves(block, leaves); });
  return leaves;
}

// What is asked of rows with these margins.
void BlockScorer::set_values(std::span<const int64_t> margins, PredictionKind kind,
                             std::span<double> to) const {
  const size_t outputs = model_->output_count();
  const bool is_regression = model_->objective == model::ObjectiveKind::regression;
  if (kind == PredictionKind::probability || (is_regression && kind != PredictionKind::margin)) {
    score::probabilities(*model_, margins, to);
  } else if (kind == PredictionKind::margin) {
    const double unit = std::ldexp(1.0, model_->value_exponent);
    for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<double>(margins[i]) * unit;
  } else if (outputs == 1) {
    // As the metrics have it: at 1/2, the first class.
    for (size_t row = 0; row < to.size(); ++row) to[row] = margins[row] > 0 ? 1 : 0;
  } else {
    for (size_t row = 0; row < to.size(); ++row) {
      const int64_t* first = margins.data() + row * outputs;
      to[row] = static_cast<double>(std::max_element(first, first + outputs) - first);
    }
  }
}

Status BlockScorer::values(size_t block_index, PredictionKind kind, std::span<double> to) const {
  CHECK(kind != PredictionKind::leaf);
  const size_t outputs = model_->output_count();
  const size_t row_width = width(kind);
  EVERGROVE_ASSIGN_OR_RETURN(const table::RowBlock block, read(block_index));
  CHECK(to.size() == block.row_count * row_width);
  tbb::this_task_arena::isolate([&] {
    scorer_->for_each_margins(block, [&](size_t first, std::span<const int64_t> margins) {
      const size_t count = margins.size() / outputs;
      set_values(margins, kind, to.subspan(first * row_width, count * row_width));
    });
  });
  return {};
}

std::vector<std::string> class_names(const model::Model& model) {
  if (model.objective == model::ObjectiveKind::regression) return {};
  const size_t count = model.objective == model::ObjectiveKind::binary ? 2 : model.output_count();
  if (model.metadata.classes.size() == count) return model.metadata.classes;
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace evergrove::runtime
