// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bin_matrix.h"

#include "evergrove/bins/row_tiles.h"

namespace evergrove::bins {
namespace {

constexpr size_t kRowPadding = 8;

// Rows are all 0 before.
template <typename Bin>
void transpose(const Bin* columns, Bin* rows, size_t row_count, size_t feature_count, size_t stride,
               const RowLayout& layout) {
  for_each_tile(row_count, [&](size_t first, size_t last) {
    for (size_t feature = 0; feature < feature_count; ++feature) {
      const Bin* column = columns + feature * row_count;
      const RowLayout::Place place = layout.place(feature);
      if (place.cell == RowLayout::kNoCell) continue;
      if (layout.features(place.cell).size() == 1) {
        for (size_t row = first; row < last; ++row) rows[row * stride + place.cell] = column[row];
        continue;
      }
      for (size_t row = first; row < last; ++row) {
        Bin& cell = rows[row * stride + place.cell];
        cell = static_cast<Bin>(cell + column[row] * place.unit);
      }
    }
  });
}

}  // namespace

BinMatrix::BinMatrix(size_t row_count, std::span<const model::Feature> features)
    : row_count_(row_count) {
  uint32_t total = 0;
  for (const model::Feature& feature : features) {
    bin_counts_.push_back(feature.bin_count());
    offsets_.push_back(total);
    total += feature.bin_count();
    if (feature.bin_count() > 256) bin_bytes_ = 2;
  }
  offsets_.push_back(total);
  lay_out_rows();
  columns_.resize(row_count * features.size() * bin_bytes_);
}

// How rows lie, by the features that are sparse.
void BinMatrix::lay_out_rows() {
  std::vector<uint32_t> sparse;
  for (const SparseBins::Feature& feature : sparse_.features) sparse.push_back(feature.feature);
  layout_ = RowLayout(bin_counts_, bin_bytes_ == 1, sparse);
  row_stride_ = (layout_.cell_count() + kRowPadding - 1) / kRowPadding * kRowPadding;
}

void BinMatrix::build_rows() {
  build_rows_with(bin_bytes_ == 1 ? find_sparse_bins(column<uint8_t>(0), row_count_, bin_counts_)
                                  : find_sparse_bins(column<uint16_t>(0), row_count_, bin_counts_));
}

void BinMatrix::build_rows_alone() {
  build_rows_with({});
  free_columns();
}

void BinMatrix::build_rows_with(SparseBins sparse) {
  sparse_ = std::move(sparse);
  lay_out_rows();
  rows_.assign(row_count_ * row_stride_ * bin_bytes_, 0);
  if (bin_bytes_ == 1) {
    transpose<uint8_t>(column<uint8_t>(0), rows_.data(), row_count_, feature_count(), row_stride_,
                       layout_);
  } else {
    transpose<uint16_t>(column<uint16_t>(0), reinterpret_cast<uint16_t*>(rows_.data()), row_count_,
                        feature_count(), row_stride_, layout_);
  }
}

void BinMatrix::free_columns() {
  columns_.clear();
  columns_.shrink_to_fit();
}

// Columns first: the parts' are given back before the rows of the whole take memory.
BinMatrix BinMatrix::join(std::vector<BinMatrix> parts) {
  BinMatrix whole;
  whole.bin_bytes_ = parts[0].bin_bytes_;
  whole.bin_counts_ = parts[0].bin_counts_;
  whole.offsets_ = parts[0].offsets_;
  whole.lay_out_rows();
  size_t column_bytes = 0, row_bytes = 0;
  bool is_sparse = false;
  for (const BinMatrix& part : parts) {
    is_sparse |= !part.sparse_.empty();
    whole.row_count_ += part.row_count_;
    column_bytes += part.columns_.size();
    row_bytes += part.rows_.size();
  }
  whole.columns_.reserve(column_bytes);
  for (size_t f = 0; f < whole.feature_count() && column_bytes > 0; ++f) {
    for (const BinMatrix& part : parts) {
      const size_t bytes = part.row_count_ * part.bin_bytes_;
      const auto from = part.columns_.begin() + static_cast<ptrdiff_t>(f * bytes);
      whole.columns_.insert(whole.columns_.end(), from, from + static_cast<ptrdiff_t>(bytes));
    }
  }
  if (is_sparse) {  // each may be so in features of its own
    parts.clear();
    whole.build_rows();
    return whole;
  }
  for (BinMatrix& part : parts) part.free_columns();
  whole.rows_.reserve(row_bytes);
  for (BinMatrix& part : parts) {
    whole.rows_.insert(whole.rows_.end(), part.rows_.begin(), part.rows_.end());
    part = {};
  }
  return whole;
}

BinMatrix BinMatrix::slice(size_t first_row, size_t row_count) const {
  BinMatrix part;
  part.row_count_ = row_count;
  part.bin_bytes_ = bin_bytes_;
  part.bin_counts_ = bin_counts_;
  part.offsets_ = offsets_;
  part.lay_out_rows();
  const auto copy = [&](const LargeVector<uint8_t>& from, size_t first, size_t count,
                        LargeVector<uint8_t>& to) {
    const auto begin = from.begin() + static_cast<ptrdiff_t>(first * bin_bytes_);
    to.insert(to.end(), begin, begin + static_cast<ptrdiff_t>(count * bin_bytes_));
  };
  if (!columns_.empty()) {
    part.columns_.reserve(row_count * feature_count() * bin_bytes_);
    for (size_t f = 0; f < feature_count(); ++f) {
      copy(columns_, f * row_count_ + first_row, row_count, part.columns_);
    }
  }
  if (!sparse_.empty()) {
    part.build_rows();
  } else if (!rows_.empty()) {
    copy(rows_, first_row * row_stride_, row_count * row_stride_, part.rows_);
  }
  return part;
}

}  // namespace evergrove::bins
