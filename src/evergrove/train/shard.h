// Shard: a run of consecutive blocks of one set of a run, the unit in which rows are given to
// workers; and reading the rows of some shards as prepare() would have read them all.
//
// Promise: over any division of a run's shards, read_shards() gives together the bins, labels,
// weights and places of rows that prepare() gives; whoever reads a shard reads the same. Blocks
// that are not in the shards are not read, and no source is asked for its manifest.
//
//   EVERGROVE_ASSIGN_OR_RETURN(RunDescription run, describe(spec, parameters, nullptr, progress));
//   std::vector<Shard> shards = make_shards(spec, run.header.parameters.seed, 100'000);
//   // On a worker, with shards that are its own:
//   EVERGROVE_ASSIGN_OR_RETURN(TrainingData data, read_shards(spec, run.header, mine, progress));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/dataset_parts.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

struct Shard {
  uint32_t id = 0;
  uint32_t set = 0;  // 0: the training data, i + 1: spec.valid[i]
  uint32_t first_block = 0;
  uint32_t block_count = 0;
  uint64_t first_row = 0;  // row id in its source
  uint64_t row_count = 0;  // those that valid_fraction holds out included
  // Set 0: the place of its first training row among all; rows held out do not count.
  uint64_t first_training_row = 0;

  bool operator==(const Shard&) const = default;
  void encode(ByteWriter& out) const;
  static Result<Shard> decode(ByteReader& in);
};

// Cuts every set of a run into shards of about rows_wanted rows, at least one block each; ids count
// from 0, through the training data and then each of spec.valid. Each row is in one of them. A
// function of the arguments and the sources' blocks alone; reads no rows.
std::vector<Shard> make_shards(const DataSpec& spec, uint64_t seed, uint64_t rows_wanted);

// Refuses a shard whose blocks and rows are not where the set's source has them.
Status check_place(const Shard& shard, const table::RowSource& source);

// What a worker needs in memory to hold the shard and train on it, beside the histograms, which do
// not grow with rows. Of a row, with b bytes a bin, k outputs and features filled up to the next
// multiple of 4 in its row (8, 16, 32 or 64 where that is little more):
//
//   twice b (features + features filled up)    bins by feature and by row, and as much for a while
//                                              when shards are joined
//   + 8 or 2                                   label
//   + 4, if there are weights
//   + 16 k                                     margins, now and after the tree at hand
//   + 8 k + (16, if k > 1)                     gradients
//   + 18                                       its rows and their room, or its bits; the sample
//
// Rows of validation sets need less; they are counted the same.
uint64_t memory_bytes(const Shard& shard, const RunHeader& header);

// How many rows of the training data, and of each of header.valid_names, a shard has.
RowCounts row_counts(const Shard& shard, const RunHeader& header);

// How the training rows are left.
enum class RowForm : uint8_t {
  both,   // BinMatrix::build_rows()
  alone,  // BinMatrix::build_rows_alone(), of all sets
};

// Reads the rows of these shards, each set's in the order given. `valid` has one Dataset for each
// of header.valid_names, perhaps without rows. Bad data is refused as prepare() does, with the
// column and the row's id in its source. Refuses shards that overlap, or that are not of these
// sources: where the data changed, a run must stop.
Result<TrainingData> read_shards(const DataSpec& spec, const RunHeader& header,
                                 std::span<const Shard> shards, const PrepareProgress& progress,
                                 RowForm form = RowForm::both);

}  // namespace evergrove::train
