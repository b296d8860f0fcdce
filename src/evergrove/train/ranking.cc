// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/ranking.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "evergrove/base/check.h"
#include "evergrove/train/radix_sort.h"

namespace evergrove::train {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kWeightUnits = 1 << 30;

// Without weights a row fits into one word, which makes the sort twice as fast.
struct LightItem {
  uint64_t word;  // margin above the lowest one, then the class
  uint64_t key() const { return word >> 1; }
  bool positive() const { return word & 1; }
  uint64_t weight() const { return 1; }
};
struct HeavyItem {
  uint64_t margin;
  uint32_t units;
  bool is_positive;
  uint64_t key() const { return margin; }
  bool positive() const { return is_positive; }
  uint64_t weight() const { return units; }
};

template <typename Item>
void sort(std::vector<Item>& items, uint64_t range) {
  std::vector<Item> scratch;
  radix_sort(items, scratch, std::bit_width(range), [](const Item& item) { return item.key(); });
}

}  // namespace

Ranking::Ranking(std::span<const int64_t> margins, std::span<const uint16_t> classes,
                 std::span<const float> weights)
    : row_count_(margins.size()) {
  CHECK(margins.size() == classes.size());
  CHECK(weights.empty() || weights.size() == margins.size());
  CHECK(margins.size() <= std::numeric_limits<uint32_t>::max());
  if (margins.empty()) return;
  const auto [low, high] = std::minmax_element(margins.begin(), margins.end());
  const auto lowest = static_cast<uint64_t>(*low);
  const uint64_t range = static_cast<uint64_t>(*high) - lowest;
  if (weights.empty() && range < uint64_t{1} << 63) {
    std::vector<LightItem> items(margins.size());
    for (size_t i = 0; i < items.size(); ++i) {
      items[i].word = (static_cast<uint64_t>(margins[i]) - lowest) << 1 | (classes[i] & 1);
    }
    sort(items, range);
    make_groups(items);
    return;
  }
  const double weight_max =
      weights.empty() ? 1.0 : double{*std::max_element(weights.begin(), weights.end())};
  std::vector<HeavyItem> items(margins.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const double share = weights.empty() ? 1.0 : double{weights[i]} / weight_max;
    items[i] = {.margin = static_cast<uint64_t>(margins[i]) - lowest,
                .units = weight_max > 0 ? static_cast<uint32_t>(share * kWeightUnits + 0.5) : 0,
                .is_positive = classes[i] != 0};
  }
  sort(items, range);
  make_groups(items);
}

template <typename Item>
void Ranking::make_groups(const std::vector<Item>& ascending) {
  size_t distinct = 1;
  for (size_t i = 1; i < ascending.size(); ++i) {
    distinct += ascending[i].key() != ascending[i - 1].key();
  }
  groups_.reserve(distinct);
  uint64_t key = ~ascending.back().key();
  for (size_t i = ascending.size(); i-- > 0;) {
    const Item& item = ascending[i];
    if (item.key() != key) groups_.emplace_back();
    key = item.key();
    Group& group = groups_.back();
    ++group.row_count;
    group.positive_count += item.positive();
    (item.positive() ? group.positive_weight : group.negative_weight) += item.weight();
  }
  for (const Group& group : groups_) {
    positive_weight_ += group.positive_weight;
    negative_weight_ += group.negative_weight;
    positive_count_ += group.positive_count;
  }
}

double Ranking::auc() const {
  if (positive_weight_ == 0 || negative_weight_ == 0) return kNaN;
  // Twice the weight of won pairs: a positive wins against all negatives below, and half a tie.
  Uint128 won = 0;
  uint64_t negatives_below = negative_weight_;
  for (const Group& group : groups_) {
    negatives_below -= group.negative_weight;
    won += Uint128{group.positive_weight} * (Uint128{negatives_below} * 2 + group.negative_weight);
  }
  return static_cast<double>(won) / 2 /
         (static_cast<double>(positive_weight_) * static_cast<double>(negative_weight_));
}

double Ranking::average_precision() const {
  if (positive_weight_ == 0) return kNaN;
  uint64_t hits = 0;
  uint64_t all = 0;
  double sum = 0;
  for (const Group& group : groups_) {
    hits += group.positive_weight;
    all += group.positive_weight + group.negative_weight;
    if (group.positive_weight == 0) continue;
    sum += static_cast<double>(group.positive_weight) *
           (static_cast<double>(hits) / static_cast<double>(all));
  }
  return sum / static_cast<double>(positive_weight_);
}

double Ranking::hits_at(uint64_t cutoff) const {
  uint64_t rows = 0;
  uint64_t hits = 0;
  for (const Group& group : groups_) {
    if (rows + group.row_count >= cutoff) {
      const double taken = static_cast<double>(cutoff - rows) / group.row_count;
      return static_cast<double>(hits) + taken * group.positive_count;
    }
    rows += group.row_count;
    hits += group.positive_count;
  }
  return static_cast<double>(hits);
}

double Ranking::precision_at(uint64_t cutoff) const {
  if (row_count_ == 0) return kNaN;
  return hits_at(cutoff) / static_cast<double>(std::min(cutoff, row_count_));
}

double Ranking::recall_at(uint64_t cutoff) const {
  if (positive_count_ == 0) return kNaN;
  return hits_at(cutoff) / static_cast<double>(positive_count_);
}

}  // namespace evergrove::train
