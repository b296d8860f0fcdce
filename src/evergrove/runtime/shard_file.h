// ShardFile: the binned rows of one shard as bytes, for a cache on local disk.
//
// Promise: what was written is read back the same, or refused as corrupt: the file's key, every
// length and every value is checked, and all bytes against a checksum. No memory is taken that the
// shard and the length of the file do not justify. docs/formats/shard_cache.md gives the bytes.
//
//   EVERGROVE_RETURN_IF_ERROR(write_shard_file(key, rows, write));
//   EVERGROVE_ASSIGN_OR_RETURN(train::TrainingData rows,
//                              read_shard_file(key, header, shard, file_bytes, read));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/shard.h"

namespace evergrove::runtime {

// Of all that the bytes depend on (runtime/shard_cache.h).
using ShardKey = std::array<uint8_t, 32>;

using WriteBytes = std::function<Status(std::string_view bytes)>;
// Reads exactly so many bytes, the next ones.
using ReadBytes = std::function<Status(void* to, size_t byte_count)>;

// How long the file of such rows is.
uint64_t shard_file_bytes(const train::RunHeader& header, const train::TrainingData& data);

// Requires: the columns of data.train and the rows of all sets, as read_shards() leaves them.
Status write_shard_file(const ShardKey& key, const train::TrainingData& data,
                        const WriteBytes& write);

// Reads what read_shards() gives for this one shard, from a file of that length.
Result<train::TrainingData> read_shard_file(const ShardKey& key, const train::RunHeader& header,
                                            const train::Shard& shard, uint64_t file_bytes,
                                            const ReadBytes& read);

}  // namespace evergrove::runtime
