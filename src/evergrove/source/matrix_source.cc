// from_matrix(): a matrix that lies row by row, whose columns are copied out block by block when
// they are read, by whoever reads them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/source/open.h"
#include "evergrove/source/value_manifest.h"

namespace evergrove::source {
namespace {

// A block is to stay in a core's cache while its columns are looked at.
constexpr size_t kBlockBytes = size_t{1} << 20;
constexpr size_t kBlockRowsMin = 1024;
constexpr size_t kBlockRowsMax = 65536;
// Rows that stay in the nearest cache while column by column is copied out of them.
constexpr size_t kRowsAtOnce = 64;

template <typename Number>
class MatrixSource final : public table::RowSource {
 public:
  MatrixSource(table::Schema schema, const RowMatrix<Number>& matrix)
      : schema_(std::move(schema)), matrix_(matrix) {
    const size_t row_bytes = std::max<size_t>(1, matrix.column_count) * sizeof(Number);
    const size_t rows = std::clamp(kBlockBytes / row_bytes, kBlockRowsMin, kBlockRowsMax);
    blocks_ = table::blocks_of(matrix.row_count, rows);
  }

  const table::Schema& schema() const override { return schema_; }
  const table::Manifest& manifest() const override { return values_.manifest(*this); }
  std::span<const table::BlockExtent> blocks() const override { return blocks_; }

  Result<table::RowBlock> read(size_t block_index, std::span<const size_t> columns) const override {
    const table::BlockExtent& extent = blocks_[block_index];
    table::RowBlock block{extent.first_row, extent.row_count, {}};
    const size_t rows = extent.row_count;
    const auto copy = std::make_shared_for_overwrite<Number[]>(rows * columns.size());
    for (size_t first = 0; first < rows; first += kRowsAtOnce) {
      const size_t count = std::min(kRowsAtOnce, rows - first);
      const Number* from = matrix_.values + (extent.first_row + first) * matrix_.row_stride;
      for (size_t i = 0; i < columns.size(); ++i) {
        const Number* value = from + columns[i];
        Number* to = copy.get() + i * rows + first;
        for (size_t row = 0; row < count; ++row) to[row] = value[row * matrix_.row_stride];
      }
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      table::ColumnValues values;
      const std::span<const Number> column(copy.get() + i * rows, rows);
      if constexpr (sizeof(Number) == 4) {
        values.f32 = column;
      } else {
        values.f64 = column;
      }
      values.owner = copy;
      block.columns.push_back(std::move(values));
    }
    return block;
  }

 private:
  table::Schema schema_;
  RowMatrix<Number> matrix_;
  std::vector<table::BlockExtent> blocks_;
  ValueManifest values_;
};

}  // namespace

template <typename Number>
Result<std::shared_ptr<table::RowSource>> from_matrix(const RowMatrix<Number>& matrix,
                                                      std::vector<std::string> names) {
  if (names.size() != matrix.column_count || matrix.row_stride < matrix.column_count) {
    return invalid_input("A matrix must have a name for each column, and rows of so many numbers",
                         {{"columns", std::to_string(matrix.column_count)},
                          {"names", std::to_string(names.size())}});
  }
  table::Schema schema;
  for (std::string& name : names) {
    const char* type = sizeof(Number) == 4 ? "float" : "double";
    schema.columns.push_back({std::move(name), table::ColumnKind::numeric, type});
  }
  EVERGROVE_RETURN_IF_ERROR(schema.check_names());
  return std::shared_ptr<table::RowSource>(
      std::make_shared<MatrixSource<Number>>(std::move(schema), matrix));
}

template Result<std::shared_ptr<table::RowSource>> from_matrix(const RowMatrix<float>&,
                                                               std::vector<std::string>);
template Result<std::shared_ptr<table::RowSource>> from_matrix(const RowMatrix<double>&,
                                                               std::vector<std::string>);

}  // namespace evergrove::source
