// Training data put together from parts, and cut up again.
//
// A worker reads shard by shard, and works on the rows of all of them at once. What a row is does
// not change by where it lies: its segment says its place among all rows of its set.
//
//   TrainingData whole = join_data(std::move(parts));
//   TrainingData first = slice_data(whole, {0, 0}, row_counts(part));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "evergrove/train/dataset.h"

namespace evergrove::train {

// Rows by set: of the training data first, then of each validation set.
using RowCounts = std::vector<size_t>;

RowCounts row_counts(const TrainingData& data);

// All rows of the parts, in their order. Requires: at least one part; all of one binning, with the
// same sets, and weights in all parts with rows or in none.
TrainingData join_data(std::vector<TrainingData> parts);

// A copy of `counts` rows of each set, after the first `skipped` of each.
TrainingData slice_data(const TrainingData& whole, const RowCounts& skipped,
                        const RowCounts& counts);

}  // namespace evergrove::train
