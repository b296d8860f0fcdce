// RowSource: rows in blocks, wherever they come from.
//
// A row's id is its position in the data set: files in the order of the manifest, rows in the
// order of the file. A block is a run of consecutive rows; how long blocks are is the source's
// own affair and is never part of a result. read() may be called from many threads at once, for
// any block and any set of columns; a column that is not asked for is not read.
//
//   for (size_t b = 0; b < source.blocks().size(); ++b) {
//     EVERGROVE_ASSIGN_OR_RETURN(table::RowBlock block, source.read(b, wanted));
//     ...
//   }
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::table {

enum class ColumnKind : uint8_t { numeric, categorical };

struct ColumnSpec {
  std::string name;
  ColumnKind kind = ColumnKind::numeric;
  std::string source_type;  // as the source calls it, such as "timestamp[us]"; for messages only
  // False for what can be kept but not learnt from (a list, a struct): reading it is refused.
  bool usable = true;
};

struct Schema {
  std::vector<ColumnSpec> columns;  // names are distinct

  // Returns the index of the column with that name.
  std::optional<size_t> find(std::string_view name) const;
  // Refuses two columns of one name.
  Status check_names() const;
};

// One column of one block. Either numeric: exactly one of the two spans holds row_count values,
// NaN where missing (float32 columns come as they are, everything else as double; dates and
// timestamps as seconds since 1970-01-01 UTC, booleans as 0 and 1). Or categorical: a code a row
// into `dictionary`, -1 where missing; the dictionary is the block's own, in any order, without
// repetition, and may hold entries that no row has. `owner` keeps what the spans point to.
struct ColumnValues {
  std::span<const double> f64;
  std::span<const float> f32;
  std::span<const int32_t> codes;
  std::vector<std::string> dictionary;
  std::shared_ptr<const void> owner;

  static ColumnValues of(std::vector<double> values);
  static ColumnValues of(std::vector<int32_t> codes, std::vector<std::string> dictionary);
  // Numeric only: the value of a row as double.
  double number(size_t row) const { return f32.empty() ? f64[row] : double{f32[row]}; }
};

struct RowBlock {
  uint64_t first_row = 0;  // row id of the first row
  size_t row_count = 0;
  std::vector<ColumnValues> columns;  // in the order asked for
};

struct BlockExtent {
  uint64_t first_row = 0;
  size_t row_count = 0;
};

// All rows in blocks of block_rows, the last one of fewer. Requires: block_rows > 0.
std::vector<BlockExtent> blocks_of(uint64_t row_count, size_t block_rows);

// What was read: enough to say later, file by file, whether it is still the same data.
struct ManifestFile {
  std::string path;  // as given, without credentials; "(memory)" for frames
  uint64_t size_bytes = 0;
  uint64_t first_row = 0;
  uint64_t row_count = 0;
  std::string fingerprint;  // hex; of the content, not of names or times; or kUnreadable
};
inline constexpr std::string_view kUnreadable = "unreadable";
struct Manifest {
  std::vector<ManifestFile> files;
  uint64_t row_count = 0;
};

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const Schema& schema() const = 0;
  virtual const Manifest& manifest() const = 0;
  // The files that the rows are read from, as in manifest(). Cheap.
  virtual std::vector<std::string> file_paths() const { return {}; }
  // Extents in row order, without gaps, from row 0 to manifest().row_count.
  virtual std::span<const BlockExtent> blocks() const = 0;
  // The rows of all blocks. Cheap, where manifest() may have to hash every file first.
  uint64_t row_count() const {
    return blocks().empty() ? 0 : blocks().back().first_row + blocks().back().row_count;
  }
  // True when reading one column costs about that column's share (Parquet, memory); false when a
  // block must be read whole whatever is asked for (CSV).
  virtual bool reads_single_columns() const { return true; }
  // Gives back the memory that it keeps between reads; later ones make anew what they need.
  virtual void let_go() const {}
  // Reads columns of one block. Requires: block_index < blocks().size(), valid column indices.
  virtual Result<RowBlock> read(size_t block_index, std::span<const size_t> columns) const = 0;
};

}  // namespace evergrove::table
