// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bin_columns.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <numeric>

#include "evergrove/base/phase.h"

namespace evergrove::bins {

BinColumns::BinColumns(size_t row_count, size_t feature_count, int bin_bytes)
    : row_count_(row_count),
      bin_bytes_(bin_bytes),
      dense_(row_count * feature_count * static_cast<size_t>(bin_bytes)),
      places_(feature_count, kNoPlace),
      sparse_(feature_count) {}

BinColumns BinColumns::dense(size_t row_count, size_t feature_count, int bin_bytes) {
  BinColumns columns(row_count, feature_count, bin_bytes);
  std::iota(columns.places_.begin(), columns.places_.end(), 0);
  columns.place_count_.value = static_cast<uint32_t>(feature_count);
  return columns;
}

template <typename Bin>
void BinColumns::copy(size_t feature, size_t first_row, std::span<Bin> to) const {
  if (const SparseColumn* const from = sparse(feature)) {
    from->copy(first_row, to);
  } else {
    std::copy_n(column<Bin>(feature) + first_row, to.size(), to.begin());
  }
}

template <typename Bin>
void BinColumns::set(size_t feature, uint32_t bin_count, std::span<const Bin> bins) {
  sparse_[feature] = SparseColumn::of(bins, bin_count);
  if (sparse_[feature]) return;
  places_[feature] = place_count_.value++;
  std::copy(bins.begin(), bins.end(), column<Bin>(feature));
}

template <typename Bin>
void BinColumns::make_one_sparse(size_t feature, uint32_t bin_count) {
  if (places_[feature] == kNoPlace) return;
  sparse_[feature] =
      SparseColumn::of(std::span<const Bin>(column<Bin>(feature), row_count_), bin_count);
  if (sparse_[feature]) places_[feature] = kNoPlace;
}

void BinColumns::make_sparse(std::span<const uint32_t> bin_counts) {
  tbb::parallel_for(size_t{0}, feature_count(), [&](size_t feature) {
    const PhaseScope scope(Phase::lay_out);
    bin_bytes_ == 1 ? make_one_sparse<uint8_t>(feature, bin_counts[feature])
                    : make_one_sparse<uint16_t>(feature, bin_counts[feature]);
  });
}

// Places are never more than features: one that is dense again was never dense, or gave up its own.
void BinColumns::make_dense(size_t feature) {
  const std::optional<SparseColumn> from = std::move(sparse_[feature]);
  sparse_[feature].reset();
  if (!from) return;
  if (place_count_.value == feature_count()) compact();
  places_[feature] = place_count_.value++;
  if (dense_.size() < place_count_.value * column_bytes()) {
    dense_.resize(place_count_.value * column_bytes());
  }
  bin_bytes_ == 1 ? from->copy(0, std::span(column<uint8_t>(feature), row_count_))
                  : from->copy(0, std::span(column<uint16_t>(feature), row_count_));
}

void BinColumns::compact() {
  std::vector<size_t> kept;
  for (size_t feature = 0; feature < feature_count(); ++feature) {
    if (places_[feature] != kNoPlace) kept.push_back(feature);
  }
  if (kept.size() == place_count_.value) return;
  LargeVector<uint8_t> dense(kept.size() * column_bytes());
  for (size_t i = 0; i < kept.size(); ++i) {
    std::copy_n(dense_.data() + places_[kept[i]] * column_bytes(), column_bytes(),
                dense.data() + i * column_bytes());
    places_[kept[i]] = static_cast<uint32_t>(i);
  }
  dense_ = std::move(dense);
  place_count_.value = static_cast<uint32_t>(kept.size());
}

template void BinColumns::copy(size_t, size_t, std::span<uint8_t>) const;
template void BinColumns::copy(size_t, size_t, std::span<uint16_t>) const;
template void BinColumns::set(size_t, uint32_t, std::span<const uint8_t>);
template void BinColumns::set(size_t, uint32_t, std::span<const uint16_t>);

}  // namespace evergrove::bins
