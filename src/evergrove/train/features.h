// Features: which columns are learnt from, and their cuts and categories, found in one pass.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "evergrove/train/block_loop.h"
#include "evergrove/train/dataset.h"

namespace evergrove::train {

// Whether a column is pandas' index, as its to_parquet() writes it: __index_level_0__ and so on. It
// tells rows apart and nothing else, and no other library would be given it.
bool is_index_column(std::string_view name);

// Returns the columns that are features, in schema order: all but label, weight, pandas' index and
// what is excluded. Refuses names that are not columns, and data that leaves no feature.
Result<std::vector<size_t>> feature_columns(const DataSpec& spec);

// Returns, for a source, the places of the features' columns. Refuses a source that lacks one or
// has it as another kind, naming the column and what it is.
Result<std::vector<size_t>> match_columns(std::span<const model::Feature> features,
                                          const table::RowSource& source,
                                          std::string_view data_name);

// Finds cuts (from the hash sample) and categories (from all rows) of the given columns over the
// rows with in_training(row id). Categories are ordered by count, then by name; those beyond
// max_bins share bin 0. Refuses a column with more than 100,000 categories.
Result<std::vector<model::Feature>> find_features(
    const table::RowSource& source, std::span<const size_t> columns, const Parameters& parameters,
    const std::function<bool(uint64_t row)>& in_training, uint64_t training_row_count,
    ProgressMeter& meter);

}  // namespace evergrove::train
