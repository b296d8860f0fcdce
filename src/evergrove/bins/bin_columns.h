// BinColumns: the bins of every feature, each a column of one byte a row (or two), or a sparse one.
//
//   BinColumns columns(row_count, feature_count, 1);
//   columns.set<uint8_t>(feature, bin_count, bins);   // sparse where it pays
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/bins/sparse_column.h"

namespace evergrove::bins {

class BinColumns {
 public:
  BinColumns() = default;
  // Of features that have no bins yet. Memory is taken as far as it is written to.
  BinColumns(size_t row_count, size_t feature_count, int bin_bytes);
  // The same, all of them dense, to be written to.
  static BinColumns dense(size_t row_count, size_t feature_count, int bin_bytes);

  size_t row_count() const { return row_count_; }
  size_t feature_count() const { return places_.size(); }
  // Null: the feature is dense.
  const SparseColumn* sparse(size_t feature) const {
    return sparse_[feature] ? &*sparse_[feature] : nullptr;
  }
  // Of a dense feature. Requires: Bin is as wide as bin_bytes says, here and below.
  template <typename Bin>
  Bin* column(size_t feature) {
    return reinterpret_cast<Bin*>(dense_.data()) + places_[feature] * row_count_;
  }
  template <typename Bin>
  const Bin* column(size_t feature) const {
    return reinterpret_cast<const Bin*>(dense_.data()) + places_[feature] * row_count_;
  }
  // Of any feature, as many consecutive rows as `to` has room for.
  template <typename Bin>
  void copy(size_t feature, size_t first_row, std::span<Bin> to) const;

  // Gives a feature its bins. Requires: it has none yet. Different ones from different threads.
  template <typename Bin>
  void set(size_t feature, uint32_t bin_count, std::span<const Bin> bins);
  // Makes dense features sparse where it pays, in parallel. Their memory stays until compact().
  void make_sparse(std::span<const uint32_t> bin_counts);
  void make_dense(size_t feature);
  // Frees what dense features have left unused.
  void compact();

 private:
  static constexpr uint32_t kNoPlace = ~uint32_t{0};
  template <typename Bin>
  void make_one_sparse(size_t feature, uint32_t bin_count);
  size_t column_bytes() const { return row_count_ * static_cast<size_t>(bin_bytes_); }

  // Places that are taken; the number may be copied with the rest.
  struct Count {
    std::atomic<uint32_t> value = 0;
    Count() = default;
    Count(const Count& other) : value(other.value.load()) {}
    Count& operator=(const Count& other) {
      value = other.value.load();
      return *this;
    }
  };

  size_t row_count_ = 0;
  int bin_bytes_ = 1;
  LargeVector<uint8_t> dense_;
  Count place_count_;
  std::vector<uint32_t> places_;  // in dense_, by feature
  std::vector<std::optional<SparseColumn>> sparse_;
};

}  // namespace evergrove::bins
