// SparseBins: of features that have one bin in nearly all rows, the other bins, row by row.
//
// A row of a thousand columns of which thirty are not zero is thirty entries: a histogram takes
// thirty additions for it, and what the usual bins have is what is left of the sum of all rows,
// exactly.
//
// Promise: entries of a row are ascending, so features are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/bins/bin_columns.h"

namespace evergrove::bins {

struct SparseBins {
  struct Feature {
    uint32_t feature;
    uint32_t start;  // where its bins start in a histogram; an entry is start + bin
    uint32_t usual_bin;
    uint32_t bin_count;
    uint32_t rows_max = 0;  // with the same entry
  };
  std::vector<Feature> features;     // ascending
  uint32_t value_count = 0;          // what all entries are below: the bins of a histogram
  LargeVector<uint32_t> row_starts;  // of each row's entries, and their end
  LargeVector<uint32_t> entries;

  bool empty() const { return features.empty(); }
  bool has(size_t feature) const;
};

// The entries of features whose columns are sparse; empty where there are too few such features to
// be worth it, or more entries than can be numbered. excluded: by feature, not 0 for those that
// have a better place. In parallel.
SparseBins find_sparse_bins(const BinColumns& columns, std::span<const uint32_t> bin_counts,
                            std::span<const uint8_t> excluded);

}  // namespace evergrove::bins
