// ShardCache: binned shards on local disk, so that a worker need not read and bin its data again:
// after a restart, in the next run on the same data, or where another worker on this disk was
// first.
//
// Promise: read() gives what train::read_shards() gives. A file here is found by a hash of all that
// its bytes depend on, and checked; one that is damaged is not believed, but made again, and what
// cannot be kept (a full disk) is not kept: a cache never fails a run. Any number of processes
// may share a folder. Its files are made whole or not at all, and those used longest ago go when
// there are more than the limit has room for.
// The files hold customers' data: they are in a folder that only this user may enter.
// One owner, one thread at a time.
//
//   EVERGROVE_ASSIGN_OR_RETURN(ShardCache cache, ShardCache::open({.folder = "/mnt/disk"}));
//   EVERGROVE_ASSIGN_OR_RETURN(train::TrainingData rows, cache.read(spec, data, header, shard));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/data_description.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/shard_file.h"

namespace evergrove::runtime {

struct ShardCacheOptions {
  std::string folder;      // the files are in its folder "evergrove-shards"
  uint64_t bytes_max = 0;  // of all files; 0: half of what is free on the disk or is theirs already
  std::function<void(const std::string&)> note;  // what people may want to know
};

// Of everything that the binned rows of a shard depend on: the files they are in, by fingerprint
// and, on local disk, by time of change; how these are read; features with their cuts; which rows
// are held out. Nothing if a file has no fingerprint.
std::optional<ShardKey> shard_key(const DataDescription& data, const train::RunHeader& header,
                                  const train::Shard& shard);

class ShardCache {
 public:
  // Makes the folder, if need be. Refuses one that others may enter.
  static Result<ShardCache> open(ShardCacheOptions options);

  // Gives the rows of a shard: from here, or else from the source; then they are kept.
  Result<train::TrainingData> read(const train::DataSpec& spec, const DataDescription& data,
                                   const train::RunHeader& header, const train::Shard& shard);

  const std::string& folder() const { return folder_; }
  uint64_t bytes_max() const { return bytes_max_; }
  uint64_t found_count() const { return found_count_; }  // shards that were read from here
  uint64_t read_count() const { return read_count_; }    // from the source
  uint64_t shard_count() const { return found_count_ + read_count_; }

 private:
  explicit ShardCache(ShardCacheOptions options) : options_(std::move(options)) {}

  void note(const std::string& text) const {
    if (options_.note) options_.note(text);
  }
  std::optional<train::TrainingData> find(const std::string& path, const ShardKey& key,
                                          const train::RunHeader& header,
                                          const train::Shard& shard) const;
  Status keep(const std::string& path, const ShardKey& key, const train::RunHeader& header,
              const train::TrainingData& rows) const;
  Status make_room(uint64_t bytes) const;

  ShardCacheOptions options_;
  std::string folder_;
  Descriptor folder_descriptor_;
  uint64_t bytes_max_ = 0;
  uint64_t found_count_ = 0, read_count_ = 0;
};

}  // namespace evergrove::runtime
