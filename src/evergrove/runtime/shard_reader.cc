// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/shard_reader.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "evergrove/runtime/threads.h"

namespace evergrove::runtime {
namespace {

// Of one store that is read at once: at most a second or so of a core's work, which may be in vain
// and is waited for when a worker ends.
constexpr uint64_t kValuesAtOnce = uint64_t{1} << 25;
// While trees grow, so that what is there counts soon, and spare copies are divided little.
constexpr uint64_t kRowsAtOnceLater = uint64_t{1} << 15;
// Workers that have come together are told of their shards as they say so, the first one of all of
// them; before it reads there is time to hear that there are others.
constexpr std::chrono::milliseconds kOthersComeIn{2};

}  // namespace

ShardReader::ShardReader(ShardReaderOptions options, Callback callback)
    : options_(std::move(options)), callback_(std::move(callback)) {
  thread_ = std::thread([this] { run(); });
}

ShardReader::~ShardReader() {
  requests_.close();
  thread_.join();
}

void ShardReader::read(const std::vector<uint32_t>& shards,
                       const std::shared_ptr<const cluster::DecidedTrees>& decided, bool at_once) {
  for (const uint32_t id : shards) requests_.push({id, decided, at_once});
}

void ShardReader::keep(const std::set<uint32_t>& wanted) {
  requests_.drop_if([&](const Request& request) { return !wanted.contains(request.shard); });
}

void ShardReader::run() {
  const ThreadLimit threads(options_.threads);
  const Result<train::DataSpec> spec = options_.open();
  for (bool is_first = true; requests_.wait(); is_first = false) {
    if (is_first) std::this_thread::sleep_for(kOthersComeIn);
    const std::vector<Request> requests = next_at_once();
    if (requests.empty()) continue;
    ShardRead read = threads.execute([&] { return read_all(spec, requests); });
    if (read.status.ok() || requests.size() == 1) {
      callback_(std::move(read));
    } else {
      // Perhaps because of one of them alone.
      for (const Request& each : requests) {
        callback_(threads.execute([&] { return read_all(spec, {&each, 1}); }));
      }
    }
    if (!requests_.is_empty()) continue;
    if (spec.ok()) spec->let_go();
    tell_of_cache();
  }
}

std::vector<ShardReader::Request> ShardReader::next_at_once() {
  const uint64_t feature_count = options_.setup->run.header.features.size();
  const uint64_t rows_at_once = kValuesAtOnce / std::max<uint64_t>(feature_count, 1);
  uint64_t rows = 0;
  std::optional<Request> first;
  return requests_.take_while([&](const Request& request) {
    const train::Shard* const shard = shard_of(request.shard);
    rows += shard == nullptr ? 0 : shard->row_count;
    if (!first) {
      first = request;
      return true;
    }
    return !options_.cache && request.at_once == first->at_once &&
           request.decided == first->decided &&
           rows <= (first->at_once ? rows_at_once : kRowsAtOnceLater);
  });
}

const train::Shard* ShardReader::shard_of(uint32_t id) const {
  const std::vector<train::Shard>& shards = options_.setup->shards;
  const auto found =
      std::find_if(shards.begin(), shards.end(), [&](const auto& each) { return each.id == id; });
  return found == shards.end() ? nullptr : &*found;
}

ShardRead ShardReader::read_all(const Result<train::DataSpec>& spec,
                                std::span<const Request> requests) {
  ShardRead read;
  for (const Request& request : requests) read.pieces.push_back({request.shard, {}});
  read.status = spec.status();
  if (!spec.ok()) return read;
  auto store = store_of(*spec, requests, read.pieces);
  read.status = store.status();
  if (store.ok()) read.store = *std::move(store);
  return read;
}

Result<std::unique_ptr<train::RowStore>> ShardReader::store_of(
    const train::DataSpec& spec, std::span<const Request> requests,
    std::vector<cluster::ShardPiece>& pieces) {
  const ClusterSetup& setup = *options_.setup;
  const train::RunHeader& header = setup.run.header;
  std::vector<train::Shard> shards;
  for (size_t i = 0; i < requests.size(); ++i) {
    const train::Shard* const shard = shard_of(requests[i].shard);
    if (shard == nullptr) {
      return corrupt("The coordinator asks for a shard that the run does not have",
                     {{"shard", std::to_string(requests[i].shard)}});
    }
    shards.push_back(*shard);
    pieces[i].counts = train::row_counts(*shard, header);
  }
  EVERGROVE_ASSIGN_OR_RETURN(train::TrainingData rows,
                             options_.cache
                                 ? options_.cache->read(spec, setup.data, header, shards[0])
                                 : train::read_shards(spec, header, shards, {}));
  auto store = std::make_unique<train::RowStore>(header, setup.run.weight_facts, std::move(rows));
  cluster::catch_up(*requests[0].decided, *store);
  return store;
}

void ShardReader::tell_of_cache() {
  if (!options_.cache || options_.cache->shard_count() == 0 || !options_.note) return;
  options_.note("Shards read so far: " + std::to_string(options_.cache->shard_count()) +
                ", from the cache: " + std::to_string(options_.cache->found_count()));
}

}  // namespace evergrove::runtime
