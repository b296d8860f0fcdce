// Which features are sparse is looked up in a sample of rows first, so that data of which nothing
// is sparse costs next to nothing. Columns are made first, one by one, and rows of them.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/sparse_bins.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "evergrove/base/phase.h"
#include "evergrove/bins/bundles.h"

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

// Calls back with each row that has another bin, ascending.
template <typename Bin, typename Visit>
void for_each_other(const Bin* column, size_t row_count, Bin usual, const Visit& visit) {
  constexpr size_t kAtOnce = sizeof(uint64_t) / sizeof(Bin);
  const uint64_t all_usual = ~uint64_t{0} / std::numeric_limits<Bin>::max() * usual;
  size_t row = 0;
  for (; row + kAtOnce <= row_count; row += kAtOnce) {
    uint64_t bins;
    std::memcpy(&bins, column + row, sizeof(bins));
    if (bins == all_usual) continue;
    for (size_t i = row; i < row + kAtOnce; ++i) {
      if (column[i] != usual) visit(i);
    }
  }
  for (; row < row_count; ++row) {
    if (column[row] != usual) visit(row);
  }
}

struct Usual {
  uint32_t bin;
  size_t other_count;
};

// The bin that nearly all rows have, if there is one.
template <typename Bin>
std::optional<Usual> usual_bin(const Bin* column, size_t row_count, uint32_t bin_count) {
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
  return Usual{usual, others};
}

template <typename Bin>
void fill_column(const Bin* column, size_t row_count, SparseBins::Feature& feature,
                 SparseBins& sparse) {
  const PhaseScope scope(Phase::lay_out);
  std::vector<uint32_t> counts(feature.bin_count, 0);
  size_t next = feature.first_other;
  for_each_other(column, row_count, static_cast<Bin>(feature.usual_bin), [&](size_t row) {
    sparse.other_rows[next] = static_cast<uint32_t>(row);
    sparse.other_bins[next] = column[row];
    ++next;
    ++counts[column[row]];
  });
  feature.rows_max = *std::max_element(counts.begin(), counts.end());
}

}  // namespace

template <typename Bin>
SparseBins find_sparse_bins(const Bin* columns, size_t row_count,
                            std::span<const uint32_t> bin_counts,
                            std::span<const uint8_t> excluded) {
  SparseBins sparse;
  if (row_count == 0) return sparse;
  std::vector<std::optional<Usual>> usual(bin_counts.size());
  tbb::parallel_for(size_t{0}, bin_counts.size(), [&](size_t f) {
    const PhaseScope scope(Phase::lay_out);
    if (excluded[f] != 0) return;
    usual[f] = usual_bin(columns + f * row_count, row_count, bin_counts[f]);
  });
  double cells = 0;
  uint64_t total = 0;
  for (uint32_t f = 0; f < bin_counts.size(); ++f) {
    if (usual[f]) {
      cells += cells_of(bin_counts[f]);
      sparse.features.push_back({f, sparse.value_count, usual[f]->bin, bin_counts[f], 0,
                                 static_cast<uint32_t>(total),
                                 static_cast<uint32_t>(usual[f]->other_count)});
      total += usual[f]->other_count;
    }
    sparse.value_count += bin_counts[f];
  }
  if (total > std::numeric_limits<uint32_t>::max()) return {};
  if (cells < kRowCost + kEntryCost * double(total) / double(row_count)) return {};

  sparse.other_rows.resize(total);
  sparse.other_bins.resize(total);
  tbb::parallel_for(size_t{0}, sparse.features.size(), [&](size_t i) {
    SparseBins::Feature& feature = sparse.features[i];
    fill_column(columns + feature.feature * row_count, row_count, feature, sparse);
  });
  return sparse;
}

uint32_t SparseBins::Column::bin(size_t row) const {
  const auto at = std::lower_bound(rows.begin(), rows.end(), row);
  const bool is_other = at != rows.end() && *at == row;
  return is_other ? bins[static_cast<size_t>(at - rows.begin())] : usual_bin;
}

template <typename Bin>
void SparseBins::Column::copy(size_t first_row, std::span<Bin> to) const {
  std::fill(to.begin(), to.end(), static_cast<Bin>(usual_bin));
  auto i =
      static_cast<size_t>(std::lower_bound(rows.begin(), rows.end(), first_row) - rows.begin());
  for (; i < rows.size() && rows[i] - first_row < to.size(); ++i) {
    to[rows[i] - first_row] = static_cast<Bin>(bins[i]);
  }
}

const SparseBins::Feature* SparseBins::find(size_t feature) const {
  const auto at =
      std::lower_bound(features.begin(), features.end(), feature,
                       [](const Feature& each, size_t number) { return each.feature < number; });
  return at != features.end() && at->feature == feature ? &*at : nullptr;
}

// A stretch of rows at a time, so that all that is written to stays in the cache while the features
// pass by.
void fill_sparse_rows(size_t row_count, SparseBins& sparse) {
  constexpr size_t kStretchRows = 1 << 14;
  const size_t stretch_count = (row_count + kStretchRows - 1) / kStretchRows;
  // Visits the entries of a stretch: feature by feature.
  const auto for_each_entry = [&](size_t stretch, const auto& visit) {
    const size_t first = stretch * kStretchRows;
    const size_t last = std::min(first + kStretchRows, row_count);
    for (const SparseBins::Feature& feature : sparse.features) {
      const SparseBins::Column column = sparse.column(feature);
      const std::span<const uint32_t> rows = column.rows;
      auto i =
          static_cast<size_t>(std::lower_bound(rows.begin(), rows.end(), first) - rows.begin());
      for (; i < rows.size() && rows[i] < last; ++i) visit(rows[i], feature.start + column.bins[i]);
    }
  };
  sparse.row_starts.resize(row_count + 1);
  uint32_t* const starts = sparse.row_starts.data();
  std::fill_n(starts, row_count + 1, 0);
  tbb::parallel_for(size_t{0}, stretch_count, [&](size_t stretch) {
    const PhaseScope scope(Phase::lay_out);
    for_each_entry(stretch, [&](uint32_t row, uint32_t /*entry*/) { ++starts[row]; });
  });
  uint32_t next = 0;
  for (size_t row = 0; row <= row_count; ++row) next += std::exchange(starts[row], next);
  sparse.entries.resize(next);
  tbb::parallel_for(size_t{0}, stretch_count, [&](size_t stretch) {
    const PhaseScope scope(Phase::lay_out);
    const size_t first = stretch * kStretchRows;
    const size_t last = std::min(first + kStretchRows, row_count);
    std::vector<uint32_t> to(starts + first, starts + last);
    for_each_entry(
        stretch, [&](uint32_t row, uint32_t entry) { sparse.entries[to[row - first]++] = entry; });
  });
}

template void SparseBins::Column::copy(size_t, std::span<uint8_t>) const;
template void SparseBins::Column::copy(size_t, std::span<uint16_t>) const;
template SparseBins find_sparse_bins<uint8_t>(const uint8_t*, size_t, std::span<const uint32_t>,
                                              std::span<const uint8_t>);
template SparseBins find_sparse_bins<uint16_t>(const uint16_t*, size_t, std::span<const uint32_t>,
                                               std::span<const uint8_t>);

}  // namespace evergrove::bins
