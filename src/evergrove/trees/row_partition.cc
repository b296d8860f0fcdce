// A run that one thread splits has its lefts where it was and its rights in its room. Where several
// threads share a large one, it is cut into parts: first each finds which of its rows go left, then
// each puts its rows into the room, lefts before rights, where those of the parts before it end.
// Two threads that know how many rows go left need no such count: one comes from the front and one
// from the back, until they meet. SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/row_partition.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_invoke.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/partition_kernel.h"

namespace evergrove::trees {
namespace {

constexpr size_t kPartRows = 1 << 13;  // a multiple of 64
constexpr size_t kSharedRows = 1 << 15;
// Rows that are looked at and dealt while they are in the nearest cache; a multiple of 64.
constexpr size_t kNearRows = 1 << 11;

// Whether goes_left is of a range of bins, and which.
template <typename Bin>
BinChoice<Bin> choice_of(const Bin* column, size_t stride, std::span<const uint8_t> goes_left) {
  BinChoice<Bin> choice{column, stride, goes_left.data(), false, 0, 0};
  const auto first = std::find(goes_left.begin(), goes_left.end(), 1);
  const auto end = std::find(first, goes_left.end(), 0);
  if (first == end || std::find(end, goes_left.end(), 1) != goes_left.end()) return choice;
  choice.is_range = true;
  choice.first = static_cast<Bin>(first - goes_left.begin());
  choice.span = static_cast<Bin>(end - first - 1);
  return choice;
}

}  // namespace

void RowPartition::make_room(size_t row_count) {
  slots_.resize(is_tight_ ? row_count : 2 * row_count);
}

RowRun RowPartition::start_all(size_t row_count, const Gradients& gradients) {
  make_room(row_count);
  gradients_ = &gradients;
  return {.begin = 0, .count = row_count, .room = row_count, .is_listed = false};
}

RowRun RowPartition::start(std::span<const uint32_t> rows, const Gradients& gradients) {
  make_room(rows.size());
  fill(rows.size(), gradients, [rows](size_t i) { return rows[i]; });
  return {.begin = 0, .count = rows.size(), .room = rows.size()};
}

RowRun RowPartition::listed(const RowRun& run) {
  if (run.is_listed) return run;
  fill(run.count, *gradients_, [](size_t i) { return static_cast<uint32_t>(i); });
  RowRun same = run;
  same.is_listed = true;
  return same;
}

template <typename RowAt>
void RowPartition::fill(size_t row_count, const Gradients& gradients, const RowAt& row_at) {
  tbb::parallel_for(tbb::blocked_range<size_t>(0, row_count, kPartRows), [&](const auto& range) {
    const PhaseScope scope(Phase::partition);
    for (size_t i = range.begin(); i < range.end(); ++i) {
      const uint32_t row = row_at(i);
      slots_[i] = {row, gradients.wide ? NarrowGradient{} : gradients.narrow[row]};
    }
  });
}

template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_tightly(const RowRun& run, const RowSource& source,
                                                      const BinChoice<Bin>& choice) {
  const PhaseScope scope(Phase::partition);
  thread_local LargeVector<TreeRow> room;
  if (room.size() < run.count) room.resize(run.count);
  TreeRow* const place = slots_.data() + run.begin;
  const size_t left_count =
      deal_rows(source, 0, run.count, choice,
                {place, place + run.count, room.data(), room.data() + run.count});
  std::copy_n(room.data(), run.count - left_count, place + left_count);
  return {{.begin = run.begin, .count = left_count},
          {.begin = run.begin + left_count, .count = run.count - left_count}};
}

template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_by_two(const RowRun& run, const RowSource& source,
                                                     const BinChoice<Bin>& choice,
                                                     size_t left_count) {
  TreeRow* const lefts = slots_.data() + run.room;
  TreeRow* const rights = lefts + left_count;
  TreeRow* const end = lefts + run.count;
  const size_t chunk_count = (run.count + kNearRows - 1) / kNearRows;
  std::atomic<size_t> taken = 0;
  const auto come_from = [&](bool is_front) {
    const PhaseScope scope(Phase::partition);
    TreeRow* next_left = is_front ? lefts : rights;
    TreeRow* next_right = is_front ? rights : end;
    uint64_t bits[kNearRows / 64];
    for (size_t i = 0; taken.fetch_add(1, std::memory_order_relaxed) < chunk_count; ++i) {
      const size_t first = (is_front ? i : chunk_count - 1 - i) * kNearRows;
      const size_t count = std::min(kNearRows, run.count - first);
      const size_t left = mark_rows(source, first, count, choice, bits);
      const size_t right = count - left;
      const auto fits = [&](const TreeRow* begin, const TreeRow* next, const TreeRow* stop,
                            size_t rows) {
        return rows <= static_cast<size_t>(is_front ? stop - next : next - begin);
      };
      CHECK(fits(lefts, next_left, rights, left) && fits(rights, next_right, end, right));
      if (!is_front) next_left -= left, next_right -= right;
      deal_marked_rows(source, first, count, bits,
                       {next_left, next_left + left, next_right, next_right + right});
      if (is_front) next_left += left, next_right += right;
    }
  };
  tbb::parallel_invoke([&] { come_from(true); }, [&] { come_from(false); });
  return {{.begin = run.room, .count = left_count, .room = run.begin},
          {.begin = run.room + left_count,
           .count = run.count - left_count,
           .room = run.begin + left_count}};
}

template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_by(const RowRun& run, const Bin* column,
                                                 size_t stride, std::span<const uint8_t> goes_left,
                                                 std::optional<size_t> left_count) {
  const BinChoice<Bin> choice = choice_of(column, stride, goes_left);
  RowSource source;
  if (run.is_listed) {
    source.listed = slots_.data() + run.begin;
  } else if (!gradients_->wide) {
    source.gradients = gradients_->narrow.data();
  }
  if (is_tight_) return split_tightly(run, source, choice);
  const size_t count = run.count;
  TreeRow* const place = slots_.data() + run.begin;
  TreeRow* const room = slots_.data() + run.room;
  const int threads = tbb::this_task_arena::max_concurrency();
  if (count <= kSharedRows || threads == 1) {
    const PhaseScope scope(Phase::partition);
    left_count = deal_rows(source, 0, count, choice, {place, place + count, room, room + count});
    const size_t right_count = count - *left_count;
    return {{.begin = run.begin, .count = *left_count, .room = run.room + right_count},
            {.begin = run.room, .count = right_count, .room = run.begin + *left_count}};
  }
  if (left_count && threads == 2) return split_by_two(run, source, choice, *left_count);
  const size_t part_count = (count + kPartRows - 1) / kPartRows;
  const auto part_begin = [&](size_t part) { return std::min(part * kPartRows, count); };
  std::vector<uint64_t> bits((count + 63) / 64);
  std::vector<size_t> lefts(part_count + 1, 0);
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const PhaseScope scope(Phase::partition);
    const size_t first = part_begin(part);
    lefts[part + 1] =
        mark_rows(source, first, part_begin(part + 1) - first, choice, &bits[first / 64]);
  });
  for (size_t part = 0; part < part_count; ++part) lefts[part + 1] += lefts[part];
  left_count = lefts[part_count];
  TreeRow* const rights = room + *left_count;
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const PhaseScope scope(Phase::partition);
    const size_t first = part_begin(part);
    const size_t last = part_begin(part + 1);
    deal_marked_rows(source, first, last - first, &bits[first / 64],
                     {room + lefts[part], room + lefts[part + 1], rights + (first - lefts[part]),
                      rights + (last - lefts[part + 1])});
  });
  return {{.begin = run.room, .count = *left_count, .room = run.begin},
          {.begin = run.room + *left_count,
           .count = count - *left_count,
           .room = run.begin + *left_count}};
}

std::pair<RowRun, RowRun> RowPartition::split(const RowRun& run, const Split& split,
                                              const bins::BinMatrix& bins, bool numeric,
                                              Counts counts) {
  std::optional<size_t> left_count;
  if (counts == Counts::are_of_the_run) left_count = static_cast<size_t>(split.left.count);
  thread_local std::vector<uint8_t> table;
  std::vector<uint8_t> goes_left = std::move(table);
  goes_left.assign(bins.bin_count(split.feature), 0);
  if (numeric) {
    std::fill(goes_left.begin() + 1, goes_left.begin() + 1 + split.bin_last, 1);
  } else {
    for (uint32_t bin : split.bins_left) goes_left[bin] = 1;
  }
  goes_left[0] = split.missing_left;
  const auto split_as = [&]<typename Bin>(Bin /*type*/) {
    if (bins.has_columns())
      return split_by(run, bins.column<Bin>(split.feature), 1, goes_left, left_count);
    const bins::RowLayout& layout = bins.layout();
    const uint32_t cell = layout.cell(split.feature);
    if (!layout.is_shared(cell)) {
      return split_by(run, bins.rows<Bin>() + cell, bins.row_stride(), goes_left, left_count);
    }
    std::vector<uint8_t> by_value(layout.value_count(cell));
    for (uint32_t value = 0; value < by_value.size(); ++value) {
      by_value[value] = goes_left[layout.bin(split.feature, value)];
    }
    return split_by(run, bins.rows<Bin>() + cell, bins.row_stride(), by_value, left_count);
  };
  const auto runs = bins.bin_bytes() == 1 ? split_as(uint8_t{}) : split_as(uint16_t{});
  table = std::move(goes_left);
  return runs;
}

}  // namespace evergrove::trees
