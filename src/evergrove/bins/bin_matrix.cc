// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bin_matrix.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

namespace evergrove::bins {
namespace {

constexpr size_t kRowPadding = 8;
constexpr size_t kTileRows = 256;

// Transposes in tiles, so that a tile's rows stay in the cache while its columns pass by.
template <typename Bin>
void transpose(const Bin* columns, Bin* rows, size_t row_count, size_t feature_count,
               size_t stride) {
  const size_t tile_count = (row_count + kTileRows - 1) / kTileRows;
  tbb::parallel_for(tbb::blocked_range<size_t>(0, tile_count, 16), [&](const auto& range) {
    for (size_t tile = range.begin(); tile < range.end(); ++tile) {
      const size_t first = tile * kTileRows;
      const size_t last = std::min(first + kTileRows, row_count);
      for (size_t feature = 0; feature < feature_count; ++feature) {
        const Bin* column = columns + feature * row_count;
        for (size_t row = first; row < last; ++row) rows[row * stride + feature] = column[row];
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
  row_stride_ = (features.size() + kRowPadding - 1) / kRowPadding * kRowPadding;
  columns_.resize(row_count * features.size() * bin_bytes_);
}

void BinMatrix::build_rows() {
  rows_.resize(row_count_ * row_stride_ * bin_bytes_);
  if (bin_bytes_ == 1) {
    transpose<uint8_t>(column<uint8_t>(0), rows_.data(), row_count_, feature_count(), row_stride_);
  } else {
    transpose<uint16_t>(column<uint16_t>(0), reinterpret_cast<uint16_t*>(rows_.data()), row_count_,
                        feature_count(), row_stride_);
  }
}

void BinMatrix::drop_columns() {
  columns_.clear();
  columns_.shrink_to_fit();
}

}  // namespace evergrove::bins
