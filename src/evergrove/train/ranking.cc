// Bytes: 1 if weighted, largest weight (f64), number of groups (u32), groups.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/ranking.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "evergrove/base/check.h"
#include "evergrove/train/rows_to_rank.h"

namespace evergrove::train {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr auto kMarginTop = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
constexpr auto kMarginBottom = static_cast<uint64_t>(std::numeric_limits<int64_t>::min());

// A group is its gap to the margin above (less 1, that of the first to the largest of all) with
// two bits for its kind, then counts and weights where needed. Most groups are a single row.
enum class GroupKind : uint8_t { negative_row, positive_row, rows, far_rows };
constexpr uint64_t kGapNear = uint64_t{1} << 62;

}  // namespace

std::vector<MarginWindow> margin_windows(std::vector<int64_t> sample, uint64_t row_count,
                                         uint64_t rows_wanted) {
  const uint64_t count = row_count / std::max<uint64_t>(rows_wanted, 1) + 1;
  std::sort(sample.begin(), sample.end(), std::greater<>());
  std::vector<MarginWindow> windows(1);
  for (uint64_t i = 1; i < count && !sample.empty(); ++i) {
    const int64_t edge = sample[sample.size() * i / count];
    MarginWindow& last = windows.back();
    if (edge <= last.low || edge > last.high) continue;
    const int64_t low = last.low;
    last.low = edge;
    windows.push_back({low, edge - 1});
  }
  return windows;
}

double largest_weight(std::span<const float> weights, double weight_max) {
  return weight_max > 0 || weights.empty() ? weight_max : std::ranges::max(weights);
}

Ranking::Ranking(std::span<const int64_t> margins, std::span<const uint16_t> classes,
                 std::span<const float> weights, double weight_max) {
  RowsToRank rows(!weights.empty(), largest_weight(weights, weight_max), MarginWindow{});
  CHECK(rows.add(margins, classes, weights).ok());
  Result<Ranking> ranking = std::move(rows).rank();
  CHECK(ranking.ok());
  *this = std::move(*ranking);
}

void Ranking::take(Run run) {
  if (run.groups.empty()) return;
  for (const Group& group : run.groups) {
    row_count_ += uint64_t{group.positive_count} + group.negative_count;
  }
  runs_.push_back(std::make_shared<const Run>(std::move(run)));
}

template <typename Visit>
void Ranking::for_each_group(const Visit& visit) const {
  if (runs_.size() == 1) {
    const Run& run = *runs_[0];
    for (size_t i = 0; i < run.groups.size(); ++i) visit(run.groups[i], run.weights_of(i));
    return;
  }
  // A heap of the runs that have some left, by their next margin, the highest at the top.
  struct Next {
    const Run* run;
    size_t i = 0;
    int64_t margin() const { return run->groups[i].margin; }
  };
  const auto is_lower = [](const Next& a, const Next& b) { return a.margin() < b.margin(); };
  std::vector<Next> heap;
  for (const auto& run : runs_) heap.push_back({run.get()});
  std::make_heap(heap.begin(), heap.end(), is_lower);
  const auto advance_top = [&] {
    if (++heap[0].i == heap[0].run->groups.size()) {
      std::pop_heap(heap.begin(), heap.end(), is_lower);
      return heap.pop_back();
    }
    // To where it belongs: of two runs, one comparison.
    for (size_t place = 0;;) {
      size_t child = 2 * place + 1;
      if (child >= heap.size()) return;
      if (child + 1 < heap.size() && is_lower(heap[child], heap[child + 1])) ++child;
      if (!is_lower(heap[place], heap[child])) return;
      std::swap(heap[place], heap[child]);
      place = child;
    }
  };
  while (!heap.empty()) {
    Group group = heap[0].run->groups[heap[0].i];
    GroupWeights weights = heap[0].run->weights_of(heap[0].i);
    advance_top();
    for (; !heap.empty() && heap[0].margin() == group.margin; advance_top()) {
      const Group& more = heap[0].run->groups[heap[0].i];
      const GroupWeights more_weights = heap[0].run->weights_of(heap[0].i);
      group.positive_count += more.positive_count;
      group.negative_count += more.negative_count;
      weights.positive += more_weights.positive;
      weights.negative += more_weights.negative;
    }
    visit(group, weights);
  }
}

Status Ranking::merge(Ranking other) {
  if (other.runs_.empty()) return {};
  if (runs_.empty()) {
    *this = std::move(other);
    return {};
  }
  if (is_weighted_ != other.is_weighted_ || weight_max_ != other.weight_max_) {
    return invalid_input(
        "Rankings with different units of weight cannot be merged; make each "
        "with the largest weight of all rows",
        {{"weight_max", std::to_string(weight_max_)},
         {"other_weight_max", std::to_string(other.weight_max_)}});
  }
  if (row_count_ + other.row_count_ > kRankedTogetherMax) {
    return invalid_input("Rows are too many to be ranked; evaluate on a sample of them",
                         {{"row_count", std::to_string(row_count_ + other.row_count_)},
                          {"row_count_max", std::to_string(kRankedTogetherMax)}});
  }
  runs_.insert(runs_.end(), other.runs_.begin(), other.runs_.end());
  row_count_ += other.row_count_;
  return {};
}

double Ranking::auc() const {
  RankingWalk walk;
  walk.add(*this);
  return walk.auc();
}
double Ranking::average_precision() const {
  RankingWalk walk;
  walk.add(*this);
  return walk.average_precision();
}
double Ranking::precision_at(uint64_t cutoff) const {
  RankingWalk walk({&cutoff, 1});
  walk.add(*this);
  return walk.precision_at(cutoff);
}
double Ranking::recall_at(uint64_t cutoff) const {
  RankingWalk walk({&cutoff, 1});
  walk.add(*this);
  return walk.recall_at(cutoff);
}

RankingWalk::RankingWalk(std::span<const uint64_t> cutoffs) {
  for (const uint64_t rows : cutoffs) cutoffs_.push_back({.rows = rows});
}

void RankingWalk::add(const Ranking& lower) {
  lower.for_each_group([&](const Ranking::Group& group, const Ranking::GroupWeights& weights) {
    const uint64_t row_count = uint64_t{group.positive_count} + group.negative_count;
    for (Cutoff& cutoff : cutoffs_) {
      if (cutoff.is_passed) continue;
      if (row_count_ + row_count >= cutoff.rows) {
        const double taken =
            static_cast<double>(cutoff.rows - row_count_) / static_cast<double>(row_count);
        cutoff.hits = static_cast<double>(positive_count_) + taken * group.positive_count;
        cutoff.is_passed = true;
      }
    }
    // A positive loses to all negatives above, and half a tie.
    lost_ += Uint128{weights.positive} * (Uint128{seen_.negative} * 2 + weights.negative);
    seen_.positive += weights.positive;
    seen_.negative += weights.negative;
    if (weights.positive != 0) {
      precisions_ += static_cast<double>(weights.positive) *
                     (static_cast<double>(seen_.positive) /
                      static_cast<double>(seen_.positive + seen_.negative));
    }
    positive_count_ += group.positive_count;
    row_count_ += row_count;
  });
}

double RankingWalk::auc() const {
  if (seen_.positive == 0 || seen_.negative == 0) return kNaN;
  const Uint128 won = Uint128{seen_.positive} * seen_.negative * 2 - lost_;
  return static_cast<double>(won) / 2 /
         (static_cast<double>(seen_.positive) * static_cast<double>(seen_.negative));
}

double RankingWalk::average_precision() const {
  if (seen_.positive == 0) return kNaN;
  return precisions_ / static_cast<double>(seen_.positive);
}

double RankingWalk::hits_at(uint64_t cutoff) const {
  const auto asked = std::find_if(cutoffs_.begin(), cutoffs_.end(),
                                  [&](const Cutoff& each) { return each.rows == cutoff; });
  CHECK(asked != cutoffs_.end());
  return asked->is_passed ? asked->hits : static_cast<double>(positive_count_);
}

double RankingWalk::precision_at(uint64_t cutoff) const {
  if (row_count_ == 0) return kNaN;
  return hits_at(cutoff) / static_cast<double>(std::min(cutoff, row_count_));
}

double RankingWalk::recall_at(uint64_t cutoff) const {
  if (positive_count_ == 0) return kNaN;
  return hits_at(cutoff) / static_cast<double>(positive_count_);
}

void Ranking::encode(ByteWriter& out) const {
  uint32_t group_count = 0;
  for_each_group([&](const Group&, const GroupWeights&) { ++group_count; });
  out.u8(is_weighted_ ? 1 : 0).f64(weight_max_).u32(group_count);
  uint64_t above = kMarginTop;
  bool is_first = true;
  for_each_group([&](const Group& group, const GroupWeights& weights) {
    const uint64_t gap = above - static_cast<uint64_t>(group.margin) - (is_first ? 0 : 1);
    is_first = false;
    above = static_cast<uint64_t>(group.margin);
    const bool is_one = uint64_t{group.positive_count} + group.negative_count == 1;
    const GroupKind kind = gap >= kGapNear            ? GroupKind::far_rows
                           : !is_one                  ? GroupKind::rows
                           : group.negative_count > 0 ? GroupKind::negative_row
                                                      : GroupKind::positive_row;
    const bool is_far = kind == GroupKind::far_rows;
    out.varint((is_far ? 0 : gap) << 2 | static_cast<uint64_t>(kind));
    if (is_far) out.varint(gap);
    if (is_far || kind == GroupKind::rows) {
      out.varint(group.positive_count).varint(group.negative_count);
    }
    if (!is_weighted_) return;
    if (group.positive_count > 0) out.varint(weights.positive);
    if (group.negative_count > 0) out.varint(weights.negative);
  });
}

Result<Ranking> Ranking::decode(ByteReader& in) {
  Ranking ranking;
  const uint8_t flag = in.u8();
  ranking.is_weighted_ = flag != 0;
  ranking.weight_max_ = in.f64();
  const uint32_t group_count = in.count(/*item_bytes=*/1);
  bool valid = flag <= 1 && (flag == 1 ? ranking.weight_max_ >= 0 : ranking.weight_max_ == 0) &&
               ranking.weight_max_ <= std::numeric_limits<float>::max() &&
               (flag == 0 || group_count > 0);
  Run run;
  run.groups.reserve(valid ? group_count : 0);
  uint64_t row_count = 0;
  uint64_t above = kMarginTop;
  for (uint32_t i = 0; valid && in.ok() && i < group_count; ++i) {
    const uint64_t head = in.varint();
    const auto kind = static_cast<GroupKind>(head & 3);
    const bool is_far = kind == GroupKind::far_rows;
    const uint64_t gap = is_far ? in.varint() : head >> 2;
    uint64_t positives = kind == GroupKind::positive_row;
    uint64_t negatives = kind == GroupKind::negative_row;
    if (is_far || kind == GroupKind::rows) {
      positives = in.varint();
      negatives = in.varint();
    }
    GroupWeights weights{positives, negatives};
    if (ranking.is_weighted_) {
      weights = {positives > 0 ? in.varint() : 0, negatives > 0 ? in.varint() : 0};
    }
    const uint64_t room = above - kMarginBottom;  // margins are in the order of above - margin
    valid = gap <= room && (i == 0 || gap < room) && positives <= kRankedTogetherMax &&
            negatives <= kRankedTogetherMax && positives + negatives > 0 &&
            row_count + positives + negatives <= kRankedTogetherMax &&
            weights.positive <= positives * kRankingUnits &&
            weights.negative <= negatives * kRankingUnits;
    if (!valid) break;
    above -= gap + (i > 0);
    row_count += positives + negatives;
    run.groups.push_back({.margin = static_cast<int64_t>(above),
                          .positive_count = static_cast<uint32_t>(positives),
                          .negative_count = static_cast<uint32_t>(negatives)});
    if (ranking.is_weighted_) run.weights.push_back(weights);
  }
  if (!in.ok() || !valid) {
    return corrupt("A ranking of rows is cut off or makes no sense; send it again",
                   {{"group_count", std::to_string(group_count)},
                    {"good_groups", std::to_string(run.groups.size())}});
  }
  ranking.take(std::move(run));
  return ranking;
}

}  // namespace evergrove::train
