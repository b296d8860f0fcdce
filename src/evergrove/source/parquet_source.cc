// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/parquet_source.h"

#include <arrow/api.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <numeric>

#include "evergrove/source/arrow_source.h"
#include "evergrove/source/column_decoder.h"
#include "evergrove/source/file_manifest.h"
#include "evergrove/source/fingerprint.h"
#include "evergrove/source/parquet_file.h"
#include "evergrove/source/reader_pool.h"
#include "evergrove/source/schema_union.h"

namespace evergrove::source {
namespace {

constexpr uint64_t kBlockRowsMin = 65536;

// Below this size of a column's part of a block, opening and asking cost more than the bytes, and
// all columns of a block are better read at once, as long as one block's columns are no burden.
constexpr uint64_t kLocalReadBytesMin = 8 << 10;
constexpr uint64_t kStoreReadBytesMin = 1 << 20;
constexpr size_t kColumnsAtOnceMax = 256;

struct GroupRun {
  size_t file = 0;
  int first_group = 0;
  int group_count = 0;
};

struct ReaderKey {
  size_t file = 0;
  ParquetText text = ParquetText::dictionary;
  bool operator==(const ReaderKey&) const = default;
};

class ParquetSource final : public ArrowSource {
 public:
  ParquetSource(std::vector<DataFile> files, std::vector<ParquetFooter> footers, SchemaUnion schema,
                std::span<const uint64_t> row_counts);

  const table::Schema& schema() const override { return schema_.columns; }
  const table::Manifest& manifest() const override { return manifest_.manifest(); }
  std::span<const table::BlockExtent> blocks() const override { return blocks_; }
  bool reads_single_columns() const override { return reads_single_columns_; }
  std::shared_ptr<arrow::Schema> arrow_schema() const override { return schema_.arrow; }
  Result<table::RowBlock> read(size_t block_index, std::span<const size_t> columns) const override;
  Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(
      size_t block_index, std::span<const size_t> columns) const override;

 private:
  void make_blocks();
  bool single_columns_pay() const;
  // Reads the columns, each once, under their names.
  Result<std::shared_ptr<arrow::Table>> read_table(size_t block_index,
                                                   std::span<const size_t> columns,
                                                   ParquetText text) const;

  FileManifest manifest_;
  std::vector<ParquetFooter> footers_;
  SchemaUnion schema_;
  std::vector<table::BlockExtent> blocks_;
  std::vector<GroupRun> runs_;  // of each block
  bool reads_single_columns_ = true;
  mutable ReaderPool<ReaderKey, std::unique_ptr<parquet::arrow::FileReader>> readers_;
};

ParquetSource::ParquetSource(std::vector<DataFile> files, std::vector<ParquetFooter> footers,
                             SchemaUnion schema, std::span<const uint64_t> row_counts)
    : manifest_(std::move(files), row_counts, fingerprint_parquet),
      footers_(std::move(footers)),
      schema_(std::move(schema)) {
  make_blocks();
  reads_single_columns_ = single_columns_pay();
}

void ParquetSource::make_blocks() {
  uint64_t first_row = 0;
  for (size_t file = 0; file < footers_.size(); ++file) {
    bool full = true;  // the last block takes no more
    for (size_t group = 0; group < footers_[file].row_groups.size(); ++group) {
      const uint64_t row_count = footers_[file].row_groups[group].row_count;
      if (full || blocks_.back().row_count + row_count > 2 * kBlockRowsMin) {
        if (row_count == 0) continue;  // leaves a gap of no rows
        blocks_.push_back({first_row, 0});
        runs_.push_back({file, static_cast<int>(group), 0});
      }
      blocks_.back().row_count += row_count;
      runs_.back().group_count += 1;
      first_row += row_count;
      full = blocks_.back().row_count >= kBlockRowsMin;
    }
  }
}

bool ParquetSource::single_columns_pay() const {
  const size_t column_count = schema_.columns.columns.size();
  if (blocks_.empty() || column_count > kColumnsAtOnceMax) return true;
  uint64_t all_bytes = 0;
  for (const ParquetFooter& footer : footers_) {
    for (const RowGroup& group : footer.row_groups) all_bytes += group.compressed_bytes;
  }
  const uint64_t read_bytes = all_bytes / (blocks_.size() * std::max<size_t>(column_count, 1));
  return read_bytes >= (manifest_.files()[0].is_local() ? kLocalReadBytesMin : kStoreReadBytesMin);
}

Result<std::shared_ptr<arrow::Table>> ParquetSource::read_table(size_t block_index,
                                                                std::span<const size_t> columns,
                                                                ParquetText text) const {
  const GroupRun& run = runs_[block_index];
  const DataFile& file = manifest_.files()[run.file];
  const ParquetFooter& footer = footers_[run.file];
  std::vector<int> groups(run.group_count);
  std::iota(groups.begin(), groups.end(), run.first_group);
  std::vector<int> leaves;
  for (size_t column : columns) {
    const std::vector<int>& of_field = (*footer.leaves)[(*schema_.places[run.file])[column]];
    leaves.insert(leaves.end(), of_field.begin(), of_field.end());
  }
  std::sort(leaves.begin(), leaves.end());
  leaves.erase(std::unique(leaves.begin(), leaves.end()), leaves.end());

  const ReaderKey key = {run.file, text};
  std::unique_ptr<parquet::arrow::FileReader> reader = readers_.take(key);
  if (reader == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(reader, open_parquet_reader(file, footer, text));
  }
  EVERGROVE_ASSIGN_OR_RETURN(auto table, read_row_groups(*reader, file, groups, leaves));
  readers_.give_back(key, std::move(reader));
  if (static_cast<uint64_t>(table->num_rows()) == blocks_[block_index].row_count) return table;
  return corrupt("A Parquet file has another number of rows than its footer says; write it anew",
                 {{"file", file.path},
                  {"rows", std::to_string(table->num_rows())},
                  {"footer", std::to_string(blocks_[block_index].row_count)}});
}

Result<table::RowBlock> ParquetSource::read(size_t block_index,
                                            std::span<const size_t> columns) const {
  table::RowBlock block{blocks_[block_index].first_row, blocks_[block_index].row_count, {}};
  for (size_t column : columns) {
    const table::ColumnSpec& spec = schema_.columns.columns[column];
    if (!spec.usable) return refuse_unusable(spec);
  }
  if (columns.empty()) return block;
  EVERGROVE_ASSIGN_OR_RETURN(auto table, read_table(block_index, columns, ParquetText::dictionary));
  for (size_t column : columns) {
    const table::ColumnSpec& spec = schema_.columns.columns[column];
    EVERGROVE_ASSIGN_OR_RETURN(auto values,
                               decode_column(*table->GetColumnByName(spec.name), spec));
    block.columns.push_back(std::move(values));
  }
  return block;
}

Result<std::shared_ptr<arrow::RecordBatch>> ParquetSource::read_arrow(
    size_t block_index, std::span<const size_t> columns) const {
  const auto row_count = static_cast<int64_t>(blocks_[block_index].row_count);
  arrow::FieldVector fields;
  std::vector<std::shared_ptr<arrow::ChunkedArray>> arrays;
  if (!columns.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(auto table, read_table(block_index, columns, ParquetText::plain));
    for (size_t column : columns) {
      const std::string& name = schema_.columns.columns[column].name;
      fields.push_back(table->schema()->GetFieldByName(name));
      arrays.push_back(table->GetColumnByName(name));
    }
  }
  const auto chosen = arrow::Table::Make(arrow::schema(std::move(fields)), arrays, row_count);
  auto batch = chosen->CombineChunksToBatch();
  if (!batch.ok()) {
    return file_status(batch.status(), manifest_.files()[runs_[block_index].file]);
  }
  return conform(*std::move(batch), *schema_.arrow, columns);
}

}  // namespace

Result<std::shared_ptr<table::RowSource>> open_parquet(std::vector<DataFile> files,
                                                       const OpenOptions& options) {
  std::vector<ParquetFooter> footers(files.size());
  EVERGROVE_RETURN_IF_ERROR(for_each_file(files, [&](size_t i) -> Status {
    EVERGROVE_ASSIGN_OR_RETURN(footers[i], read_parquet_footer(files[i]));
    return {};
  }));
  std::vector<std::shared_ptr<arrow::Schema>> schemas;
  std::vector<std::string> paths;
  std::vector<uint64_t> row_counts;
  for (size_t i = 0; i < files.size(); ++i) {
    if (i > 0 && *footers[i].leaves == *footers[0].leaves) footers[i].leaves = footers[0].leaves;
    schemas.push_back(footers[i].schema);
    paths.push_back(files[i].path);
    row_counts.push_back(0);
    for (const RowGroup& group : footers[i].row_groups) row_counts.back() += group.row_count;
  }
  EVERGROVE_ASSIGN_OR_RETURN(SchemaUnion schema, unify_schemas(schemas, paths, options));
  return std::shared_ptr<table::RowSource>(std::make_shared<ParquetSource>(
      std::move(files), std::move(footers), std::move(schema), row_counts));
}

}  // namespace evergrove::source
