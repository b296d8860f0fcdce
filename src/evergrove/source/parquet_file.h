// ParquetFile: what a Parquet file's footer says, and readers of its column chunks.
//
// Arrow's reader throws on some damaged files; nothing passes beyond this file's functions.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/source/data_file.h"
#include "evergrove/table/row_source.h"

namespace arrow {
class RecordBatch;
class RecordBatchReader;
class Schema;
class Table;
}  // namespace arrow
namespace parquet {
class FileMetaData;
namespace arrow {
class FileReader;
}
}  // namespace parquet

namespace evergrove::source {

struct RowGroup {
  uint64_t row_count = 0;
  uint64_t compressed_bytes = 0;
  std::vector<bool> is_full;  // by leaf: the footer says that there are no nulls
};

// Which leaf columns each top-level field consists of: one, unless it is nested.
using FieldLeaves = std::vector<std::vector<int>>;

struct ParquetFooter {
  std::shared_ptr<parquet::FileMetaData> metadata;
  std::shared_ptr<arrow::Schema> schema;
  std::shared_ptr<const FieldLeaves> leaves;
  std::vector<RowGroup> row_groups;
  std::vector<int> dictionary_leaves;  // text that Arrow can read as dictionaries
};

// What text is read as. Dictionaries save memory and time; plain keeps the types of the file.
enum class ParquetText : uint8_t { dictionary, plain };

// Opens a file and reads its footer.
Result<ParquetFooter> read_parquet_footer(const DataFile& file);

// Opens a reader without reading the footer again. One thread at a time. With batch_rows it is for
// read_in_batches(), and keeps little of the file in memory.
Result<std::unique_ptr<parquet::arrow::FileReader>> open_parquet_reader(const DataFile& file,
                                                                        const ParquetFooter& footer,
                                                                        ParquetText text,
                                                                        uint64_t batch_rows = 0);

// What was read is not what the footer says.
Status other_row_count(const DataFile& file, uint64_t row_count, uint64_t footer_row_count);

// Reads leaf columns of consecutive row groups, without threads of Arrow's own.
Result<std::shared_ptr<arrow::Table>> read_row_groups(parquet::arrow::FileReader& reader,
                                                      const DataFile& file,
                                                      const std::vector<int>& row_groups,
                                                      const std::vector<int>& leaves);

// Whether read_numbers() can have a field of consecutive row groups: floats, doubles or whole
// numbers, one in each row.
bool has_plain_numbers(const ParquetFooter& footer, const std::vector<int>& row_groups, int field);
// Reads these, straight from the pages to where they stay; whole numbers as doubles.
Result<table::ColumnValues> read_numbers(parquet::arrow::FileReader& reader, const DataFile& file,
                                         const ParquetFooter& footer,
                                         const std::vector<int>& row_groups, int field);

// The rows of one row group, batch by batch, the last one smaller; Arrow may cut a batch into
// several. The reader outlives what is returned.
Result<std::unique_ptr<arrow::RecordBatchReader>> read_in_batches(
    parquet::arrow::FileReader& reader, const DataFile& file, int row_group,
    const std::vector<int>& leaves);
// Null at the end.
Result<std::shared_ptr<arrow::RecordBatch>> next_batch(arrow::RecordBatchReader& batches,
                                                       const DataFile& file);

}  // namespace evergrove::source
