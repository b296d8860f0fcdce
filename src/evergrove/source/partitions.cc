// set: u32 schemas, string each | u32 partitions, each: u64 rows | u32 schema | string fingerprint
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/partitions.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/util/align_util.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <set>

#include "evergrove/source/batch_source.h"
#include "evergrove/source/value_manifest.h"

namespace evergrove::source {
namespace {

constexpr size_t kPartitionsKept = 4;
using Batch = std::shared_ptr<arrow::RecordBatch>;

std::string name_of(size_t partition) { return "partition " + std::to_string(partition); }

Status arrow_failure(const arrow::Status& status, size_t partition) {
  return invalid_input(
      "A partition is no Arrow data that can be read; compute it anew",
      {{"partition", std::to_string(partition)}, {"error", brief(status.message())}});
}

// Takes over the stream. One batch of all rows, or none if there are none.
arrow::Result<Batch> all_rows(ArrowArrayStream* stream) {
  ARROW_ASSIGN_OR_RAISE(const auto reader, arrow::ImportRecordBatchReader(stream));
  ARROW_ASSIGN_OR_RAISE(const auto table, reader->ToTable());
  ARROW_ASSIGN_OR_RAISE(Batch batch, table->CombineChunksToBatch());
  ARROW_ASSIGN_OR_RAISE(batch,
                        arrow::util::EnsureAlignment(std::move(batch), arrow::util::kValueAlignment,
                                                     arrow::default_memory_pool()));
  ARROW_RETURN_NOT_OK(batch->Validate());
  return batch;
}

// Fetches partitions, each by one thread though many may want it, and keeps the last few.
class PartitionStore {
 public:
  PartitionStore(PartitionSet set, FetchPartition fetch)
      : set_(std::move(set)), fetch_(std::move(fetch)) {}

  Result<Batch> get(size_t partition) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !fetching_.contains(partition); });
    for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
      if (kept->first != partition) continue;
      kept_.splice(kept_.begin(), kept_, kept);
      return kept->second;
    }
    fetching_.insert(partition);
    lock.unlock();
    Result<Batch> batch = fetch(partition);
    Batch oldest;  // is given back after the lock is
    lock.lock();
    fetching_.erase(partition);
    changed_.notify_all();
    if (!batch.ok()) return batch;
    kept_.emplace_front(partition, *batch);
    if (kept_.size() > kPartitionsKept) {
      oldest = std::move(kept_.back().second);
      kept_.pop_back();
    }
    lock.unlock();
    return batch;
  }

 private:
  Result<Batch> fetch(size_t partition) const {
    if (!fetch_) {
      return unsupported("The rows are in the memory of the workers and cannot be read here");
    }
    ArrowArrayStream stream = {};
    EVERGROVE_RETURN_IF_ERROR(fetch_(partition, &stream));
    auto batch = all_rows(&stream);
    if (!batch.ok()) return arrow_failure(batch.status(), partition);
    EVERGROVE_RETURN_IF_ERROR(check(partition, *batch));
    return *std::move(batch);
  }

  Status check(size_t partition, const Batch& batch) const {
    const Partition& then = set_.partitions[partition];
    std::vector<std::unique_ptr<BatchSupply>> supplies;
    supplies.push_back(std::make_unique<MemoryBatches>(batch->schema(), std::vector<Batch>{batch},
                                                       /*is_valid=*/true));
    EVERGROVE_ASSIGN_OR_RETURN(const auto source, make_batch_source(std::move(supplies), {}, {}));
    EVERGROVE_ASSIGN_OR_RETURN(const std::string fingerprint, fingerprint_of(*source));
    if (fingerprint == then.fingerprint) return {};
    return invalid_input(
        "A partition has other values than when the run began; make what computes it give the same "
        "each time (a seed, an order), or write the data to Parquet and train on that",
        {{"partition", std::to_string(partition)},
         {"rows then", std::to_string(then.row_count)},
         {"rows now", std::to_string(batch->num_rows())}});
  }

  const PartitionSet set_;
  const FetchPartition fetch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<size_t> fetching_;
  std::list<std::pair<size_t, Batch>> kept_;  // the one used last is first
};

// One partition: a batch that is fetched when it is read.
class PartitionSupply final : public BatchSupply {
 public:
  PartitionSupply(std::shared_ptr<PartitionStore> store, size_t partition,
                  std::shared_ptr<arrow::Schema> schema, uint64_t row_count)
      : store_(std::move(store)),
        partition_(partition),
        schema_(std::move(schema)),
        batch_rows_{row_count} {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  std::span<const uint64_t> batch_rows() const override { return batch_rows_; }
  bool in_place() const override { return true; }
  bool is_valid() const override { return true; }
  bool reads_single_columns() const override { return false; }
  Result<Batch> read(size_t /*batch*/, const std::vector<int>& /*fields*/) const override {
    return store_->get(partition_);
  }

 private:
  std::shared_ptr<PartitionStore> store_;
  size_t partition_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<uint64_t> batch_rows_;
};

Result<std::shared_ptr<arrow::Schema>> read_schema(const std::string& bytes) {
  arrow::io::BufferReader input(arrow::Buffer::FromString(bytes));
  arrow::ipc::DictionaryMemo dictionaries;
  auto schema = arrow::ipc::ReadSchema(&input, &dictionaries);
  if (schema.ok()) return *std::move(schema);
  return corrupt("The columns of a partition are no Arrow schema",
                 {{"error", brief(schema.status().message())}});
}

}  // namespace

void PartitionSet::add(uint64_t row_count, const std::string& schema, std::string fingerprint) {
  auto known = std::find(schemas.begin(), schemas.end(), schema);
  if (known == schemas.end()) known = schemas.insert(known, schema);
  partitions.push_back(
      {row_count, static_cast<uint32_t>(known - schemas.begin()), std::move(fingerprint)});
}

void PartitionSet::encode(ByteWriter& out) const {
  out.u32(static_cast<uint32_t>(schemas.size()));
  for (const std::string& schema : schemas) out.string(schema);
  out.u32(static_cast<uint32_t>(partitions.size()));
  for (const Partition& partition : partitions) {
    out.u64(partition.row_count).u32(partition.schema).string(partition.fingerprint);
  }
}

Result<PartitionSet> PartitionSet::decode(ByteReader& in) {
  PartitionSet set;
  const uint32_t schema_count = in.count(4);
  for (uint32_t i = 0; i < schema_count && in.ok(); ++i) set.schemas.push_back(in.string());
  const uint32_t partition_count = in.count(16);
  for (uint32_t i = 0; i < partition_count && in.ok(); ++i) {
    Partition& partition = set.partitions.emplace_back();
    partition.row_count = in.u64();
    partition.schema = in.u32();
    partition.fingerprint = in.string();
    constexpr uint64_t kRowsMax = uint64_t{1} << 40;  // sums do not overflow
    if (partition.schema >= schema_count || partition.row_count > kRowsMax) in.fail();
  }
  if (!in.ok()) return corrupt("What is said of the partitions is cut off or makes no sense");
  return set;
}

Result<std::shared_ptr<table::RowSource>> open_partitions(const PartitionSet& set,
                                                          FetchPartition fetch,
                                                          const OpenOptions& options) {
  if (set.empty()) return invalid_input("There are no partitions; give data that has some");
  std::vector<std::shared_ptr<arrow::Schema>> schemas;
  for (const std::string& bytes : set.schemas) {
    EVERGROVE_ASSIGN_OR_RETURN(schemas.emplace_back(), read_schema(bytes));
  }
  const auto store = std::make_shared<PartitionStore>(set, std::move(fetch));
  std::vector<std::unique_ptr<BatchSupply>> supplies;
  std::vector<DataFile> files;
  for (size_t i = 0; i < set.partitions.size(); ++i) {
    const Partition& partition = set.partitions[i];
    supplies.push_back(std::make_unique<PartitionSupply>(store, i, schemas[partition.schema],
                                                         partition.row_count));
    files.push_back({.path = name_of(i), .place = partition.fingerprint, .store = nullptr});
  }
  // Known beforehand; nothing is read for it.
  return make_batch_source(std::move(supplies), std::move(files), options,
                           [](const DataFile& file) -> Result<std::string> { return file.place; });
}

Result<std::string> fingerprint_of(const table::RowSource& source) {
  return value_fingerprint(source);
}

}  // namespace evergrove::source
