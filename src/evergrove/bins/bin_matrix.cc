// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bin_matrix.h"

#include <algorithm>
#include <bit>

#include "evergrove/bins/row_tiles.h"

namespace evergrove::bins {
namespace {

// The kernels take four cells at a time.
constexpr size_t kRowPadding = 4;
constexpr size_t kCacheLine = 64;

// A sparse feature's part of the cells of rows first to last - 1, which are 0 where the cell is its
// own; steps: empty there.
template <typename Bin>
void fill_cells(const SparseColumn& column, std::span<const uint8_t> steps, size_t first,
                size_t last, size_t stride, Bin* cells) {
  const auto step = [&](uint32_t bin) { return steps.empty() ? bin : steps[bin]; };
  const uint32_t usual = step(column.usual_bin);  // not 0 where the cell has another usual bin
  for (size_t row = first; row < last && usual != 0; ++row) {
    cells[row * stride] = static_cast<Bin>(cells[row * stride] + usual);
  }
  for (size_t i = column.place(first); i < column.rows.size() && column.rows[i] < last; ++i) {
    Bin& cell = cells[column.rows[i] * stride];
    cell = static_cast<Bin>(cell - usual + step(column.bins[i]));
  }
}

template <typename Bin>
void transpose(const BinMatrix& matrix, Bin* rows) {
  const RowLayout& layout = matrix.layout();
  const size_t feature_count = matrix.feature_count();
  const size_t stride = matrix.row_stride();
  std::vector<std::vector<uint8_t>> steps(feature_count);
  for (size_t feature = 0; feature < feature_count; ++feature) {
    const uint32_t cell = layout.cell(feature);
    if (cell == RowLayout::kNoCell || !layout.is_shared(cell)) continue;
    steps[feature] = layout.steps(feature);
  }
  for_each_tile(matrix.row_count(), [&](size_t first, size_t last) {
    std::fill(rows + first * stride, rows + last * stride, Bin{0});
    for (size_t feature = 0; feature < feature_count; ++feature) {
      const uint32_t cell = layout.cell(feature);
      if (cell == RowLayout::kNoCell) continue;
      if (const SparseColumn* const sparse = matrix.sparse_column(feature)) {
        fill_cells(*sparse, steps[feature], first, last, stride, rows + cell);
        continue;
      }
      const Bin* const column = matrix.column<Bin>(feature);
      if (!layout.is_shared(cell)) {
        for (size_t row = first; row < last; ++row) rows[row * stride + cell] = column[row];
        continue;
      }
      const uint8_t* steps_of_bins = steps[feature].data();
      for (size_t row = first; row < last; ++row) {
        Bin& value = rows[row * stride + cell];
        value = static_cast<Bin>(value + steps_of_bins[column[row]]);
      }
    }
  });
}

}  // namespace

// A row that is as long as a cache line or a part of it never lies on two of them; else shorter is
// better.
size_t row_stride(size_t cell_count, size_t bin_bytes) {
  const size_t stride = (cell_count + kRowPadding - 1) / kRowPadding * kRowPadding;
  const size_t whole = std::bit_ceil(stride);
  return whole * bin_bytes <= kCacheLine && whole <= stride + kRowPadding ? whole : stride;
}

BinMatrix::BinMatrix(size_t row_count, std::span<const model::Feature> features) {
  describe(features);
  row_count_ = row_count;
  columns_ = BinColumns::dense(row_count, features.size(), bin_bytes_);
}

BinMatrix::BinMatrix(BinColumns columns, std::span<const model::Feature> features) {
  describe(features);
  row_count_ = columns.row_count();
  columns_ = std::move(columns);
}

void BinMatrix::describe(std::span<const model::Feature> features) {
  uint32_t total = 0;
  for (const model::Feature& feature : features) {
    bin_counts_.push_back(feature.bin_count());
    offsets_.push_back(total);
    total += feature.bin_count();
    if (feature.bin_count() > 256) bin_bytes_ = 2;
  }
  offsets_.push_back(total);
  lay_out_alone();
}

// How rows lie whatever they are.
void BinMatrix::lay_out_alone() {
  lay_out_rows(bin_bytes_ == 1 ? plain_bundles(bin_counts_) : std::vector<Bundle>());
}

// How rows lie, by the bundles of features that are not sparse.
void BinMatrix::lay_out_rows(std::span<const Bundle> bundles) {
  std::vector<uint32_t> sparse;
  for (const SparseBins::Feature& feature : sparse_.features) sparse.push_back(feature.feature);
  layout_ = RowLayout(bin_counts_, bundles, sparse);
  row_stride_ = bins::row_stride(layout_.cell_count(), static_cast<size_t>(bin_bytes_));
}

// Features that are together in a bundle take less than they would as sparse ones, and others that
// are sparse less than in a digit of their own.
void BinMatrix::build_rows() {
  // What a column of so few other rows saves when it is split by is more than it costs to write it
  // down for that.
  constexpr size_t kOtherShare = 32;
  columns_.make_sparse(bin_counts_);
  std::vector<uint8_t> is_placed(feature_count(), 0);
  std::vector<Bundle> bundles;
  if (bin_bytes_ == 1) bundles = find_bundles(columns_, bin_counts_);
  for (const Bundle& bundle : bundles) {
    if (bundle.members.size() == 1) continue;
    for (const Bundle::Member& member : bundle.members) is_placed[member.feature] = 1;
  }
  sparse_ = find_sparse_bins(columns_, bin_counts_, is_placed);
  std::erase_if(bundles,
                [&](const Bundle& bundle) { return sparse_.has(bundle.members[0].feature); });
  for (size_t feature = 0; feature < feature_count(); ++feature) {
    const SparseColumn* const column = columns_.sparse(feature);
    if (column == nullptr || sparse_.has(feature)) continue;
    if (column->rows.size() > row_count_ / kOtherShare) columns_.make_dense(feature);
  }
  columns_.compact();
  lay_out_rows(bundles);
  fill_rows();
}

void BinMatrix::build_rows_alone() {
  sparse_ = {};
  lay_out_alone();
  fill_rows();
  columns_ = {};
}

void BinMatrix::fill_rows() {
  rows_.resize(row_count_ * row_stride_ * bin_bytes_);
  bin_bytes_ == 1 ? transpose(*this, rows_.data())
                  : transpose(*this, reinterpret_cast<uint16_t*>(rows_.data()));
}

void BinMatrix::copy_rows(size_t feature, size_t first_row, size_t row_count, size_t to_row,
                          BinColumns& to) const {
  if (bin_bytes_ == 1) {
    uint8_t* const column = to.column<uint8_t>(feature) + to_row;
    columns_.copy(feature, first_row, std::span(column, row_count));
  } else {
    uint16_t* const column = to.column<uint16_t>(feature) + to_row;
    columns_.copy(feature, first_row, std::span(column, row_count));
  }
}

// Columns first: the parts' are given back before the rows of the whole take memory.
BinMatrix BinMatrix::join(std::vector<BinMatrix> parts) {
  BinMatrix whole;
  whole.bin_bytes_ = parts[0].bin_bytes_;
  whole.bin_counts_ = parts[0].bin_counts_;
  whole.offsets_ = parts[0].offsets_;
  whole.layout_ = parts[0].layout_;
  whole.row_stride_ = parts[0].row_stride_;
  size_t row_bytes = 0;
  bool is_alike = true, has_columns = true;
  for (const BinMatrix& part : parts) {
    is_alike &= part.sparse_.empty() && part.layout_ == whole.layout_;
    has_columns &= part.has_columns();
    whole.row_count_ += part.row_count_;
    row_bytes += part.rows_.size();
  }
  if (has_columns) {
    whole.columns_ = BinColumns::dense(whole.row_count_, whole.feature_count(), whole.bin_bytes_);
    for (size_t f = 0; f < whole.feature_count(); ++f) {
      size_t row = 0;
      for (const BinMatrix& part : parts) {
        part.copy_rows(f, 0, part.row_count_, row, whole.columns_);
        row += part.row_count_;
      }
    }
  }
  if (!is_alike) {  // each may be bundled and sparse in features of its own
    parts.clear();
    whole.build_rows();
    return whole;
  }
  for (BinMatrix& part : parts) part.columns_ = {};
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
  part.layout_ = layout_;
  part.row_stride_ = row_stride_;
  if (has_columns()) {
    part.columns_ = BinColumns::dense(row_count, feature_count(), bin_bytes_);
    for (size_t f = 0; f < feature_count(); ++f) {
      copy_rows(f, first_row, row_count, 0, part.columns_);
    }
  }
  if (!sparse_.empty()) {
    part.build_rows();
  } else if (!rows_.empty()) {
    const auto begin = rows_.begin() + static_cast<ptrdiff_t>(first_row * row_stride_ * bin_bytes_);
    part.rows_.assign(begin, begin + static_cast<ptrdiff_t>(row_count * row_stride_ * bin_bytes_));
  }
  return part;
}

}  // namespace evergrove::bins
