// SparseBins: of the features that have one bin in nearly all rows, the others, row by row, and
// feature by feature.
//
// A row of a thousand columns of which thirty are not zero is thirty entries: a histogram takes
// thirty additions for it, and what the usual bins have is what is left of the sum of all rows,
// exactly. A histogram of all rows goes feature by feature, whose words stay in the cache.
//
// Promise: entries of a row are ascending, so features are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/large_vector.h"

namespace evergrove::bins {

struct SparseBins {
  struct Feature {
    uint32_t feature;
    uint32_t start;  // where its bins start in a histogram; an entry is start + bin
    uint32_t usual_bin;
    uint32_t bin_count;
    uint32_t rows_max = 0;     // with the same entry
    uint32_t first_other = 0;  // where those of its column are
    uint32_t other_count = 0;
  };
  // The rows of a feature that have another bin than the usual one, ascending, and that bin.
  struct Column {
    std::span<const uint32_t> rows;
    std::span<const uint16_t> bins;
    uint32_t usual_bin;

    uint32_t bin(size_t row) const;
    // Bins of so many consecutive rows as `to` has room for.
    template <typename Bin>
    void copy(size_t first_row, std::span<Bin> to) const;
  };

  std::vector<Feature> features;     // ascending
  uint32_t value_count = 0;          // what all entries are below: the bins of a histogram
  LargeVector<uint32_t> row_starts;  // of each row's entries, and their end
  LargeVector<uint32_t> entries;
  LargeVector<uint32_t> other_rows;  // by feature
  LargeVector<uint16_t> other_bins;

  bool empty() const { return features.empty(); }
  // Null: it is not sparse.
  const Feature* find(size_t feature) const;
  Column column(const Feature& feature) const {
    return {std::span(other_rows).subspan(feature.first_other, feature.other_count),
            std::span(other_bins).subspan(feature.first_other, feature.other_count),
            feature.usual_bin};
  }
};

// The features to take as sparse, and their columns; empty where there are too few such features to
// be worth it, or more entries than can be numbered. columns: by feature, row_count bins each.
// excluded: by feature, not 0 for those that have a better place. In parallel.
template <typename Bin>
SparseBins find_sparse_bins(const Bin* columns, size_t row_count,
                            std::span<const uint32_t> bin_counts,
                            std::span<const uint8_t> excluded);

// Makes the rows of what has columns, in parallel.
void fill_sparse_rows(size_t row_count, SparseBins& sparse);

}  // namespace evergrove::bins
