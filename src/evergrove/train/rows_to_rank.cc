// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/rows_to_rank.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "evergrove/base/check.h"
#include "evergrove/base/radix_sort.h"

namespace evergrove::train {
namespace {

uint64_t distance(int64_t low, int64_t high) {
  return static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
}

bool fits_a_word(int64_t low, int64_t high) { return distance(low, high) < uint64_t{1} << 63; }

}  // namespace

RowsToRank::RowsToRank(bool is_weighted, double weight_max, const MarginWindow& window,
                       uint64_t rows_max)
    : is_weighted_(is_weighted),
      weight_max_(is_weighted ? weight_max : 0),
      window_(window),
      rows_max_(std::min(rows_max, kRankedTogetherMax)) {}

// Ranks what is there already where these rows would not go with it.
Status RowsToRank::begin(uint64_t row_count, int64_t low, int64_t high, bool is_light) {
  if (size() > 0) {
    const int64_t low_of_all = std::min(low, low_);
    const int64_t high_of_all = std::max(high, high_);
    const bool go_together =
        is_light == heavy_.empty() && (!is_light || fits_a_word(low_of_all, high_of_all));
    if (go_together && size() + row_count <= rows_max_) {
      low_ = low_of_all;
      high_ = high_of_all;
      return {};
    }
    EVERGROVE_RETURN_IF_ERROR(rank_gathered());
  }
  low_ = low;
  high_ = high;
  return {};
}

Status RowsToRank::add(std::span<const int64_t> margins, std::span<const uint16_t> classes,
                       std::span<const float> weights) {
  CHECK(margins.size() <= kRankedTogetherMax && margins.size() == classes.size());
  CHECK(weights.size() == (is_weighted_ ? margins.size() : 0));
  size_t count = 0;
  int64_t low = std::numeric_limits<int64_t>::max();
  int64_t high = std::numeric_limits<int64_t>::min();
  for (const int64_t margin : margins) {
    const bool has = window_.has(margin);
    count += has;
    low = std::min(low, has ? margin : low);
    high = std::max(high, has ? margin : high);
  }
  if (count == 0) return {};
  const bool is_light = !is_weighted_ && fits_a_word(low, high);
  EVERGROVE_RETURN_IF_ERROR(begin(count, low, high, is_light));
  if (is_light) {
    // Whether a row is in the window is as good as random: no branch may depend on it.
    size_t place = light_.size();
    light_.resize(place + count + 1);
    for (size_t i = 0; i < margins.size(); ++i) {
      light_[place].word = 2 * static_cast<uint64_t>(margins[i]) | (classes[i] & 1);
      place += window_.has(margins[i]);
    }
    light_.pop_back();
    return {};
  }
  for (size_t i = 0; i < margins.size(); ++i) {
    if (!window_.has(margins[i])) continue;
    const double weight = is_weighted_ ? double{weights[i]} : 0;
    CHECK(weight <= weight_max_);
    const double share = weight_max_ > 0 ? weight / weight_max_ : 0;
    const double units = std::floor(share * kRankingUnits + 0.5);
    heavy_.push_back({.value = static_cast<uint64_t>(margins[i]),
                      .weight = is_weighted_ ? static_cast<uint32_t>(units) : 1,
                      .positive = classes[i] != 0});
  }
  return {};
}

Status RowsToRank::merge(const RowsToRank& other) {
  CHECK(is_weighted_ == other.is_weighted_ && weight_max_ == other.weight_max_);
  EVERGROVE_RETURN_IF_ERROR(ranked_.merge(other.ranked_));
  if (other.size() == 0) return {};
  EVERGROVE_RETURN_IF_ERROR(begin(other.size(), other.low_, other.high_, other.heavy_.empty()));
  light_.insert(light_.end(), other.light_.begin(), other.light_.end());
  heavy_.insert(heavy_.end(), other.heavy_.begin(), other.heavy_.end());
  return {};
}

template <typename Row>
Ranking RowsToRank::ranking_of(std::vector<Row> rows) const {
  Ranking ranking;
  ranking.is_weighted_ = is_weighted_;
  ranking.weight_max_ = weight_max_;
  if (rows.empty()) return ranking;
  for (Row& row : rows) row.lower_by(static_cast<uint64_t>(low_));
  {
    std::vector<Row> scratch;
    radix_sort(rows, scratch, std::bit_width(distance(low_, high_)),
               [](const Row& row) { return row.margin(); });
  }
  size_t distinct = 1;
  for (size_t i = 1; i < rows.size(); ++i) distinct += rows[i].margin() != rows[i - 1].margin();
  Ranking::Run run;
  run.groups.resize(distinct);
  run.weights.resize(is_weighted_ ? distinct : 0);
  size_t place = 0;
  for (size_t i = rows.size(); i > 0; ++place) {
    const uint64_t margin = rows[i - 1].margin();
    const size_t first = i;
    uint32_t positives = 0;
    // Labels are as good as random here: no branch may depend on them.
    uint64_t both = 0;
    uint64_t positive = 0;
    for (; i > 0 && rows[i - 1].margin() == margin; --i) {
      const Row& row = rows[i - 1];
      positives += row.is_positive();
      if constexpr (Row::kHasWeight) {
        both += row.weight;
        positive += uint64_t{row.weight} & -uint64_t{row.is_positive()};
      }
    }
    run.groups[place] = {.margin = static_cast<int64_t>(margin + static_cast<uint64_t>(low_)),
                         .positive_count = positives,
                         .negative_count = static_cast<uint32_t>(first - i) - positives};
    if (is_weighted_) run.weights[place] = {positive, both - positive};
  }
  ranking.take(std::move(run));
  return ranking;
}

Status RowsToRank::rank_gathered() {
  Ranking gathered = heavy_.empty() ? ranking_of(std::exchange(light_, {}))
                                    : ranking_of(std::exchange(heavy_, {}));
  return ranked_.merge(gathered);
}

Result<Ranking> RowsToRank::rank() && {
  EVERGROVE_RETURN_IF_ERROR(rank_gathered());
  return std::move(ranked_);
}

}  // namespace evergrove::train
