// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/batch_source.h"

#include <arrow/api.h>

#include <algorithm>

#include "evergrove/source/arrow_source.h"
#include "evergrove/source/column_decoder.h"
#include "evergrove/source/schema_union.h"
#include "evergrove/source/value_manifest.h"

namespace evergrove::source {
namespace {

constexpr uint64_t kBlockRowsMin = 65536;
constexpr uint64_t kSliceRows = 2 * kBlockRowsMin;

// Rows [first, first + row_count) of batch_count batches: whole ones, or a slice of one.
struct BatchRun {
  size_t supply = 0;
  size_t first_batch = 0;
  size_t batch_count = 0;
  uint64_t slice_first = 0;
};

class BatchSource final : public ArrowSource {
 public:
  BatchSource(std::vector<std::unique_ptr<BatchSupply>> supplies, std::vector<DataFile> files,
              SchemaUnion schema, FileManifest::Fingerprint fingerprint);

  const table::Schema& schema() const override { return schema_.columns; }
  const table::Manifest& manifest() const override {
    return files_.files().empty() ? values_.manifest(*this) : files_.manifest();
  }
  std::vector<std::string> file_paths() const override { return files_.paths(); }
  std::span<const table::BlockExtent> blocks() const override { return blocks_; }
  bool reads_single_columns() const override { return supplies_[0]->reads_single_columns(); }
  std::shared_ptr<arrow::Schema> arrow_schema() const override { return schema_.arrow; }
  Result<table::RowBlock> read(size_t block_index, std::span<const size_t> columns) const override;
  Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(
      size_t block_index, std::span<const size_t> columns) const override;

 private:
  void add_blocks(size_t supply);
  void add_slices(size_t supply, size_t batch);
  // Reads the columns' parts, in the order asked for, one table chunk a batch.
  Result<std::shared_ptr<arrow::Table>> read_table(size_t block_index,
                                                   std::span<const size_t> columns) const;
  // The failure with the name of the file, if there is one.
  Status status_of(const arrow::Status& status, size_t supply) const;

  std::vector<std::unique_ptr<BatchSupply>> supplies_;
  FileManifest files_;
  ValueManifest values_;
  SchemaUnion schema_;
  std::vector<table::BlockExtent> blocks_;
  std::vector<BatchRun> runs_;  // of each block
};

std::vector<uint64_t> row_counts(std::span<const std::unique_ptr<BatchSupply>> supplies) {
  std::vector<uint64_t> counts;
  for (const auto& supply : supplies) {
    counts.push_back(0);
    for (uint64_t rows : supply->batch_rows()) counts.back() += rows;
  }
  return counts;
}

BatchSource::BatchSource(std::vector<std::unique_ptr<BatchSupply>> supplies,
                         std::vector<DataFile> files, SchemaUnion schema,
                         FileManifest::Fingerprint fingerprint)
    : supplies_(std::move(supplies)),
      files_(std::move(files), row_counts(supplies_), std::move(fingerprint)),
      schema_(std::move(schema)) {
  for (size_t supply = 0; supply < supplies_.size(); ++supply) add_blocks(supply);
}

void BatchSource::add_slices(size_t supply, size_t batch) {
  const uint64_t rows = supplies_[supply]->batch_rows()[batch];
  for (uint64_t first = 0; first < rows; first += kSliceRows) {
    blocks_.push_back({row_count(), std::min(kSliceRows, rows - first)});
    runs_.push_back({supply, batch, 1, first});
  }
}

void BatchSource::add_blocks(size_t supply) {
  const std::span<const uint64_t> batch_rows = supplies_[supply]->batch_rows();
  bool open = false;  // the last block takes more
  for (size_t batch = 0; batch < batch_rows.size(); ++batch) {
    const uint64_t rows = batch_rows[batch];
    if (rows == 0) {
      open = false;
    } else if (rows > kSliceRows && supplies_[supply]->in_place()) {
      add_slices(supply, batch);
      open = false;
    } else if (open && blocks_.back().row_count + rows <= kSliceRows) {
      blocks_.back().row_count += rows;
      runs_.back().batch_count += 1;
    } else {
      blocks_.push_back({row_count(), rows});
      runs_.push_back({supply, batch, 1, 0});
      open = true;
    }
    open = open && blocks_.back().row_count < kBlockRowsMin;
  }
}

Status BatchSource::status_of(const arrow::Status& status, size_t supply) const {
  if (!files_.files().empty()) return file_status(status, files_.files()[supply]);
  return invalid_input("Arrow data in memory is not valid; make it anew",
                       {{"error", brief(status.message())}});
}

Result<std::shared_ptr<arrow::Table>> BatchSource::read_table(
    size_t block_index, std::span<const size_t> columns) const {
  const BatchRun& run = runs_[block_index];
  const BatchSupply& supply = *supplies_[run.supply];
  std::vector<int> fields;
  for (size_t column : columns) fields.push_back((*schema_.places[run.supply])[column]);
  std::vector<int> distinct = fields;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());

  std::vector<arrow::ArrayVector> chunks(columns.size());
  for (size_t i = 0; i < run.batch_count; ++i) {
    EVERGROVE_ASSIGN_OR_RETURN(const auto batch, supply.read(run.first_batch + i, distinct));
    const int64_t row_count = run.batch_count == 1
                                  ? static_cast<int64_t>(blocks_[block_index].row_count)
                                  : batch->num_rows();
    for (size_t c = 0; c < columns.size(); ++c) {
      const auto whole = batch->GetColumnByName(supply.schema()->field(fields[c])->name());
      auto part = whole->Slice(static_cast<int64_t>(run.slice_first), row_count);
      if (!supply.is_valid()) {
        const arrow::Status valid = part->ValidateFull();
        if (!valid.ok()) return status_of(valid, run.supply);
      }
      chunks[c].push_back(std::move(part));
    }
  }
  arrow::FieldVector chosen;
  std::vector<std::shared_ptr<arrow::ChunkedArray>> arrays;
  for (size_t c = 0; c < columns.size(); ++c) {
    chosen.push_back(supply.schema()->field(fields[c]));
    arrays.push_back(
        std::make_shared<arrow::ChunkedArray>(std::move(chunks[c]), chosen.back()->type()));
  }
  return arrow::Table::Make(arrow::schema(std::move(chosen)), std::move(arrays),
                            static_cast<int64_t>(blocks_[block_index].row_count));
}

Result<table::RowBlock> BatchSource::read(size_t block_index,
                                          std::span<const size_t> columns) const {
  table::RowBlock block{blocks_[block_index].first_row, blocks_[block_index].row_count, {}};
  for (size_t column : columns) {
    const table::ColumnSpec& spec = schema_.columns.columns[column];
    if (!spec.usable) return refuse_unusable(spec);
  }
  EVERGROVE_ASSIGN_OR_RETURN(const auto table, read_table(block_index, columns));
  for (size_t i = 0; i < columns.size(); ++i) {
    EVERGROVE_ASSIGN_OR_RETURN(auto values, decode_column(*table->column(static_cast<int>(i)),
                                                          schema_.columns.columns[columns[i]]));
    block.columns.push_back(std::move(values));
  }
  return block;
}

Result<std::shared_ptr<arrow::RecordBatch>> BatchSource::read_arrow(
    size_t block_index, std::span<const size_t> columns) const {
  EVERGROVE_ASSIGN_OR_RETURN(const auto table, read_table(block_index, columns));
  auto batch = table->CombineChunksToBatch();
  if (!batch.ok()) return status_of(batch.status(), runs_[block_index].supply);
  return conform(*std::move(batch), *schema_.arrow, columns);
}

}  // namespace

MemoryBatches::MemoryBatches(std::shared_ptr<arrow::Schema> schema,
                             std::vector<std::shared_ptr<arrow::RecordBatch>> batches,
                             bool is_valid)
    : schema_(std::move(schema)), batches_(std::move(batches)), is_valid_(is_valid) {
  for (const auto& batch : batches_) batch_rows_.push_back(batch->num_rows());
}

Result<std::shared_ptr<arrow::RecordBatch>> MemoryBatches::read(
    size_t batch, const std::vector<int>& /*fields*/) const {
  return batches_[batch];
}

Result<std::shared_ptr<table::RowSource>> make_batch_source(
    std::vector<std::unique_ptr<BatchSupply>> supplies, std::vector<DataFile> files,
    const OpenOptions& options, FileManifest::Fingerprint fingerprint) {
  std::vector<std::shared_ptr<arrow::Schema>> schemas;
  std::vector<std::string> paths;
  for (size_t i = 0; i < supplies.size(); ++i) {
    schemas.push_back(supplies[i]->schema());
    paths.push_back(files.empty() ? "(memory)" : files[i].path);
  }
  EVERGROVE_ASSIGN_OR_RETURN(SchemaUnion schema, unify_schemas(schemas, paths, options));
  return std::shared_ptr<table::RowSource>(std::make_shared<BatchSource>(
      std::move(supplies), std::move(files), std::move(schema), std::move(fingerprint)));
}

}  // namespace evergrove::source
