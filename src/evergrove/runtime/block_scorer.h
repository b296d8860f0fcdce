// BlockScorer: scores of one block of a source after the other, whatever is asked of a model.
//
// Reads only the columns that the model's trees look at. Immutable after create(); blocks may be
// scored from many threads at once. The model and the source must outlive it.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const BlockScorer scorer, BlockScorer::create(model, source));
//   EVERGROVE_RETURN_IF_ERROR(scorer.values(block_index, PredictionKind::margin, values));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/predict.h"
#include "evergrove/score/scorer.h"

namespace evergrove::runtime {

class BlockScorer {
 public:
  // Refuses a source that lacks a feature or has it as another kind, naming the column. scorer: of
  // the model; null: it is made.
  static Result<BlockScorer> create(const model::Model& model, const table::RowSource& source,
                                    std::shared_ptr<const score::Scorer> scorer = nullptr);

  // How many scores a row has.
  size_t width(PredictionKind kind) const;

  // Sets `to` to the scores of a block's rows, row by row. Requires: kind is not leaf; there is
  // room for width() of each row.
  Status values(size_t block_index, PredictionKind kind, std::span<double> to) const;
  // Node indices of the rows' leaves, tree by tree.
  Result<std::vector<int32_t>> leaves(size_t block_index) const;
  // Sets a block's margins, in the model's units.
  Status margins(size_t block_index, std::span<int64_t> margins) const;

 private:
  BlockScorer(const model::Model& model, const table::RowSource& source,
              std::shared_ptr<const score::Scorer> scorer, const std::vector<size_t>& columns);
  Result<table::RowBlock> read(size_t block_index) const;
  void set_values(std::span<const int64_t> margins, PredictionKind kind,
                  std::span<double> to) const;

  const model::Model* model_;
  const table::RowSource* source_;
  std::shared_ptr<const score::Scorer> scorer_;
  std::vector<size_t> used_columns_;  // of the source, by scorer_->used_features()
};

// The names of a model's classes; their numbers where the model does not name them.
std::vector<std::string> class_names(const model::Model& model);

}  // namespace evergrove::runtime
