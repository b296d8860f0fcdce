// from_csr(): a sparse matrix, turned once into columns of its entries.
//
// A block's column is zeros, over which the column's entries of those rows are written; they are
// found by binary search, since entries stand in row order. Entries given twice add up, as scipy
// has it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/source/open.h"
#include "evergrove/source/value_manifest.h"

namespace evergrove::source {
namespace {

constexpr uint64_t kBlockRows = 65536;

// The entries of column c are those from starts[c] to starts[c + 1], in row order.
struct SparseColumns {
  std::vector<uint64_t> starts;
  std::vector<uint32_t> rows;
  std::vector<double> values;
};

class CsrSource final : public table::RowSource {
 public:
  CsrSource(table::Schema schema, SparseColumns sparse, std::vector<table::ColumnValues> dense,
            uint64_t row_count)
      : schema_(std::move(schema)),
        sparse_(std::move(sparse)),
        dense_(std::move(dense)),
        blocks_(table::blocks_of(row_count, kBlockRows)) {}

  const table::Schema& schema() const override { return schema_; }
  const table::Manifest& manifest() const override { return values_.manifest(*this); }
  std::span<const table::BlockExtent> blocks() const override { return blocks_; }

  Result<table::RowBlock> read(size_t block_index, std::span<const size_t> columns) const override {
    const table::BlockExtent& extent = blocks_[block_index];
    table::RowBlock block{extent.first_row, extent.row_count, {}};
    const size_t sparse_count = sparse_.starts.size() - 1;
    for (size_t column : columns) {
      if (column < sparse_count) {
        block.columns.push_back(table::ColumnValues::of(spread(column, extent)));
        continue;
      }
      table::ColumnValues values = dense_[column - sparse_count];
      values.f64 = values.f64.subspan(extent.first_row, extent.row_count);
      block.columns.push_back(std::move(values));
    }
    return block;
  }

 private:
  std::vector<double> spread(size_t column, const table::BlockExtent& extent) const {
    std::vector<double> values(extent.row_count, 0.0);
    const auto begin = sparse_.rows.begin() + static_cast<int64_t>(sparse_.starts[column]);
    const auto end = sparse_.rows.begin() + static_cast<int64_t>(sparse_.starts[column + 1]);
    const uint64_t row_end = extent.first_row + extent.row_count;
    for (auto row = std::lower_bound(begin, end, extent.first_row); row != end && *row < row_end;
         ++row) {
      values[*row - extent.first_row] += sparse_.values[row - sparse_.rows.begin()];
    }
    return values;
  }

  table::Schema schema_;
  SparseColumns sparse_;
  std::vector<table::ColumnValues> dense_;
  std::vector<table::BlockExtent> blocks_;
  ValueManifest values_;
};

Status check_matrix(const CsrMatrix& matrix) {
  const auto refuse = [](const std::string& what) {
    return invalid_input("A sparse matrix is not valid CSR; convert it anew", {{"because", what}});
  };
  if (matrix.row_starts.empty()) return refuse("it has no row starts");
  if (matrix.row_starts.size() - 1 >= (uint64_t{1} << 32))
    return refuse("it has 2^32 rows or more");
  if (matrix.row_starts.front() < 0) return refuse("a row starts before its entries");
  if (!std::is_sorted(matrix.row_starts.begin(), matrix.row_starts.end())) {
    return refuse("row starts descend");
  }
  const auto entry_count = static_cast<uint64_t>(matrix.row_starts.back());
  if (entry_count > matrix.columns.size() || entry_count > matrix.values.size()) {
    return refuse("rows start beyond its entries");
  }
  for (int32_t column : matrix.columns.subspan(0, entry_count)) {
    if (column < 0 || static_cast<size_t>(column) >= matrix.column_count) {
      return refuse("an entry is in column " + std::to_string(column) + " of " +
                    std::to_string(matrix.column_count));
    }
  }
  return {};
}

SparseColumns transpose(const CsrMatrix& matrix) {
  const auto first = static_cast<size_t>(matrix.row_starts.front());
  const auto end = static_cast<size_t>(matrix.row_starts.back());
  SparseColumns result;
  result.starts.assign(matrix.column_count + 1, 0);
  for (size_t entry = first; entry < end; ++entry) ++result.starts[matrix.columns[entry] + 1];
  for (size_t c = 0; c < matrix.column_count; ++c) result.starts[c + 1] += result.starts[c];
  result.rows.resize(end - first);
  result.values.resize(end - first);
  std::vector<uint64_t> next(result.starts.begin(), result.starts.end() - 1);
  for (size_t row = 0; row + 1 < matrix.row_starts.size(); ++row) {
    for (auto entry = static_cast<size_t>(matrix.row_starts[row]);
         entry < static_cast<size_t>(matrix.row_starts[row + 1]); ++entry) {
      const uint64_t place = next[matrix.columns[entry]]++;
      result.rows[place] = static_cast<uint32_t>(row);
      result.values[place] = matrix.values[entry];
    }
  }
  return result;
}

}  // namespace

Result<std::shared_ptr<table::RowSource>> from_csr(
    const CsrMatrix& matrix, std::vector<std::string> names,
    // NOLINTNEXTLINE(performance-unnecessary-value-param): its values are moved from
    std::vector<std::pair<std::string, std::vector<double>>> dense) {
  EVERGROVE_RETURN_IF_ERROR(check_matrix(matrix));
  if (names.size() != matrix.column_count) {
    return invalid_input("A sparse matrix must have a name for each column",
                         {{"columns", std::to_string(matrix.column_count)},
                          {"names", std::to_string(names.size())}});
  }
  const size_t row_count = matrix.row_starts.size() - 1;
  table::Schema schema;
  for (std::string& name : names) {
    schema.columns.push_back({std::move(name), table::ColumnKind::numeric, "double"});
  }
  std::vector<table::ColumnValues> dense_values;
  for (auto& [name, values] : dense) {
    if (values.size() != row_count) {
      return invalid_input("A column beside a sparse matrix must have as many rows",
                           {{"column", name},
                            {"rows", std::to_string(values.size())},
                            {"rows of the matrix", std::to_string(row_count)}});
    }
    schema.columns.push_back({name, table::ColumnKind::numeric, "double"});
    dense_values.push_back(table::ColumnValues::of(std::move(values)));
  }
  EVERGROVE_RETURN_IF_ERROR(schema.check_names());
  return std::shared_ptr<table::RowSource>(std::make_shared<CsrSource>(
      std::move(schema), transpose(matrix), std::move(dense_values), row_count));
}

}  // namespace evergrove::source
