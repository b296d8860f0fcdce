// ShardReader: reads the shards that a worker is to hold, in a thread of its own, and leads their
// rows through what was decided before.
//
// A few at once, so that each counts soon, and those that turn out to be somebody else's need not
// be read; or, before the first tree, many: what is read into one store is not joined to one later,
// and a row group of several shards is read once.
//
//   ShardReader reader({.setup = &setup, .open = open, .threads = 2}, [&](ShardRead read) { ... });
//   reader.read(shards, decided, false);  // the callback follows for each, on the reader's thread
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/cluster/worker.h"
#include "evergrove/runtime/cluster_setup.h"
#include "evergrove/runtime/request_queue.h"
#include "evergrove/runtime/shard_cache.h"

namespace evergrove::runtime {

struct ShardRead {
  std::vector<cluster::ShardPiece> pieces;  // one, where it was not read
  Status status;
  std::unique_ptr<train::RowStore> store;  // null: the status says why
};

struct ShardReaderOptions {
  const ClusterSetup* setup = nullptr;            // outlives the reader
  std::function<Result<train::DataSpec>()> open;  // called once, on the reader's thread
  std::optional<ShardCache> cache;                // nothing: shards are read from the data
  int threads = 1;
  std::function<void(const std::string&)> note;  // what people may want to know
};

class ShardReader {
 public:
  using Callback = std::function<void(ShardRead read)>;

  // Data that could not be opened is the answer for every shard.
  ShardReader(ShardReaderOptions options, Callback callback);
  // Waits for the shard at hand.
  ~ShardReader();
  ShardReader(const ShardReader&) = delete;
  ShardReader& operator=(const ShardReader&) = delete;

  // at_once: many as one store, where there is no cache.
  void read(const std::vector<uint32_t>& shards,
            const std::shared_ptr<const cluster::DecidedTrees>& decided, bool at_once);
  // Drops the others, as far as they have not been begun.
  void keep(const std::set<uint32_t>& wanted);

 private:
  struct Request {
    uint32_t shard = 0;
    std::shared_ptr<const cluster::DecidedTrees> decided;
    bool at_once = false;
  };
  void run();
  std::vector<Request> next_at_once();
  const train::Shard* shard_of(uint32_t id) const;
  ShardRead read_all(const Result<train::DataSpec>& spec, std::span<const Request> requests);
  Result<std::unique_ptr<train::RowStore>> store_of(const train::DataSpec& spec,
                                                    std::span<const Request> requests,
                                                    std::vector<cluster::ShardPiece>& pieces);
  void tell_of_cache();

  ShardReaderOptions options_;
  Callback callback_;
  RequestQueue<Request> requests_;
  std::thread thread_;
};

}  // namespace evergrove::runtime
