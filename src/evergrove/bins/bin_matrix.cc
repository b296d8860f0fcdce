// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bin_matrix.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "evergrove/bins/row_tiles.h"

namespace evergrove::bins {
namespace {

// The kernels take four cells at a time.
constexpr size_t kRowPadding = 4;
constexpr size_t kCacheLine = 64;

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
  column_places_ = every_column();
  lay_out_alone();
  columns_.resize(row_count * features.size() * bin_bytes_);
}

std::vector<uint32_t> BinMatrix::every_column() const {
  std::vector<uint32_t> places(feature_count());
  std::iota(places.begin(), places.end(), 0);
  return places;
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
  std::vector<uint8_t> is_placed(feature_count(), 0);
  std::vector<Bundle> bundles;
  if (bin_bytes_ == 1) bundles = find_bundles(column<uint8_t>(0), row_count_, bin_counts_);
  for (const Bundle& bundle : bundles) {
    if (bundle.members.size() == 1) continue;
    for (const Bundle::Member& member : bundle.members) is_placed[member.feature] = 1;
  }
  sparse_ = bin_bytes_ == 1
                ? find_sparse_bins(column<uint8_t>(0), row_count_, bin_counts_, is_placed)
                : find_sparse_bins(column<uint16_t>(0), row_count_, bin_counts_, is_placed);
  std::erase_if(bundles, [&](const Bundle& bundle) {
    return std::any_of(sparse_.features.begin(), sparse_.features.end(),
                       [&](const SparseBins::Feature& feature) {
                         return feature.feature == bundle.members[0].feature;
                       });
  });
  lay_out_rows(bundles);
  if (!sparse_.empty()) {
    free_sparse_columns();
    fill_sparse_rows(row_count_, sparse_);
  }
  fill_rows();
}

// Others stay, one after the other.
void BinMatrix::free_sparse_columns() {
  const size_t bytes = row_count_ * static_cast<size_t>(bin_bytes_);
  LargeVector<uint8_t> kept((feature_count() - sparse_.features.size()) * bytes);
  uint32_t place = 0;
  for (size_t feature = 0; feature < feature_count(); ++feature) {
    if (sparse_.find(feature) != nullptr) continue;
    std::copy_n(columns_.begin() + static_cast<ptrdiff_t>(column_places_[feature] * bytes), bytes,
                kept.begin() + static_cast<ptrdiff_t>(place * bytes));
    column_places_[feature] = place++;
  }
  columns_ = std::move(kept);
}

// The columns of all features again, where some are sparse.
void BinMatrix::give_back_columns() {
  if (sparse_.empty()) return;
  LargeVector<uint8_t> all(feature_count() * row_count_ * static_cast<size_t>(bin_bytes_));
  for (size_t feature = 0; feature < feature_count(); ++feature) {
    copy_column_bytes(feature, 0, row_count_, &all[feature * row_count_ * bin_bytes_]);
  }
  columns_ = std::move(all);
  column_places_ = every_column();
  sparse_ = {};
}

void BinMatrix::build_rows_alone() {
  give_back_columns();
  lay_out_alone();
  fill_rows();
  free_columns();
}

void BinMatrix::fill_rows() {
  rows_.resize(row_count_ * row_stride_ * bin_bytes_);
  bin_bytes_ == 1 ? transpose(*this, rows_.data())
                  : transpose(*this, reinterpret_cast<uint16_t*>(rows_.data()));
}

template <typename Bin>
void BinMatrix::copy_column(size_t feature, size_t first_row, std::span<Bin> to) const {
  if (const SparseBins::Feature* const sparse = sparse_.find(feature)) {
    sparse_.column(*sparse).copy(first_row, to);
  } else {
    std::copy_n(column<Bin>(feature) + first_row, to.size(), to.begin());
  }
}

void BinMatrix::copy_column_bytes(size_t feature, size_t first_row, size_t row_count,
                                  uint8_t* to) const {
  if (bin_bytes_ == 1) {
    copy_column(feature, first_row, std::span(to, row_count));
  } else {
    copy_column(feature, first_row, std::span(reinterpret_cast<uint16_t*>(to), row_count));
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
  whole.layout_ = parts[0].layout_;
  whole.row_stride_ = parts[0].row_stride_;
  whole.column_places_ = whole.every_column();
  size_t row_bytes = 0;
  bool is_alike = true, has_columns = true;
  for (const BinMatrix& part : parts) {
    is_alike &= part.sparse_.empty() && part.layout_ == whole.layout_;
    has_columns &= part.has_columns();
    whole.row_count_ += part.row_count_;
    row_bytes += part.rows_.size();
  }
  if (has_columns)
    whole.columns_.resize(whole.feature_count() * whole.row_count_ * whole.bin_bytes_);
  uint8_t* to = whole.columns_.data();
  for (size_t f = 0; f < whole.feature_count() && has_columns; ++f) {
    for (const BinMatrix& part : parts) {
      part.copy_column_bytes(f, 0, part.row_count_, to);
      to += part.row_count_ * part.bin_bytes_;
    }
  }
  if (!is_alike) {  // each may be bundled and sparse in features of its own
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
  part.layout_ = layout_;
  part.row_stride_ = row_stride_;
  part.column_places_ = every_column();
  if (has_columns()) {
    const size_t bytes = row_count * bin_bytes_;
    part.columns_.resize(feature_count() * bytes);
    for (size_t f = 0; f < feature_count(); ++f) {
      copy_column_bytes(f, first_row, row_count, part.columns_.data() + f * bytes);
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

template void BinMatrix::copy_column(size_t, size_t, std::span<uint8_t>) const;
template void BinMatrix::copy_column(size_t, size_t, std::span<uint16_t>) const;

}  // namespace evergrove::bins
