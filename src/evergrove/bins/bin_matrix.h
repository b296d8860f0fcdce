// BinMatrix: the bin of every row and feature, as one byte (or two), in both orders.
//
// Row-major for histograms (a row's bins share a cache line, and small ones a byte: row_layout.h),
// column-major for partitioning and binning (one feature of many rows). Rows are padded with 0 to a
// multiple of 4 cells at least, so that a kernel may read past the last one. Columns are filled
// from many threads on disjoint rows, then build_rows() makes the other copy, then the matrix is
// immutable. A feature that has one bin in nearly all rows is the rows that have another, in both
// orders (sparse_column.h, sparse_bins.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/bins/bin_columns.h"
#include "evergrove/bins/row_layout.h"
#include "evergrove/bins/sparse_bins.h"
#include "evergrove/model/model.h"

namespace evergrove::bins {

// Cells from one row to the next, of rows of so many.
size_t row_stride(size_t cell_count, size_t bin_bytes);

class BinMatrix {
 public:
  BinMatrix() = default;
  // Bins are not set. Two bytes a bin if any feature has more than 256 bins.
  BinMatrix(size_t row_count, std::span<const model::Feature> features);
  // Requires: columns of as many bytes as the features' bins need.
  BinMatrix(BinColumns columns, std::span<const model::Feature> features);

  size_t row_count() const { return row_count_; }
  size_t feature_count() const { return bin_counts_.size(); }
  int bin_bytes() const { return bin_bytes_; }
  // Bins of a feature, bin 0 included.
  uint32_t bin_count(size_t feature) const { return bin_counts_[feature]; }
  // Where a feature's bins start in a histogram over all features; the last entry is the total.
  std::span<const uint32_t> histogram_offsets() const { return offsets_; }

  // Requires: Bin is uint8_t or uint16_t, as bin_bytes() says, here and below; rows are not built
  // yet, or the column is not sparse.
  template <typename Bin>
  Bin* column(size_t feature) {
    return columns_.column<Bin>(feature);
  }
  template <typename Bin>
  const Bin* column(size_t feature) const {
    return columns_.column<Bin>(feature);
  }
  // Null: it is not sparse. Requires: has columns.
  const SparseColumn* sparse_column(size_t feature) const { return columns_.sparse(feature); }
  // The bins of any feature, of as many consecutive rows as `to` has room for. Requires: has
  // columns.
  template <typename Bin>
  void copy_column(size_t feature, size_t first_row, std::span<Bin> to) const {
    columns_.copy(feature, first_row, to);
  }
  template <typename Bin>
  const Bin* rows() const {
    return reinterpret_cast<const Bin*>(rows_.data());
  }
  // Without them, only what goes by row is to be had.
  bool has_columns() const { return columns_.feature_count() == feature_count(); }
  // In cells. Before rows are built, what it is at most.
  size_t row_stride() const { return row_stride_; }
  const RowLayout& layout() const { return layout_; }
  // Empty, or of a matrix that has columns.
  const SparseBins& sparse() const { return sparse_; }

  // Requires: build_rows() was called.
  uint32_t bin(size_t row, size_t feature) const {
    if (layout_.cell(feature) == RowLayout::kNoCell) {
      return columns_.sparse(feature)->bin(row);
    }
    const size_t cell = row * row_stride_ + layout_.cell(feature);
    const uint32_t value = bin_bytes_ == 1 ? rows<uint8_t>()[cell] : rows<uint16_t>()[cell];
    return layout_.bin(feature, value);
  }

  // Makes the row-major copy of all rows, in parallel; call once the columns are full.
  void build_rows();
  // The same, and frees the columns, for data that is only walked through by row (validation sets);
  // how rows lie is a matter of the features alone then, and none is sparse.
  void build_rows_alone();
  // The row-major copy, for who keeps it elsewhere for a while: nothing else is asked of the matrix
  // between the two. Requires: build_rows_alone() was called.
  LargeVector<uint8_t> take_rows() { return std::move(rows_); }
  void give_rows(LargeVector<uint8_t> rows) { rows_ = std::move(rows); }
  // All rows of the parts, in their order, as far as the parts have columns and rows built.
  // Requires: at least one part; all of the same features.
  static BinMatrix join(std::vector<BinMatrix> parts);
  // A copy of some consecutive rows.
  BinMatrix slice(size_t first_row, size_t row_count) const;

 private:
  void lay_out_alone();
  void lay_out_rows(std::span<const Bundle> bundles);
  void fill_rows();
  void describe(std::span<const model::Feature> features);
  void copy_rows(size_t feature, size_t first_row, size_t row_count, size_t to_row,
                 BinColumns& to) const;

  size_t row_count_ = 0;
  size_t row_stride_ = 0;
  int bin_bytes_ = 1;
  std::vector<uint32_t> bin_counts_;
  std::vector<uint32_t> offsets_;
  RowLayout layout_;
  BinColumns columns_;
  LargeVector<uint8_t> rows_;
  SparseBins sparse_;
};

}  // namespace evergrove::bins
