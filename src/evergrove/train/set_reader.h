// Reading one set of rows, from a source that is a whole data set or a part of one: its labels,
// which of its rows are held out, and its bins.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/train/block_loop.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/label.h"

namespace evergrove::train {

// Which rows of a source are held out for validation, and each row's place among its like. Rows
// are chosen by the hash of their id, so a part of a data set is divided as the whole is.
class RowDivision {
 public:
  // fraction 0: all rows are for training.
  RowDivision(uint64_t row_count, double fraction, uint64_t seed, const RowIds& row_ids = nullptr);

  bool whole() const { return whole_; }
  bool in_training(uint64_t row) const { return whole_ || (places_[row] & 1) == 0; }
  uint64_t place(uint64_t row) const { return whole_ ? row : places_[row] >> 1; }
  uint64_t training_count() const { return row_count_ - held_out_count_; }
  uint64_t held_out_count() const { return held_out_count_; }

  // Gives each set its rows' labels and weights. Requires: held_out, unless whole().
  void divide(Dataset all, Dataset& train, Dataset* held_out) const;

 private:
  bool whole_;
  uint64_t row_count_;
  uint64_t held_out_count_ = 0;
  std::vector<uint64_t> places_;  // unless whole_: place << 1, and 1 if held out
};

// Labels and weights, by the run's classes and objective, of a source that `raw` was read from.
// Returns a Dataset that has no bins yet.
Result<Dataset> label_rows(const table::RowSource& source, const RawLabels& raw,
                           const RunHeader& header);

// The bins of columns that come one by one, a byte each.
class TakenColumns {
 public:
  TakenColumns(const RowDivision& division, size_t feature_count);

  // Takes all blocks of a feature's column. Requires: 256 bins at most; the same division.
  // Different features from different threads.
  void take(size_t feature, const model::Feature& decided, std::span<const table::RowBlock> blocks,
            const RowDivision& division);
  // Gives them to the sets, whose rows are left to be built. Requires: all features were taken;
  // held_out, unless the division was whole().
  void give(std::span<const model::Feature> features, Dataset& train, Dataset* held_out);

 private:
  bins::BinColumns train_;
  bins::BinColumns held_out_;
};

// Reads the given columns, which are those of header.features, into train.bins and held_out->bins,
// whose rows are left to be built. Requires: held_out, unless division.whole().
Status read_bins(const table::RowSource& source, std::span<const size_t> columns,
                 std::span<const model::Feature> features, const RowDivision& division,
                 const PrepareProgress& progress, Dataset& train, Dataset* held_out);

}  // namespace evergrove::train
