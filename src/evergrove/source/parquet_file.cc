// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/parquet_file.h"

#include <arrow/api.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <span>

namespace evergrove::source {
namespace {

// Of a column chunk, where it is read bit by bit.
constexpr int64_t kLocalBufferBytes = 128 << 10;
constexpr int64_t kStoreBufferBytes = 1 << 20;

void add_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const auto& child : field.children) add_leaves(child, leaves);
}

parquet::ArrowReaderProperties make_properties(const DataFile& file,
                                               std::span<const int> dictionary_leaves) {
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  properties.set_pre_buffer(!file.is_local());
  // Spark's old timestamps; nanoseconds would overflow in 2262.
  properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
  for (int leaf : dictionary_leaves) properties.set_read_dictionary(leaf, true);
  return properties;
}

bool is_number(parquet::Type::type type) {
  return type == parquet::Type::FLOAT || type == parquet::Type::DOUBLE ||
         type == parquet::Type::INT32 || type == parquet::Type::INT64;
}

bool is_top_level_text(const parquet::ColumnDescriptor& column) {
  return column.physical_type() == parquet::Type::BYTE_ARRAY &&
         column.path()->ToDotVector().size() == 1;
}

// Arrow makes dictionaries of these, but not of the delta encodings.
bool can_be_dictionary(const parquet::ColumnChunkMetaData& chunk) {
  const std::vector<parquet::Encoding::type>& encodings = chunk.encodings();
  return std::all_of(encodings.begin(), encodings.end(), [](parquet::Encoding::type encoding) {
    return encoding == parquet::Encoding::PLAIN || encoding == parquet::Encoding::RLE ||
           encoding == parquet::Encoding::BIT_PACKED ||
           encoding == parquet::Encoding::PLAIN_DICTIONARY ||
           encoding == parquet::Encoding::RLE_DICTIONARY;
  });
}

bool is_full(const parquet::ColumnDescriptor& column, const parquet::ColumnChunkMetaData& chunk) {
  if (column.max_definition_level() == 0) return true;
  if (!is_number(column.physical_type()) || !chunk.is_stats_set()) return false;
  const auto statistics = chunk.statistics();
  return statistics != nullptr && statistics->HasNullCount() && statistics->null_count() == 0;
}

Status parquet_status(const arrow::Status& status, const DataFile& file) {
  const Status plain = file_status(status, file);
  if (plain.kind() != StatusKind::corrupt) return plain;
  if (status.message().find("ot yet implemented") != std::string::npos) {
    return file_status(arrow::Status::NotImplemented(status.message()), file);
  }
  return corrupt("A Parquet file is not complete or damaged; write it anew",
                 {{"file", file.path}, {"error", brief(status.message())}});
}

// Calls work, which returns a Status or Result, and turns what it throws into corrupt.
auto guarded(const DataFile& file, auto work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return parquet_status(arrow::Status::OutOfMemory("no memory"), file);
  } catch (const parquet::ParquetStatusException& error) {
    return parquet_status(error.status(), file);  // what reading the file has come to
  } catch (const std::exception& error) {
    return parquet_status(arrow::Status::Invalid(error.what()), file);
  }
}

// Fills row_groups and dictionary_leaves.
Status read_row_groups_of(ParquetFooter& footer, const DataFile& file) {
  const parquet::FileMetaData& metadata = *footer.metadata;
  std::vector<uint8_t> as_dictionary;
  for (int leaf = 0; leaf < metadata.num_columns(); ++leaf) {
    as_dictionary.push_back(is_top_level_text(*metadata.schema()->Column(leaf)));
  }
  uint64_t row_count = 0;
  for (int i = 0; i < metadata.num_row_groups(); ++i) {
    const auto group = metadata.RowGroup(i);
    if (group->num_rows() < 0 || group->num_columns() != metadata.num_columns()) {
      return parquet_status(arrow::Status::Invalid("row group ", i, " is not whole"), file);
    }
    RowGroup& added = footer.row_groups.emplace_back();
    added.row_count = group->num_rows();
    for (int leaf = 0; leaf < group->num_columns(); ++leaf) {
      const auto chunk = group->ColumnChunk(leaf);
      added.compressed_bytes += std::max<int64_t>(chunk->total_compressed_size(), 0);
      added.is_full.push_back(is_full(*metadata.schema()->Column(leaf), *chunk));
      if (as_dictionary[leaf] != 0 && !can_be_dictionary(*chunk)) as_dictionary[leaf] = 0;
    }
    row_count += added.row_count;
  }
  for (int leaf = 0; leaf < metadata.num_columns(); ++leaf) {
    if (as_dictionary[leaf] != 0) footer.dictionary_leaves.push_back(leaf);
  }
  if (row_count == static_cast<uint64_t>(metadata.num_rows())) return {};
  return parquet_status(arrow::Status::Invalid("its row groups do not add up to its rows"), file);
}

// Calls use with parquet's type of a column, what its numbers are kept as there, and what they
// become, if it is of numbers that lie as they are. Returns whether it is.
template <typename Use>
bool with_number_types(const arrow::DataType& type, const Use& use) {
  switch (type.id()) {
    case arrow::Type::FLOAT:
      return use.template operator()<parquet::FloatType, float, float>();
    case arrow::Type::DOUBLE:
      return use.template operator()<parquet::DoubleType, double, double>();
    case arrow::Type::INT8:
      return use.template operator()<parquet::Int32Type, int8_t, double>();
    case arrow::Type::UINT8:
      return use.template operator()<parquet::Int32Type, uint8_t, double>();
    case arrow::Type::INT16:
      return use.template operator()<parquet::Int32Type, int16_t, double>();
    case arrow::Type::UINT16:
      return use.template operator()<parquet::Int32Type, uint16_t, double>();
    case arrow::Type::INT32:
      return use.template operator()<parquet::Int32Type, int32_t, double>();
    case arrow::Type::INT64:
      return use.template operator()<parquet::Int64Type, int64_t, double>();
    default:
      return false;
  }
}

// Reads so many numbers at most; fewer where the column has no more.
template <typename ParquetType, typename Stored, typename Number>
int64_t read_column(parquet::TypedColumnReader<ParquetType>& column, int64_t row_count,
                    Number* to) {
  using Read = typename ParquetType::c_type;
  constexpr int64_t kAtOnce = 4096;
  Read some[kAtOnce];
  int64_t done = 0;
  while (done < row_count && column.HasNext()) {
    // Without levels: each row has a number. Where one has none after all, its page ends early,
    // which throws.
    int64_t count = 0;
    if constexpr (std::is_same_v<Read, Number>) {
      column.ReadBatch(row_count - done, nullptr, nullptr, to + done, &count);
    } else {
      column.ReadBatch(std::min(kAtOnce, row_count - done), nullptr, nullptr, some, &count);
      for (int64_t i = 0; i < count; ++i) {
        to[done + i] = static_cast<Number>(static_cast<Stored>(some[i]));
      }
    }
    done += count;
  }
  return done;
}

template <typename ParquetType, typename Stored, typename Number>
Result<table::ColumnValues> read_numbers_of(parquet::ParquetFileReader& reader,
                                            const DataFile& file,
                                            const std::vector<int>& row_groups, int leaf) {
  size_t row_count = 0;
  for (const int group : row_groups) {
    row_count += static_cast<size_t>(reader.metadata()->RowGroup(group)->num_rows());
  }
  const auto numbers = std::make_shared_for_overwrite<Number[]>(row_count);
  Number* to = numbers.get();
  for (const int group : row_groups) {
    const auto rows = reader.metadata()->RowGroup(group)->num_rows();
    const std::shared_ptr<parquet::ColumnReader> column = reader.RowGroup(group)->Column(leaf);
    auto& typed = static_cast<parquet::TypedColumnReader<ParquetType>&>(*column);
    const int64_t here = read_column<ParquetType, Stored>(typed, rows, to);
    if (here < rows || typed.HasNext()) {
      return other_row_count(file, static_cast<uint64_t>(here), static_cast<uint64_t>(rows));
    }
    to += rows;
  }
  table::ColumnValues values;
  const std::span<const Number> all(numbers.get(), row_count);
  if constexpr (sizeof(Number) == 4) {
    values.f32 = all;
  } else {
    values.f64 = all;
  }
  values.owner = numbers;
  return values;
}

}  // namespace

Result<ParquetFooter> read_parquet_footer(const DataFile& file) {
  return guarded(file, [&]() -> Result<ParquetFooter> {
    EVERGROVE_ASSIGN_OR_RETURN(auto opened, open_file(file, FileAccess::read));
    parquet::arrow::FileReaderBuilder builder;
    const arrow::Status status = builder.Open(std::move(opened));
    if (!status.ok()) return parquet_status(status, file);
    ParquetFooter footer;
    footer.metadata = builder.raw_reader()->metadata();
    parquet::arrow::SchemaManifest manifest;
    const arrow::Status schema_status = parquet::arrow::SchemaManifest::Make(
        footer.metadata->schema(), footer.metadata->key_value_metadata(), make_properties(file, {}),
        &manifest);
    if (!schema_status.ok()) return parquet_status(schema_status, file);
    arrow::FieldVector fields;
    FieldLeaves leaves;
    for (const parquet::arrow::SchemaField& field : manifest.schema_fields) {
      fields.push_back(field.field);
      add_leaves(field, leaves.emplace_back());
    }
    footer.schema = arrow::schema(std::move(fields));
    footer.leaves = std::make_shared<const FieldLeaves>(std::move(leaves));
    EVERGROVE_RETURN_IF_ERROR(read_row_groups_of(footer, file));
    return footer;
  });
}

Result<std::unique_ptr<parquet::arrow::FileReader>> open_parquet_reader(const DataFile& file,
                                                                        const ParquetFooter& footer,
                                                                        ParquetText text,
                                                                        uint64_t batch_rows) {
  using Reader = std::unique_ptr<parquet::arrow::FileReader>;
  return guarded(file, [&]() -> Result<Reader> {
    EVERGROVE_ASSIGN_OR_RETURN(auto opened, open_file(file, FileAccess::read));
    parquet::arrow::FileReaderBuilder builder;
    parquet::ReaderProperties of_chunks = parquet::default_reader_properties();
    if (batch_rows > 0) {
      of_chunks.enable_buffered_stream();  // else a column chunk is in memory as long as it is read
      of_chunks.set_buffer_size(file.is_local() ? kLocalBufferBytes : kStoreBufferBytes);
    }
    const arrow::Status status = builder.Open(std::move(opened), of_chunks, footer.metadata);
    if (!status.ok()) return parquet_status(status, file);
    const std::span<const int> dictionary_leaves =
        text == ParquetText::dictionary ? footer.dictionary_leaves : std::span<const int>();
    parquet::ArrowReaderProperties properties = make_properties(file, dictionary_leaves);
    if (batch_rows > 0) {
      properties.set_pre_buffer(false);
      properties.set_batch_size(static_cast<int64_t>(batch_rows));
    }
    builder.properties(properties);
    auto reader = builder.Build();
    if (!reader.ok()) return parquet_status(reader.status(), file);
    return *std::move(reader);
  });
}

Status other_row_count(const DataFile& file, uint64_t row_count, uint64_t footer_row_count) {
  return corrupt("A Parquet file has another number of rows than its footer says; write it anew",
                 {{"file", file.path},
                  {"rows", std::to_string(row_count)},
                  {"footer", std::to_string(footer_row_count)}});
}

Result<std::shared_ptr<arrow::Table>> read_row_groups(parquet::arrow::FileReader& reader,
                                                      const DataFile& file,
                                                      const std::vector<int>& row_groups,
                                                      const std::vector<int>& leaves) {
  using Table = std::shared_ptr<arrow::Table>;
  return guarded(file, [&]() -> Result<Table> {
    auto table = reader.ReadRowGroups(row_groups, leaves);
    if (!table.ok()) return parquet_status(table.status(), file);
    // Cheap, and what Arrow's decoders might overlook would be read beyond its buffers.
    const arrow::Status valid = (*table)->Validate();
    if (!valid.ok()) return parquet_status(valid, file);
    return *std::move(table);
  });
}

bool has_plain_numbers(const ParquetFooter& footer, const std::vector<int>& row_groups, int field) {
  const std::vector<int>& leaves = (*footer.leaves)[field];
  if (leaves.size() != 1) return false;
  const int leaf = leaves[0];
  const parquet::ColumnDescriptor& column = *footer.metadata->schema()->Column(leaf);
  if (column.max_repetition_level() > 0 || column.max_definition_level() > 1) return false;
  const bool is_plain = with_number_types(*footer.schema->field(field)->type(),
                                          [&]<typename ParquetType, typename, typename>() {
                                            return column.physical_type() == ParquetType::type_num;
                                          });
  return is_plain && std::all_of(row_groups.begin(), row_groups.end(),
                                 [&](int group) { return footer.row_groups[group].is_full[leaf]; });
}

Result<table::ColumnValues> read_numbers(parquet::arrow::FileReader& reader, const DataFile& file,
                                         const ParquetFooter& footer,
                                         const std::vector<int>& row_groups, int field) {
  return guarded(file, [&]() -> Result<table::ColumnValues> {
    Result<table::ColumnValues> read = internal_error("A column has no plain numbers");
    with_number_types(*footer.schema->field(field)->type(),
                      [&]<typename ParquetType, typename Stored, typename Number>() {
                        read = read_numbers_of<ParquetType, Stored, Number>(
                            *reader.parquet_reader(), file, row_groups, (*footer.leaves)[field][0]);
                        return true;
                      });
    return read;
  });
}

Result<std::unique_ptr<arrow::RecordBatchReader>> read_in_batches(
    parquet::arrow::FileReader& reader, const DataFile& file, int row_group,
    const std::vector<int>& leaves) {
  using Batches = std::unique_ptr<arrow::RecordBatchReader>;
  return guarded(file, [&]() -> Result<Batches> {
    auto batches = reader.GetRecordBatchReader({row_group}, leaves);
    if (!batches.ok()) return parquet_status(batches.status(), file);
    return *std::move(batches);
  });
}

Result<std::shared_ptr<arrow::RecordBatch>> next_batch(arrow::RecordBatchReader& batches,
                                                       const DataFile& file) {
  using Batch = std::shared_ptr<arrow::RecordBatch>;
  return guarded(file, [&]() -> Result<Batch> {
    auto batch = batches.Next();
    if (!batch.ok()) return parquet_status(batch.status(), file);
    if (*batch == nullptr) return Batch();
    const arrow::Status valid = (*batch)->Validate();
    if (!valid.ok()) return parquet_status(valid, file);
    return *std::move(batch);
  });
}

}  // namespace evergrove::source
