// Features: which columns are learnt from, and their cuts and categories, found in one pass over
// all rows, or in one over each part of them. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/bins/cuts.h"
#include "evergrove/train/block_loop.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/label.h"

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

// Which rows count for cuts and categories, by their place in the source that is read.
struct TrainingRows {
  bins::RowSample sample;                         // of ids
  std::function<bool(uint64_t row)> in_training;  // null: all
  RowIds row_ids;                                 // null: places are ids
};

// What decides about one column. Parts are merged in any order with the same result.
struct ColumnFacts {
  std::vector<double> sample;                        // numeric, in no order, without zeros
  uint64_t zeros = 0;                                // of the sample
  std::optional<std::vector<double>> cuts;           // numeric, once find_cuts() was called
  std::unordered_map<std::string, uint64_t> counts;  // categorical: rows by category
  bool has_too_many = false;                         // categories; counts is empty then

  void merge(ColumnFacts other);
  // Puts the cuts of a numeric column in the place of its sample, which is then the whole one:
  // they are a hundredth of it. No merge() may follow.
  void find_cuts(uint32_t bins_max);
  void encode(ByteWriter& out) const;
  static Result<ColumnFacts> decode(ByteReader& in);
};

// Which rows of each block of a source are in the sample, the same for all columns: found when a
// block is first asked for. Safe to use from many threads.
class BlockSamples {
 public:
  BlockSamples(const table::RowSource& source, TrainingRows rows)
      : rows_(std::move(rows)), blocks_(source.blocks().size()) {}

  const TrainingRows& rows() const { return rows_; }
  // Places in the block, ascending.
  std::span<const uint32_t> of(size_t block_index, const table::RowBlock& block);

 private:
  struct Block {
    std::once_flag is_known;
    std::vector<uint32_t> places;
  };
  TrainingRows rows_;
  std::deque<Block> blocks_;
};

// Reads the columns of a source, or of a part of one, whose rows `samples` knows.
Result<std::vector<ColumnFacts>> read_column_facts(const table::RowSource& source,
                                                   std::span<const size_t> columns,
                                                   BlockSamples& samples, ProgressMeter& meter);
// Decides cuts, or categories: by count, then by name, those beyond max_categories and max_bins
// share bin 0. Refuses a column with more than 100,000 of them.
Result<model::Feature> make_feature(const table::ColumnSpec& column, ColumnFacts facts,
                                    const Parameters& parameters);

// Takes a column that is decided, with all of its blocks; from many threads.
using ColumnTaker = std::function<void(size_t column, const model::Feature& feature,
                                       std::span<const table::RowBlock> blocks)>;

// Both, of all rows at once, with less memory: a column's facts are gone when it is decided. With
// `take`, its values are kept until then, of as many columns at a time as there are threads.
// Requires: take is null, or the source reads single columns.
Result<std::vector<model::Feature>> find_features(const table::RowSource& source,
                                                  std::span<const size_t> columns,
                                                  const Parameters& parameters,
                                                  const TrainingRows& rows, ProgressMeter& meter,
                                                  const ColumnTaker& take);

}  // namespace evergrove::train
