// A run that one thread splits has its lefts where it was and its rights in its room. Where several
// threads share a large one, it is cut into parts: first each finds which of its rows go left, then
// each puts its rows into the room, lefts before rights, where those of the parts before it end.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/row_partition.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/partition_kernel.h"

namespace evergrove::trees {
namespace {

constexpr size_t kPartRows = 1 << 13;  // a multiple of 64
constexpr size_t kSharedRows = 1 << 15;
constexpr size_t kPartBits = 1 << 16;  // a multiple of 64
constexpr size_t kStretchRows = 1 << 15;

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

// What a run is split into whose rows were put into its room, lefts first.
std::pair<RowRun, RowRun> runs_in_room(const RowRun& run, size_t left_count) {
  return {{.begin = run.room, .count = left_count, .room = run.begin},
          {.begin = run.room + left_count,
           .count = run.count - left_count,
           .room = run.begin + left_count}};
}

// Calls work(first row, row count) for parts of all rows, in parallel.
template <typename Work>
void for_each_part(size_t row_count, Phase phase, const Work& work) {
  tbb::parallel_for(size_t{0}, (row_count + kPartBits - 1) / kPartBits, [&](size_t part) {
    const PhaseScope scope(phase);
    const size_t first = part * kPartBits;
    work(first, std::min(kPartBits, row_count - first));
  });
}

}  // namespace

void RowPartition::make_room(size_t row_count) {
  slots_.resize(is_tight_ ? row_count : 2 * row_count);
  row_count_ = row_count;
  bits_->start(row_count);
}

void RowPartition::BitPool::start(size_t row_count) {
  const size_t word_count = (row_count + 63) / 64;
  if (word_count != word_count_) words_.clear();
  word_count_ = word_count;
  free_.clear();
  for (size_t i = words_.size(); i > 0; --i) free_.push_back(static_cast<int32_t>(i - 1));
}

int32_t RowPartition::BitPool::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    words_.emplace_back(word_count_);
    return static_cast<int32_t>(words_.size() - 1);
  }
  const int32_t bits = free_.back();
  free_.pop_back();
  return bits;
}

void RowPartition::BitPool::give_back(int32_t bits) {
  const std::lock_guard lock(mutex_);
  free_.push_back(bits);
}

// Others may be added meanwhile.
uint64_t* RowPartition::BitPool::words(int32_t bits) {
  const std::lock_guard lock(mutex_);
  return words_[static_cast<size_t>(bits)].data();
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
  RowRun same = run;
  same.is_listed = true;
  if (run.is_all()) {
    fill(run.count, *gradients_, [](size_t i) { return static_cast<uint32_t>(i); });
    return same;
  }
  const NarrowGradient* const gradients = gradients_->wide ? nullptr : gradients_->narrow.data();
  TreeRow* const place = slots_.data() + run.begin;
  if (run.count <= kSharedRows || tbb::this_task_arena::max_concurrency() == 1) {
    const PhaseScope scope(Phase::partition);
    list_rows(bits_->words(run.bits), 0, row_count_, gradients, place, place + run.count);
    return same;
  }
  const uint64_t* const bits = bits_->words(run.bits);
  const size_t part_count = (row_count_ + kPartBits - 1) / kPartBits;
  std::vector<size_t> ends(part_count + 1, 0);
  for (size_t part = 0; part < part_count; ++part) {
    const size_t end = std::min((part + 1) * kPartBits, row_count_);
    size_t count = 0;
    for (size_t word = part * kPartBits / 64; word < (end + 63) / 64; ++word) {
      count += static_cast<size_t>(std::popcount(bits[word]));
    }
    ends[part + 1] = ends[part] + count;
  }
  CHECK(ends[part_count] == run.count);
  for_each_part(row_count_, Phase::partition, [&](size_t first, size_t count) {
    const size_t part = first / kPartBits;
    list_rows(bits + first / 64, first, count, gradients, place + ends[part],
              place + ends[part + 1]);
  });
  return same;
}

RowRun RowPartition::listed_if_small(RowRun run) {
  if (run.count * kListedShare >= row_count_) return run;
  const int32_t bits = run.bits;
  run = listed(run);
  run.bits = -1;
  bits_->give_back(bits);
  return run;
}

template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_bits(const RowRun& run,
                                                   const BinChoice<Bin>& choice) {
  const int32_t left_bits = run.bits >= 0 ? run.bits : bits_->take();
  const int32_t right_bits = bits_->take();
  uint64_t* const lefts = bits_->words(left_bits);
  uint64_t* const rights = bits_->words(right_bits);
  const uint64_t* const bits = run.bits >= 0 ? lefts : nullptr;
  std::atomic<size_t> left_count = 0;
  for_each_part(row_count_, Phase::partition, [&](size_t first, size_t count) {
    const size_t word = first / 64;
    left_count += divide_bits(bits == nullptr ? nullptr : bits + word, first, count, choice,
                              lefts + word, rights + word);
  });
  const size_t left = left_count;
  return {listed_if_small({.begin = run.begin,
                           .count = left,
                           .room = run.room,
                           .is_listed = false,
                           .bits = left_bits}),
          listed_if_small({.begin = run.begin + left,
                           .count = run.count - left,
                           .room = run.room + left,
                           .is_listed = false,
                           .bits = right_bits})};
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

// Those that are not listed one after the other, each by all threads: 64 rows are written as one.
// Of the others, a stretch of rows at a time, so that the values which all leaves together change
// are in the cache.
void RowPartition::add(std::span<const LeafRows> leaves, std::span<int64_t> values) const {
  std::vector<LeafRows> listed;
  for (const LeafRows& leaf : leaves) {
    if (leaf.run.is_listed) {
      listed.push_back(leaf);
      continue;
    }
    const uint64_t* const bits = leaf.run.is_all() ? nullptr : bits_->words(leaf.run.bits);
    for_each_part(row_count_, Phase::leaves, [&](size_t first, size_t count) {
      if (bits != nullptr) {
        add_where(bits + first / 64, first, count, leaf.value, values.data());
      } else {
        for (int64_t& value : values.subspan(first, count)) value += leaf.value;
      }
    });
  }
  const size_t stretch_count = (values.size() + kStretchRows - 1) / kStretchRows;
  const tbb::blocked_range<size_t> stretches(0, stretch_count, 2);
  tbb::parallel_for(stretches, [&](const tbb::blocked_range<size_t>& range) {
    const PhaseScope scope(Phase::leaves);
    std::vector<const TreeRow*> next;
    for (const LeafRows& leaf : listed) {
      const std::span<const TreeRow> all = rows(leaf.run);
      next.push_back(std::partition_point(all.data(), all.data() + all.size(), [&](TreeRow row) {
        return row.row < range.begin() * kStretchRows;
      }));
    }
    for (size_t stretch = range.begin(); stretch < range.end(); ++stretch) {
      const size_t end_row = (stretch + 1) * kStretchRows;
      for (size_t i = 0; i < listed.size(); ++i) {
        const TreeRow* const end = slots_.data() + listed[i].run.begin + listed[i].run.count;
        const int64_t value = listed[i].value;
        const TreeRow* row = next[i];
        for (; row != end && row->row < end_row; ++row) values[row->row] += value;
        next[i] = row;
      }
    }
  });
}

template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_tightly(const RowRun& run,
                                                      const BinChoice<Bin>& choice) {
  const PhaseScope scope(Phase::partition);
  thread_local LargeVector<TreeRow> room;
  if (room.size() < run.count) room.resize(run.count);
  TreeRow* const place = slots_.data() + run.begin;
  const size_t left_count = deal_rows(
      place, run.count, choice, {place, place + run.count, room.data(), room.data() + run.count});
  std::copy_n(room.data(), run.count - left_count, place + left_count);
  return {{.begin = run.begin, .count = left_count},
          {.begin = run.begin + left_count, .count = run.count - left_count}};
}

template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_by(const RowRun& run, const Bin* column,
                                                 size_t stride,
                                                 std::span<const uint8_t> goes_left) {
  const BinChoice<Bin> choice = choice_of(column, stride, goes_left);
  if (run.bits >= 0 || run.is_all()) return split_bits(run, choice);
  if (is_tight_) return split_tightly(run, choice);
  const size_t count = run.count;
  TreeRow* const place = slots_.data() + run.begin;
  TreeRow* const room = slots_.data() + run.room;
  if (count <= kSharedRows || tbb::this_task_arena::max_concurrency() == 1) {
    const PhaseScope scope(Phase::partition);
    const size_t left_count =
        deal_rows(place, count, choice, {place, place + count, room, room + count});
    const size_t right_count = count - left_count;
    return {{.begin = run.begin, .count = left_count, .room = run.room + right_count},
            {.begin = run.room, .count = right_count, .room = run.begin + left_count}};
  }
  const size_t part_count = (count + kPartRows - 1) / kPartRows;
  const auto part_begin = [&](size_t part) { return std::min(part * kPartRows, count); };
  std::vector<uint64_t> bits((count + 63) / 64);
  std::vector<size_t> lefts(part_count + 1, 0);
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const PhaseScope scope(Phase::partition);
    const size_t first = part_begin(part);
    lefts[part + 1] =
        mark_rows(place + first, part_begin(part + 1) - first, choice, &bits[first / 64]);
  });
  for (size_t part = 0; part < part_count; ++part) lefts[part + 1] += lefts[part];
  const size_t left_count = lefts[part_count];
  TreeRow* const rights = room + left_count;
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const PhaseScope scope(Phase::partition);
    const size_t first = part_begin(part);
    const size_t last = part_begin(part + 1);
    deal_marked_rows(place + first, last - first, &bits[first / 64],
                     {room + lefts[part], room + lefts[part + 1], rights + (first - lefts[part]),
                      rights + (last - lefts[part + 1])});
  });
  return runs_in_room(run, left_count);
}

// A sparse feature's bins are written down for all rows, which takes next to nothing beside the
// histograms of a node, unless that is a small one.
template <typename Bin>
std::pair<RowRun, RowRun> RowPartition::split_by_sparse(const RowRun& run,
                                                        const bins::SparseColumn& column,
                                                        size_t row_count,
                                                        std::span<const uint8_t> goes_left) {
  constexpr size_t kSmallShare = 128;
  if (run.is_listed && run.count < row_count / kSmallShare) {
    const PhaseScope scope(Phase::partition);
    const std::span<const TreeRow> all = rows(run);
    std::vector<uint64_t> bits((all.size() + 63) / 64, 0);
    size_t left_count = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const bool is_left = goes_left[column.bin(all[i].row)] != 0;
      left_count += is_left;
      bits[i / 64] |= uint64_t{is_left} << (i % 64);
    }
    TreeRow* const room = slots_.data() + run.room;
    deal_marked_rows(all.data(), all.size(), bits.data(),
                     {room, room + left_count, room + left_count, room + all.size()});
    return runs_in_room(run, left_count);
  }
  // Another node's split may come to this thread while it waits for others.
  thread_local LargeVector<Bin> kept;
  LargeVector<Bin> bins = std::move(kept);
  bins.resize(row_count);
  {
    const PhaseScope scope(Phase::partition);
    column.copy(0, std::span<Bin>(bins));
  }
  const auto runs = split_by(run, bins.data(), 1, goes_left);
  kept = std::move(bins);
  return runs;
}

std::pair<RowRun, RowRun> RowPartition::split(const RowRun& run, const Split& split,
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
  const auto split_as = [&]<typename Bin>(Bin /*type*/) {
    if (bins.has_columns()) {
      const auto* const sparse = bins.sparse_column(split.feature);
      return sparse == nullptr ? split_by(run, bins.column<Bin>(split.feature), 1, goes_left)
                               : split_by_sparse<Bin>(run, *sparse, bins.row_count(), goes_left);
    }
    const bins::RowLayout& layout = bins.layout();
    const uint32_t cell = layout.cell(split.feature);
    if (!layout.is_shared(cell)) {
      return split_by(run, bins.rows<Bin>() + cell, bins.row_stride(), goes_left);
    }
    std::vector<uint8_t> by_value(layout.value_count(cell));
    for (uint32_t value = 0; value < by_value.size(); ++value) {
      by_value[value] = goes_left[layout.bin(split.feature, value)];
    }
    return split_by(run, bins.rows<Bin>() + cell, bins.row_stride(), by_value);
  };
  const auto runs = bins.bin_bytes() == 1 ? split_as(uint8_t{}) : split_as(uint16_t{});
  table = std::move(goes_left);
  return runs;
}

}  // namespace evergrove::trees
