// A Trainer whose rows do not fit into memory: they lie in a scratch file, part by part, and pass
// by once for every batch of nodes.
//
// In memory are, of each row, its place in the tree that grows (8 bytes: which row, and its
// gradient), and the parts at hand, one a thread. A batch is as large as the walk allows, for each
// costs a reading of all bins. What is computed is what any other division of the rows gives
// (row_store.h), so the model is the same to the bit.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto file, ScratchFile::create(folder));
//   EVERGROVE_ASSIGN_OR_RETURN(auto trainer, train_parked(spec, std::move(description), shards,
//                                                         std::move(file), progress));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "evergrove/base/scratch_file.h"
#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/shard.h"
#include "evergrove/train/trainer.h"

namespace evergrove::train {

// Nodes expanded while the rows pass by once: splitting some in vain costs less than passing again.
inline constexpr size_t kParkedBatchNodes = 128;
// Rows ranked together for metrics.
inline constexpr uint64_t kRankedParkedRows = uint64_t{1} << 19;

// Reads all shards of the run, one after another, into the file. Refuses what read_shards() and
// Trainer::create() refuse.
Result<std::unique_ptr<Trainer>> train_parked(const DataSpec& spec, RunDescription description,
                                              std::span<const Shard> shards,
                                              std::unique_ptr<ScratchFile> file,
                                              const PrepareProgress& progress);

}  // namespace evergrove::train
