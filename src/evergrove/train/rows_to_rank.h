// RowsToRank: rows of a binary problem, gathered from parts in any order, to be ranked together.
//
// Ranking each part and merging the rankings moves every row as often as there are parts; here a
// row is a word until all are there. What is gathered is ranked in between where it would be more
// than rows_max rows: memory is that of so many, or of as many as there are distinct margins.
//
//   RowsToRank rows(/*is_weighted=*/false, 0, window, 1 << 20);
//   for (...) EVERGROVE_RETURN_IF_ERROR(rows.add(margins, classes, {}));
//   EVERGROVE_ASSIGN_OR_RETURN(const Ranking ranking, std::move(rows).rank());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/ranking.h"

namespace evergrove::train {

class RowsToRank {
 public:
  // weight_max: of all rows that will be ranked together, here and in rankings that are merged with
  // this one. Rows of other margins than those of the window are left out.
  RowsToRank(bool is_weighted, double weight_max, const MarginWindow& window,
             uint64_t rows_max = std::numeric_limits<uint64_t>::max());

  // Requires: as many margins as classes (0 or 1), and as many weights, none above weight_max, if
  // rows are weighted; else none. Refuses more than 2^32 - 1 rows together, as the others do.
  Status add(std::span<const int64_t> margins, std::span<const uint16_t> classes,
             std::span<const float> weights);
  // Requires: the other one's rows are of the same weight_max and window.
  Status merge(const RowsToRank& other);
  // One for some of these rows, to be gathered elsewhere and merged.
  RowsToRank part() const { return {is_weighted_, weight_max_, window_}; }

  Result<Ranking> rank() &&;

 private:
  // Without weights a row fits into one word, which makes the sort twice as fast. Margins are told
  // modulo 2^63 or 2^64, from 0 until they are ranked, and then from the lowest one.
  struct LightRow {
    static constexpr bool kHasWeight = false;
    uint64_t word;  // twice the margin, and the class
    uint64_t margin() const { return word >> 1; }
    bool is_positive() const { return (word & 1) != 0; }
    void lower_by(uint64_t low) { word -= 2 * low; }
  };
  struct HeavyRow {
    static constexpr bool kHasWeight = true;
    uint64_t value;
    uint32_t weight;
    bool positive;
    uint64_t margin() const { return value; }
    bool is_positive() const { return positive; }
    void lower_by(uint64_t low) { value -= low; }
  };

  uint64_t size() const { return light_.size() + heavy_.size(); }
  Status begin(uint64_t row_count, int64_t low, int64_t high, bool is_light);
  template <typename Row>
  Ranking ranking_of(std::vector<Row> rows) const;
  Status rank_gathered();

  bool is_weighted_;
  double weight_max_;
  MarginWindow window_;
  uint64_t rows_max_;
  int64_t low_ = 0, high_ = 0;  // of what is gathered: light rows, or heavy ones
  std::vector<LightRow> light_;
  std::vector<HeavyRow> heavy_;
  Ranking ranked_;
};

}  // namespace evergrove::train
