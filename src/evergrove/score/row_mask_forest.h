// RowMaskForest: trees that are walked by all rows of a vector at once, without a branch.
//
// Each node compares the codes of 64 rows (or as many bytes as a vector has) and makes masks of
// those that go left and right; a row's leaf is a number whose bits change wherever it goes right.
// A tree that splits in few ways (symmetric growth: one a level) needs no more than those, a bit of
// the number each. Time goes by the number of nodes, not by the depth; the trees are those of up to
// 256 leaves (fewer where vectors are short).
//
// After: Ye et al., RapidScorer: Fast Tree Ensemble Evaluation by Maximizing Compactness in Data
// Level Parallelization, KDD 2018, which has masks of leaves a row where these are of rows a node.
// Immutable after construction; safe to use from many threads, each with its own MaskScratch.
//
//   forest.add(tile, row_count, sums, scratch);   // what has(tree) says, of all outputs
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/score/feature_coder.h"
#include "evergrove/score/row_mask_kernel.h"

namespace evergrove::score {

class RowMaskForest {
 public:
  // None.
  RowMaskForest() = default;
  // Requires: model::validate(model) is ok; codes are bytes; coders and columns are by feature;
  // tile_rows is a multiple of kMaskRows. Columns of its own are behind the first column_count.
  RowMaskForest(const model::Model& model, std::span<const FeatureCoder> coders,
                std::span<const FeatureColumns> columns, size_t column_count, size_t tile_rows);

  bool has(size_t tree) const { return tree < has_.size() && has_[tree]; }
  // Columns that it needs in a tile for itself.
  size_t own_columns() const { return own_columns_; }

  // Adds the trees it has to sums[row * outputs + output]. Writes its own columns of the tile.
  void add(uint8_t* tile, size_t row_count, int64_t* sums, MaskScratch& scratch) const;

 private:
  struct Builder;

  std::vector<bool> has_;
  size_t own_columns_ = 0;
  MaskTables tables_;
  std::vector<std::vector<MaskTree>> trees_;  // by output
  std::vector<int64_t> least_;  // by output: what is added whatever the row, since bytes are not
                                // negative
};

}  // namespace evergrove::score
