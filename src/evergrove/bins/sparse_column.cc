// The usual bin is looked up in a sample of rows first, so that a column that is not sparse costs
// next to nothing.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/sparse_column.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace evergrove::bins {
namespace {

constexpr size_t kSampleRows = 2048;

// Calls back with each row that has another bin, ascending.
template <typename Bin, typename Visit>
void for_each_other(std::span<const Bin> column, Bin usual, const Visit& visit) {
  constexpr size_t kAtOnce = sizeof(uint64_t) / sizeof(Bin);
  const uint64_t all_usual = ~uint64_t{0} / std::numeric_limits<Bin>::max() * usual;
  size_t row = 0;
  for (; row + kAtOnce <= column.size(); row += kAtOnce) {
    uint64_t bins;
    std::memcpy(&bins, column.data() + row, sizeof(bins));
    if (bins == all_usual) continue;
    for (size_t i = row; i < row + kAtOnce; ++i) {
      if (column[i] != usual) visit(i);
    }
  }
  for (; row < column.size(); ++row) {
    if (column[row] != usual) visit(row);
  }
}

}  // namespace

size_t SparseColumn::place(size_t row) const {
  return static_cast<size_t>(std::lower_bound(rows.begin(), rows.end(), row) - rows.begin());
}

uint32_t SparseColumn::bin(size_t row) const {
  const size_t at = place(row);
  return at < rows.size() && rows[at] == row ? bins[at] : usual_bin;
}

template <typename Bin>
void SparseColumn::copy(size_t first_row, std::span<Bin> to) const {
  std::fill(to.begin(), to.end(), static_cast<Bin>(usual_bin));
  for (size_t i = place(first_row); i < rows.size() && rows[i] - first_row < to.size(); ++i) {
    to[rows[i] - first_row] = static_cast<Bin>(bins[i]);
  }
}

template <typename Bin>
std::optional<SparseColumn> SparseColumn::of(std::span<const Bin> column, uint32_t bin_count) {
  std::vector<uint32_t> counts(bin_count, 0);
  const size_t step = std::max<size_t>(1, column.size() / kSampleRows);
  const size_t looked_at = (column.size() + step - 1) / step;
  for (size_t row = 0; row < column.size(); row += step) ++counts[column[row]];
  const auto most = std::max_element(counts.begin(), counts.end());
  if (looked_at == 0 || looked_at - *most > looked_at / 4) return std::nullopt;
  SparseColumn sparse;
  sparse.usual_bin = static_cast<uint32_t>(most - counts.begin());
  const auto usual = static_cast<Bin>(sparse.usual_bin);
  const auto usual_count = std::count(column.begin(), column.end(), usual);
  const size_t other_count = column.size() - static_cast<size_t>(usual_count);
  if (other_count > column.size() / 8) return std::nullopt;
  sparse.rows.reserve(other_count);
  sparse.bins.reserve(other_count);
  for_each_other(column, usual, [&](size_t row) {
    sparse.rows.push_back(static_cast<uint32_t>(row));
    sparse.bins.push_back(column[row]);
  });
  return sparse;
}

template void SparseColumn::copy(size_t, std::span<uint8_t>) const;
template void SparseColumn::copy(size_t, std::span<uint16_t>) const;
template std::optional<SparseColumn> SparseColumn::of(std::span<const uint8_t>, uint32_t);
template std::optional<SparseColumn> SparseColumn::of(std::span<const uint16_t>, uint32_t);

}  // namespace evergrove::bins
