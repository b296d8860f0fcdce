// open(): a RowSource from paths; from_stream(): one from Arrow data that is in memory.
//
// A path is a file, a folder, a glob, or an s3://, gs://, abfs:// URL of one of these; several are
// read one after the other. Parquet, CSV (.csv, .tsv, also .gz) and Arrow IPC (.arrow, .feather,
// .ipc) are told apart by their first bytes, then by their name. Row order: files sorted by path
// within a glob or folder, in the order given otherwise; rows in the order of the file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

struct ArrowArrayStream;

namespace evergrove::source {

// Who reads a source. For several, each of which reads a part, a large row group of Parquet is cut
// into blocks of equal pieces; one reads it at once, which takes less for what is in progress.
enum class Readers : uint8_t { one, several };

struct OpenOptions {
  // CSV: types by column name, over what is inferred: "number", "text", "date".
  std::map<std::string, std::string> column_types = {};
  char csv_delimiter = 0;  // 0: inferred
  // CSV: columns that are text although all their values may look like numbers. Those that the data
  // does not have are left aside.
  std::vector<std::string> text = {};
  // Columns to be served as categories although they hold numbers; the values are named by their
  // shortest decimal text.
  std::vector<std::string> categorical = {};
  Readers readers = Readers::one;
};

Result<std::shared_ptr<table::RowSource>> open(std::span<const std::string> paths,
                                               const OpenOptions& options = {});

// Takes over the stream (Arrow C stream interface) and keeps its batches without copying them.
Result<std::shared_ptr<table::RowSource>> from_stream(ArrowArrayStream* stream,
                                                      const OpenOptions& options = {});

// A compressed-sparse-row matrix of doubles, as scipy has it: an absent entry is 0, not missing.
// The entries are copied, sorted by column, so the arrays need not outlive the call; `owner` may
// keep them until then. `dense` columns are appended.
struct CsrMatrix {
  std::span<const int64_t> row_starts;  // row_count + 1 entries
  std::span<const int32_t> columns;
  std::span<const double> values;
  size_t column_count = 0;
  std::shared_ptr<const void> owner;
};
Result<std::shared_ptr<table::RowSource>> from_csr(
    const CsrMatrix& matrix, std::vector<std::string> names,
    std::vector<std::pair<std::string, std::vector<double>>> dense);

// A matrix of float or double that lies row by row; NaN is missing. Its values are not copied, but
// for the block that is read; `owner` keeps them.
template <typename Number>
struct RowMatrix {
  const Number* values = nullptr;
  size_t row_count = 0;
  size_t column_count = 0;
  size_t row_stride = 0;  // in numbers, from row to row
  std::shared_ptr<const void> owner;
};
template <typename Number>
Result<std::shared_ptr<table::RowSource>> from_matrix(const RowMatrix<Number>& matrix,
                                                      std::vector<std::string> names);

}  // namespace evergrove::source
