// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/shard_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "evergrove/runtime/threads.h"

namespace evergrove::runtime {

ShardReader::ShardReader(ShardReaderOptions options, Callback callback)
    : options_(std::move(options)), callback_(std::move(callback)) {
  thread_ = std::thread([this] { run(); });
}

ShardReader::~ShardReader() {
  requests_.close();
  thread_.join();
}

void ShardReader::read(const std::vector<uint32_t>& shards,
                       const std::shared_ptr<const cluster::DecidedTrees>& decided) {
  for (const uint32_t id : shards) requests_.push({id, decided});
}

void ShardReader::keep(const std::set<uint32_t>& wanted) {
  requests_.drop_if([&](const Request& request) { return !wanted.contains(request.shard); });
}

void ShardReader::run() {
  const ThreadLimit threads(options_.threads);
  const Result<train::DataSpec> spec = options_.open();
  for (Request next; requests_.take(next);) {
    ShardRead read{next.shard, spec.status(), nullptr};
    if (spec.ok()) {
      auto store = threads.execute([&] { return store_of(*spec, next); });
      read.status = store.status();
      if (store.ok()) read.store = *std::move(store);
    }
    callback_(std::move(read));
    if (!requests_.is_empty()) continue;
    if (spec.ok()) spec->let_go();
    tell_of_cache();
  }
}

Result<std::unique_ptr<train::RowStore>> ShardReader::store_of(const train::DataSpec& spec,
                                                               const Request& request) {
  const ClusterSetup& setup = *options_.setup;
  const train::RunHeader& header = setup.run.header;
  const auto shard = std::find_if(setup.shards.begin(), setup.shards.end(),
                                  [&](const auto& each) { return each.id == request.shard; });
  if (shard == setup.shards.end()) {
    return corrupt("The coordinator asks for a shard that the run does not have",
                   {{"shard", std::to_string(request.shard)}});
  }
  EVERGROVE_ASSIGN_OR_RETURN(train::TrainingData rows,
                             options_.cache ? options_.cache->read(spec, setup.data, header, *shard)
                                            : train::read_shards(spec, header, {&*shard, 1}, {}));
  auto store = std::make_unique<train::RowStore>(header, setup.run.weight_facts, std::move(rows));
  cluster::catch_up(*request.decided, *store);
  return store;
}

void ShardReader::tell_of_cache() {
  if (!options_.cache || options_.cache->shard_count() == 0 || !options_.note) return;
  options_.note("Shards read so far: " + std::to_string(options_.cache->shard_count()) +
                ", from the cache: " + std::to_string(options_.cache->found_count()));
}

}  // namespace evergrove::runtime
