// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/parquet_source.h"

#include <arrow/api.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "evergrove/source/arrow_source.h"
#include "evergrove/source/column_decoder.h"
#include "evergrove/source/file_manifest.h"
#include "evergrove/source/fingerprint.h"
#include "evergrove/source/parquet_cursor.h"
#include "evergrove/source/parquet_file.h"
#include "evergrove/source/reader_pool.h"
#include "evergrove/source/schema_union.h"

namespace evergrove::source {
namespace {

// How many rows make a block: small row groups are joined until they are so many, and one of more
// than twice as many as a piece has is cut into pieces, if it is to be cut.
struct BlockRows {
  uint64_t joined = 65536, piece = 65536;
};
// Several readers have whole blocks each: of few rows, too, there are to be enough for all of them
// to have about as many. A piece costs more than a small group.
BlockRows block_rows(uint64_t row_count, Readers readers) {
  const BlockRows most;
  if (readers == Readers::one) return most;
  return {std::clamp<uint64_t>(row_count / 256, 4096, most.joined),
          std::clamp<uint64_t>(row_count / 64, 16384, most.piece)};
}

// Below this size of a column's part of a block, opening and asking cost more than the bytes, and
// all columns of a block are better read at once, as long as one block's columns are no burden.
constexpr uint64_t kLocalReadBytesMin = 8 << 10;
constexpr uint64_t kStoreReadBytesMin = 1 << 20;
constexpr size_t kColumnsAtOnceMax = 256;

// Of pieces; each keeps for each of its columns a buffer, a page and a dictionary: some 3 MiB, as
// most writers write.
constexpr size_t kIdleCursorsMax = 256;

struct GroupRun {
  size_t file = 0;
  int first_group = 0;
  int group_count = 0;
  // Of a piece of one row group: where it begins in it, and the rows of all of its pieces but the
  // last. 0: whole groups.
  uint64_t first_row = 0;
  uint64_t piece_rows = 0;
};

std::vector<int> groups_of(const GroupRun& run) {
  std::vector<int> groups(run.group_count);
  std::iota(groups.begin(), groups.end(), run.first_group);
  return groups;
}

struct ReaderKey {
  size_t file = 0;
  ParquetText text = ParquetText::dictionary;
  bool operator==(const ReaderKey&) const = default;
};

struct CursorKey {
  ReaderKey reader;
  int group = 0;
  std::vector<int> leaves;
  uint64_t next_row = 0;
};

class ParquetSource final : public ArrowSource {
 public:
  ParquetSource(std::vector<DataFile> files, std::vector<ParquetFooter> footers, SchemaUnion schema,
                std::span<const uint64_t> row_counts, Readers readers);

  const table::Schema& schema() const override { return schema_.columns; }
  const table::Manifest& manifest() const override { return manifest_.manifest(); }
  std::vector<std::string> file_paths() const override { return manifest_.paths(); }
  std::span<const table::BlockExtent> blocks() const override { return blocks_; }
  bool reads_single_columns() const override { return reads_single_columns_; }
  void let_go() const override;
  std::shared_ptr<arrow::Schema> arrow_schema() const override { return schema_.arrow; }
  Result<table::RowBlock> read(size_t block_index, std::span<const size_t> columns) const override;
  Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(
      size_t block_index, std::span<const size_t> columns) const override;

 private:
  void make_blocks(Readers readers);
  bool single_columns_pay() const;
  std::vector<int> leaves_of(size_t file, std::span<const size_t> columns) const;
  // Reads the columns, each once, under their names.
  Result<std::shared_ptr<arrow::Table>> read_table(size_t block_index,
                                                   std::span<const size_t> columns,
                                                   ParquetText text) const;
  Result<std::shared_ptr<arrow::Table>> read_groups(const GroupRun& run,
                                                    const std::vector<int>& leaves,
                                                    ParquetText text) const;
  Result<std::shared_ptr<arrow::Table>> read_piece(const GroupRun& run, uint64_t row_count,
                                                   const std::vector<int>& leaves,
                                                   ParquetText text) const;
  int field_of(const GroupRun& run, size_t column) const {
    return static_cast<int>((*schema_.places[run.file])[column]);
  }
  // Whether read_plain() can have it.
  bool is_plain(const GroupRun& run, size_t column) const;
  Result<table::ColumnValues> read_plain(const GroupRun& run, size_t column) const;
  // Calls use(reader, row groups of the run).
  template <typename Use>
  auto with_reader(const GroupRun& run, ParquetText text, const Use& use) const
      -> decltype(use(std::declval<parquet::arrow::FileReader&>(), std::vector<int>()));

  FileManifest manifest_;
  std::vector<ParquetFooter> footers_;
  SchemaUnion schema_;
  std::vector<table::BlockExtent> blocks_;
  std::vector<GroupRun> runs_;  // of each block
  bool reads_single_columns_ = true;
  mutable ReaderPool<ReaderKey, std::unique_ptr<parquet::arrow::FileReader>> readers_;
  mutable ReaderPool<CursorKey, std::unique_ptr<ParquetCursor>> cursors_{kIdleCursorsMax};
};

ParquetSource::ParquetSource(std::vector<DataFile> files, std::vector<ParquetFooter> footers,
                             SchemaUnion schema, std::span<const uint64_t> row_counts,
                             Readers readers)
    : manifest_(std::move(files), row_counts, fingerprint_parquet),
      footers_(std::move(footers)),
      schema_(std::move(schema)) {
  make_blocks(readers);
  reads_single_columns_ = single_columns_pay();
}

void ParquetSource::make_blocks(Readers readers) {
  uint64_t all_rows = 0;
  for (const ParquetFooter& footer : footers_) {
    for (const auto& group : footer.row_groups) all_rows += group.row_count;
  }
  const BlockRows wanted = block_rows(all_rows, readers);
  uint64_t first_row = 0;
  for (size_t file = 0; file < footers_.size(); ++file) {
    bool full = true;  // the last block takes no more
    for (size_t group = 0; group < footers_[file].row_groups.size(); ++group) {
      const uint64_t row_count = footers_[file].row_groups[group].row_count;
      if (readers == Readers::several && row_count > 2 * wanted.piece) {
        const uint64_t piece_count = (row_count + wanted.piece - 1) / wanted.piece;
        const uint64_t piece_rows = (row_count + piece_count - 1) / piece_count;
        for (uint64_t row = 0; row < row_count; row += piece_rows) {
          blocks_.push_back({first_row + row, std::min(piece_rows, row_count - row)});
          runs_.push_back({file, static_cast<int>(group), 1, row, piece_rows});
        }
        first_row += row_count;
        full = true;
        continue;
      }
      if (full || blocks_.back().row_count + row_count > 2 * wanted.joined) {
        if (row_count == 0) continue;  // leaves a gap of no rows
        blocks_.push_back({first_row, 0});
        runs_.push_back({file, static_cast<int>(group), 0, 0, 0});
      }
      blocks_.back().row_count += row_count;
      runs_.back().group_count += 1;
      first_row += row_count;
      full = blocks_.back().row_count >= wanted.joined;
    }
  }
}

void ParquetSource::let_go() const {
  if (cursors_.clear() > 0) arrow::default_memory_pool()->ReleaseUnused();
}

bool ParquetSource::single_columns_pay() const {
  const size_t column_count = schema_.columns.columns.size();
  if (blocks_.empty() || column_count > kColumnsAtOnceMax) return true;
  // Pieces of a row group are read one after the other.
  const auto read_count = static_cast<uint64_t>(std::count_if(
      runs_.begin(), runs_.end(), [](const GroupRun& run) { return run.first_row == 0; }));
  uint64_t all_bytes = 0;
  for (const ParquetFooter& footer : footers_) {
    for (const RowGroup& group : footer.row_groups) all_bytes += group.compressed_bytes;
  }
  const uint64_t read_bytes = all_bytes / (read_count * std::max<size_t>(column_count, 1));
  return read_bytes >= (manifest_.files()[0].is_local() ? kLocalReadBytesMin : kStoreReadBytesMin);
}

std::vector<int> ParquetSource::leaves_of(size_t file, std::span<const size_t> columns) const {
  std::vector<int> leaves;
  for (size_t column : columns) {
    const std::vector<int>& of_field = (*footers_[file].leaves)[(*schema_.places[file])[column]];
    leaves.insert(leaves.end(), of_field.begin(), of_field.end());
  }
  std::sort(leaves.begin(), leaves.end());
  leaves.erase(std::unique(leaves.begin(), leaves.end()), leaves.end());
  return leaves;
}

Result<std::shared_ptr<arrow::Table>> ParquetSource::read_table(size_t block_index,
                                                                std::span<const size_t> columns,
                                                                ParquetText text) const {
  const GroupRun& run = runs_[block_index];
  const uint64_t row_count = blocks_[block_index].row_count;
  const std::vector<int> leaves = leaves_of(run.file, columns);
  if (run.piece_rows > 0) return read_piece(run, row_count, leaves, text);
  EVERGROVE_ASSIGN_OR_RETURN(auto table, read_groups(run, leaves, text));
  const auto rows_read = static_cast<uint64_t>(table->num_rows());
  if (rows_read == row_count) return table;
  return other_row_count(manifest_.files()[run.file], rows_read, row_count);
}

template <typename Use>
auto ParquetSource::with_reader(const GroupRun& run, ParquetText text, const Use& use) const
    -> decltype(use(std::declval<parquet::arrow::FileReader&>(), std::vector<int>())) {
  const std::vector<int> groups = groups_of(run);
  const ReaderKey key = {run.file, text};
  std::unique_ptr<parquet::arrow::FileReader> reader = readers_.take(key);
  if (reader == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(
        reader, open_parquet_reader(manifest_.files()[run.file], footers_[run.file], text));
  }
  EVERGROVE_ASSIGN_OR_RETURN(auto result, use(*reader, groups));
  readers_.give_back(key, std::move(reader));
  return result;
}

Result<std::shared_ptr<arrow::Table>> ParquetSource::read_groups(const GroupRun& run,
                                                                 const std::vector<int>& leaves,
                                                                 ParquetText text) const {
  return with_reader(run, text,
                     [&](parquet::arrow::FileReader& reader, const std::vector<int>& groups) {
                       return read_row_groups(reader, manifest_.files()[run.file], groups, leaves);
                     });
}

// Of a store's files Arrow fetches all that is asked for at once.
bool ParquetSource::is_plain(const GroupRun& run, size_t column) const {
  return schema_.columns.columns[column].kind == table::ColumnKind::numeric &&
         run.piece_rows == 0 && manifest_.files()[run.file].is_local() &&
         has_plain_numbers(footers_[run.file], groups_of(run), field_of(run, column));
}

Result<table::ColumnValues> ParquetSource::read_plain(const GroupRun& run, size_t column) const {
  return with_reader(run, ParquetText::dictionary,
                     [&](parquet::arrow::FileReader& reader, const std::vector<int>& groups) {
                       return read_numbers(reader, manifest_.files()[run.file], footers_[run.file],
                                           groups, field_of(run, column));
                     });
}

Result<std::shared_ptr<arrow::Table>> ParquetSource::read_piece(const GroupRun& run,
                                                                uint64_t row_count,
                                                                const std::vector<int>& leaves,
                                                                ParquetText text) const {
  CursorKey key = {{run.file, text}, run.first_group, leaves, 0};
  // The one that is nearest; with luck it is there.
  std::unique_ptr<ParquetCursor> cursor =
      cursors_.take_best([&](const CursorKey& idle) -> std::optional<uint64_t> {
        const bool fits = idle.reader == key.reader && idle.group == key.group &&
                          idle.leaves == key.leaves && idle.next_row <= run.first_row;
        return fits ? std::optional(idle.next_row) : std::nullopt;
      });
  const ParquetFooter& footer = footers_[run.file];
  if (cursor == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(
        cursor, ParquetCursor::open(manifest_.files()[run.file], footer, text, run.first_group,
                                    leaves, run.piece_rows));
  }
  EVERGROVE_RETURN_IF_ERROR(cursor->skip_to(run.first_row));
  EVERGROVE_ASSIGN_OR_RETURN(auto table, cursor->read(row_count));
  key.next_row = cursor->next_row();
  if (key.next_row < footer.row_groups[run.first_group].row_count) {
    cursors_.give_back(std::move(key), std::move(cursor));
  }
  return table;
}

Result<table::RowBlock> ParquetSource::read(size_t block_index,
                                            std::span<const size_t> columns) const {
  table::RowBlock block{blocks_[block_index].first_row, blocks_[block_index].row_count, {}};
  for (size_t column : columns) {
    const table::ColumnSpec& spec = schema_.columns.columns[column];
    if (!spec.usable) return refuse_unusable(spec);
  }
  block.columns.resize(columns.size());
  std::vector<size_t> places;  // of the columns that Arrow reads
  std::vector<size_t> others;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (is_plain(runs_[block_index], columns[i])) {
      EVERGROVE_ASSIGN_OR_RETURN(block.columns[i], read_plain(runs_[block_index], columns[i]));
    } else {
      places.push_back(i);
      others.push_back(columns[i]);
    }
  }
  if (others.empty()) return block;
  EVERGROVE_ASSIGN_OR_RETURN(auto table, read_table(block_index, others, ParquetText::dictionary));
  for (size_t i = 0; i < others.size(); ++i) {
    const table::ColumnSpec& spec = schema_.columns.columns[others[i]];
    EVERGROVE_ASSIGN_OR_RETURN(block.columns[places[i]],
                               decode_column(*table->GetColumnByName(spec.name), spec));
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
      std::move(files), std::move(footers), std::move(schema), row_counts, options.readers));
}

}  // namespace evergrove::source
