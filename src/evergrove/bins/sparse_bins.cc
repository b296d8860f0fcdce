// Which features are sparse is looked up in a sample of rows first, so that data of which nothing
// is sparse costs next to nothing. Entries are counted, then written, in tiles of rows.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/sparse_bins.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

#include "evergrove/base/phase.h"
#include "evergrove/bins/bundles.h"
#include "evergrove/bins/row_tiles.h"

namespace evergrove::bins {
namespace {

// What an addition to a histogram costs, in additions of a cell: those of a row, whatever it has (a
// loop of unknown length), and each.
constexpr double kRowCost = 20;
constexpr double kEntryCost = 2.5;
constexpr size_t kSampleRows = 2048;

// The share of a row's cells that a feature takes.
double cells_of(uint32_t bin_count) {
  if (bin_count > kSharedBinsMax) return 1;
  return double(std::bit_width(bin_count)) / 8;
}

// How many rows may have other bins than the usual one.
size_t rows_max(size_t row_count, uint32_t bin_count) {
  return bin_count > kSharedBinsMax ? row_count / 8 : row_count / 32;
}

// The bin that nearly all rows have, if there is one.
template <typename Bin>
std::optional<uint32_t> usual_bin(const Bin* column, size_t row_count, uint32_t bin_count) {
  std::vector<uint32_t> counts(bin_count, 0);
  const size_t step = std::max<size_t>(1, row_count / kSampleRows);
  const size_t looked_at = (row_count + step - 1) / step;
  for (size_t row = 0; row < row_count; row += step) ++counts[column[row]];
  const auto most = std::max_element(counts.begin(), counts.end());
  if (looked_at - *most > 2 * rows_max(looked_at, bin_count)) return std::nullopt;
  const auto usual = static_cast<uint32_t>(most - counts.begin());
  const auto others = static_cast<size_t>(
      std::count_if(column, column + row_count, [&](Bin bin) { return bin != usual; }));
  if (others > rows_max(row_count, bin_count)) return std::nullopt;
  return usual;
}

}  // namespace

template <typename Bin>
SparseBins find_sparse_bins(const Bin* columns, size_t row_count,
                            std::span<const uint32_t> bin_counts,
                            std::span<const uint8_t> excluded) {
  SparseBins sparse;
  if (row_count == 0) return sparse;
  std::vector<std::optional<uint32_t>> usual(bin_counts.size());
  tbb::parallel_for(size_t{0}, bin_counts.size(), [&](size_t f) {
    const PhaseScope scope(Phase::lay_out);
    if (excluded[f] != 0) return;
    usual[f] = usual_bin(columns + f * row_count, row_count, bin_counts[f]);
  });
  for (uint32_t f = 0; f < bin_counts.size(); ++f) {
    if (usual[f]) sparse.features.push_back({f, sparse.value_count, *usual[f], bin_counts[f], 0});
    sparse.value_count += bin_counts[f];
  }
  double cells = 0;
  for (const SparseBins::Feature& feature : sparse.features) cells += cells_of(feature.bin_count);
  if (cells < kRowCost) return {};

  std::vector<uint32_t> row_counts(row_count, 0);
  for_each_tile(row_count, [&](size_t first, size_t last) {
    for (const SparseBins::Feature& feature : sparse.features) {
      const Bin* const column = columns + feature.feature * row_count;
      const auto usual_here = static_cast<Bin>(feature.usual_bin);
      for (size_t row = first; row < last; ++row) row_counts[row] += column[row] != usual_here;
    }
  });
  uint64_t total = 0;
  for (uint32_t count : row_counts) total += count;
  if (total > std::numeric_limits<uint32_t>::max()) return {};
  if (cells < kRowCost + kEntryCost * double(total) / double(row_count)) return {};

  sparse.row_starts.resize(row_count + 1);
  uint32_t next = 0;
  for (size_t row = 0; row < row_count; ++row) {
    sparse.row_starts[row] = next;
    next += row_counts[row];
  }
  sparse.row_starts[row_count] = next;
  sparse.entries.resize(next);
  for_each_tile(row_count, [&](size_t first, size_t last) {
    uint32_t to[kTileRows];
    std::copy(&sparse.row_starts[first], &sparse.row_starts[first] + (last - first), to);
    for (const SparseBins::Feature& feature : sparse.features) {
      const Bin* const column = columns + feature.feature * row_count;
      for (size_t row = first; row < last; ++row) {
        if (column[row] == feature.usual_bin) continue;
        sparse.entries[to[row - first]++] = feature.start + column[row];
      }
    }
  });
  std::vector<uint32_t> value_rows(sparse.value_count, 0);
  for (const uint32_t entry : sparse.entries) ++value_rows[entry];
  for (SparseBins::Feature& feature : sparse.features) {
    const auto first = value_rows.begin() + feature.start;
    feature.rows_max = *std::max_element(first, first + feature.bin_count);
  }
  return sparse;
}

template SparseBins find_sparse_bins<uint8_t>(const uint8_t*, size_t, std::span<const uint32_t>,
                                              std::span<const uint8_t>);
template SparseBins find_sparse_bins<uint16_t>(const uint16_t*, size_t, std::span<const uint32_t>,
                                               std::span<const uint8_t>);

}  // namespace evergrove::bins
