// A run is split without branches: each row is written to the next place of both sides, and only
// the side it belongs to moves on. Lefts stay in place, rights go by way of a buffer. Where several
// threads share a large run, it is cut into parts: each is split into the buffer, lefts from its
// front and rights from its back, and from there all parts' lefts and rights are brought together.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/row_partition.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstddef>

#include "evergrove/base/phase.h"

namespace evergrove::trees {
namespace {

constexpr size_t kPartRows = 1 << 16;

// Writes the rows that go left one after the other from `lefts` on, the others from `rights` on, up
// or down as kRightStep says; returns how many go left. lefts may be rows itself. There is room for
// all rows on either side, or on both together where these run towards one another.
template <ptrdiff_t kRightStep, typename Bin>
size_t separate(std::span<const TreeRow> rows, const Bin* column, const uint8_t* goes_left,
                TreeRow* lefts, TreeRow* rights) {
  const PhaseScope scope(Phase::partition);
  size_t left_count = 0;
  size_t right_count = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TreeRow row = rows[i];  // lefts may overwrite it
    const size_t left = goes_left[column[row.row]];
    lefts[left_count] = row;
    rights[kRightStep * static_cast<ptrdiff_t>(right_count)] = row;
    left_count += left;
    right_count += 1 - left;
  }
  return left_count;
}

}  // namespace

void RowPartition::start_all(size_t row_count, const Gradients& gradients) {
  fill(row_count, gradients, [](size_t i) { return static_cast<uint32_t>(i); });
}

void RowPartition::start(std::span<const uint32_t> rows, const Gradients& gradients) {
  fill(rows.size(), gradients, [rows](size_t i) { return rows[i]; });
}

template <typename RowAt>
void RowPartition::fill(size_t row_count, const Gradients& gradients, const RowAt& row_at) {
  rows_.resize(row_count);
  buffer_.resize(row_count);
  tbb::parallel_for(tbb::blocked_range<size_t>(0, row_count, kPartRows), [&](const auto& range) {
    const PhaseScope scope(Phase::partition);
    for (size_t i = range.begin(); i < range.end(); ++i) {
      const uint32_t row = row_at(i);
      rows_[i] = {row, gradients.wide ? NarrowGradient{} : gradients.narrow[row]};
    }
  });
}

template <typename Bin>
size_t RowPartition::split_by(size_t begin, size_t end, const Bin* column,
                              std::span<const uint8_t> goes_left) {
  const size_t count = end - begin;
  if (count <= 2 * kPartRows || tbb::this_task_arena::max_concurrency() == 1) {
    TreeRow* const rows = rows_.data() + begin;
    TreeRow* const rights = buffer_.data() + begin;
    const size_t left_count = separate<1>({rows, count}, column, goes_left.data(), rows, rights);
    std::copy(rights, rights + (count - left_count), rows + left_count);
    return left_count;
  }
  const size_t part_count = (count + kPartRows - 1) / kPartRows;
  std::vector<size_t> lefts(part_count + 1, 0);
  const auto part_begin = [&](size_t part) { return begin + std::min(part * kPartRows, count); };
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const size_t first = part_begin(part);
    const size_t last = part_begin(part + 1);
    TreeRow* const to = buffer_.data();
    lefts[part + 1] = separate<-1>({rows_.data() + first, last - first}, column, goes_left.data(),
                                   to + first, to + last - 1);
  });
  for (size_t part = 0; part < part_count; ++part) lefts[part + 1] += lefts[part];
  const size_t left_count = lefts[part_count];
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const PhaseScope scope(Phase::partition);
    const size_t first = part_begin(part);
    const TreeRow* from = buffer_.data() + first;
    const TreeRow* from_end = buffer_.data() + part_begin(part + 1);
    const TreeRow* rights = from + (lefts[part + 1] - lefts[part]);
    const size_t rights_before = first - begin - lefts[part];
    std::copy(from, rights, rows_.data() + begin + lefts[part]);
    std::reverse_copy(rights, from_end, rows_.data() + begin + left_count + rights_before);
  });
  return left_count;
}

size_t RowPartition::split(size_t begin, size_t end, const Split& split,
                           const bins::BinMatrix& bins, bool numeric) {
  thread_local std::vector<uint8_t> table;
  std::vector<uint8_t> goes_left = std::move(table);
  goes_left.assign(bins.bin_count(split.feature), 0);
  if (numeric) {
    std::fill(goes_left.begin() + 1, goes_left.begin() + 1 + split.bin_last, 1);
  } else {
    for (uint32_t bin : split.bins_left) goes_left[bin] = 1;
  }
  goes_left[0] = split.missing_left;
  const size_t left_count =
      bins.bin_bytes() == 1 ? split_by(begin, end, bins.column<uint8_t>(split.feature), goes_left)
                            : split_by(begin, end, bins.column<uint16_t>(split.feature), goes_left);
  table = std::move(goes_left);
  return left_count;
}

}  // namespace evergrove::trees
