// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/sparse_bins.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "evergrove/base/phase.h"
#include "evergrove/bins/bundles.h"

namespace evergrove::bins {
namespace {

// What an addition to a histogram costs, in additions of a cell: those of a row, whatever it has (a
// loop of unknown length), and each.
constexpr double kRowCost = 20;
constexpr double kEntryCost = 2.5;

// The share of a row's cells that a feature takes.
double cells_of(uint32_t bin_count) {
  if (bin_count > kSharedBinsMax) return 1;
  return double(std::bit_width(bin_count)) / 8;
}

// How many rows may have other bins than the usual one.
size_t rows_max(size_t row_count, uint32_t bin_count) {
  return bin_count > kSharedBinsMax ? row_count / 8 : row_count / 32;
}

// A stretch of rows at a time, so that all that is written to stays in the cache while the features
// pass by.
void fill_rows(const BinColumns& columns, SparseBins& sparse) {
  constexpr size_t kStretchRows = 1 << 14;
  const size_t row_count = columns.row_count();
  const size_t stretch_count = (row_count + kStretchRows - 1) / kStretchRows;
  // Visits the entries of a stretch, feature by feature.
  const auto for_each_entry = [&](size_t stretch, const auto& visit) {
    const PhaseScope scope(Phase::lay_out);
    const size_t first = stretch * kStretchRows;
    const size_t last = std::min(first + kStretchRows, row_count);
    for (const SparseBins::Feature& feature : sparse.features) {
      const SparseColumn& column = *columns.sparse(feature.feature);
      for (size_t i = column.place(first); i < column.rows.size() && column.rows[i] < last; ++i) {
        visit(column.rows[i], feature.start + column.bins[i]);
      }
    }
  };
  sparse.row_starts.resize(row_count + 1);
  uint32_t* const starts = sparse.row_starts.data();
  std::fill_n(starts, row_count + 1, 0);
  tbb::parallel_for(size_t{0}, stretch_count, [&](size_t stretch) {
    for_each_entry(stretch, [&](uint32_t row, uint32_t /*entry*/) { ++starts[row]; });
  });
  uint32_t next = 0;
  for (size_t row = 0; row <= row_count; ++row) next += std::exchange(starts[row], next);
  sparse.entries.resize(next);
  tbb::parallel_for(size_t{0}, stretch_count, [&](size_t stretch) {
    const size_t first = stretch * kStretchRows;
    const size_t last = std::min(first + kStretchRows, row_count);
    std::vector<uint32_t> to(starts + first, starts + last);
    for_each_entry(
        stretch, [&](uint32_t row, uint32_t entry) { sparse.entries[to[row - first]++] = entry; });
  });
}

}  // namespace

bool SparseBins::has(size_t feature) const {
  const auto at =
      std::lower_bound(features.begin(), features.end(), feature,
                       [](const Feature& each, size_t number) { return each.feature < number; });
  return at != features.end() && at->feature == feature;
}

SparseBins find_sparse_bins(const BinColumns& columns, std::span<const uint32_t> bin_counts,
                            std::span<const uint8_t> excluded) {
  const size_t row_count = columns.row_count();
  SparseBins sparse;
  double cells = 0;
  uint64_t total = 0;
  for (uint32_t f = 0; f < bin_counts.size(); ++f) {
    const SparseColumn* const column = excluded[f] != 0 ? nullptr : columns.sparse(f);
    if (column != nullptr && column->rows.size() <= rows_max(row_count, bin_counts[f])) {
      cells += cells_of(bin_counts[f]);
      total += column->rows.size();
      sparse.features.push_back({f, sparse.value_count, column->usual_bin, bin_counts[f]});
    }
    sparse.value_count += bin_counts[f];
  }
  if (sparse.empty() || total > std::numeric_limits<uint32_t>::max()) return {};
  if (cells < kRowCost + kEntryCost * double(total) / double(row_count)) return {};

  tbb::parallel_for(size_t{0}, sparse.features.size(), [&](size_t i) {
    const PhaseScope scope(Phase::lay_out);
    SparseBins::Feature& feature = sparse.features[i];
    std::vector<uint32_t> counts(feature.bin_count, 0);
    for (const uint16_t bin : columns.sparse(feature.feature)->bins) ++counts[bin];
    feature.rows_max = *std::max_element(counts.begin(), counts.end());
  });
  fill_rows(columns, sparse);
  return sparse;
}

}  // namespace evergrove::bins
