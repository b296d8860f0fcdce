// Ranking: rows of a binary problem from the highest margin to the lowest, for the metrics that
// depend on order alone. Rows of equal margin form one group, so that the order of rows is all
// the same; counts are exact integers.
//
// Promise: rankings of parts of the rows, merged in any order, are the ranking of all rows; merging
// costs nothing, walking over what was merged does. Weights
// are integers in units of 2^-30 of the largest, so the parts must know the largest of all.
//
//   Ranking ranking(margins, classes, weights, /*weight_max=*/3);
//   EVERGROVE_RETURN_IF_ERROR(ranking.merge(of_another_shard));
//   double auc = ranking.auc();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"

namespace evergrove::train {

// Margins from low to high, both of them included.
struct MarginWindow {
  int64_t low = std::numeric_limits<int64_t>::min();
  int64_t high = std::numeric_limits<int64_t>::max();
  bool has(int64_t margin) const { return low <= margin && margin <= high; }
};

// Windows that are together all margins, from the highest to the lowest, of about rows_wanted rows
// each, as far as a sample of the rows' margins can tell (rows of one margin are never divided).
std::vector<MarginWindow> margin_windows(std::vector<int64_t> sample, uint64_t row_count,
                                         uint64_t rows_wanted);

// Rows that counts are made for.
inline constexpr uint64_t kRankedTogetherMax = std::numeric_limits<uint32_t>::max();
// Units of weight that the largest one has.
inline constexpr uint32_t kRankingUnits = 1 << 30;
// weight_max, or the largest of the weights where it is 0; 0 where there are none.
double largest_weight(std::span<const float> weights, double weight_max);

class Ranking {
 public:
  Ranking() = default;  // of no rows
  // weight_max: of all rows that will be merged; 0: of these.
  // Requires: as many margins as classes (0 or 1), fewer than 2^32; weights empty (all 1) or as
  // many, none above weight_max.
  Ranking(std::span<const int64_t> margins, std::span<const uint16_t> classes,
          std::span<const float> weights, double weight_max = 0);

  // Adds the rows of another ranking. Refuses one with other units of weight, and more than
  // 2^32 - 1 rows together; then nothing is added.
  Status merge(Ranking other);

  // As RankingWalk's of this ranking alone.
  double auc() const;
  double average_precision() const;
  double precision_at(uint64_t cutoff) const;
  double recall_at(uint64_t cutoff) const;

  // About 3 bytes a row where there are many.
  void encode(ByteWriter& out) const;
  static Result<Ranking> decode(ByteReader& in);

 private:
  friend class RankingWalk;
  friend class RowsToRank;
  // Rows of one margin.
  struct Group {
    int64_t margin;
    uint32_t positive_count;
    uint32_t negative_count;
  };
  struct GroupWeights {
    uint64_t positive = 0;
    uint64_t negative = 0;
  };
  // What was ranked together. Never changed, so that several rankings may have it.
  struct Run {
    std::vector<Group> groups;          // highest margin first
    std::vector<GroupWeights> weights;  // of each group; empty if each row's weight is 1
    GroupWeights weights_of(size_t i) const {
      if (!weights.empty()) return weights[i];
      return {groups[i].positive_count, groups[i].negative_count};
    }
  };
  void take(Run run);
  // Calls visit(group, its weights) from the highest margin to the lowest, rows of one margin
  // together, whichever runs they are in.
  template <typename Visit>
  void for_each_group(const Visit& visit) const;

  std::vector<std::shared_ptr<const Run>> runs_;  // none of them empty
  bool is_weighted_ = false;
  double weight_max_ = 0;
  uint64_t row_count_ = 0;
};

// What order says of rows that are ranked window by window, from the highest margins to the lowest:
// the same bits as of one ranking of all.
//
//   RankingWalk walk({100});
//   for (const MarginWindow& window : windows) walk.add(of_rows_in(window));
//   double auc = walk.auc();
class RankingWalk {
 public:
  // cutoffs: those that will be asked for.
  explicit RankingWalk(std::span<const uint64_t> cutoffs = {});
  // Requires: no margin above the lowest one that was added before.
  void add(const Ranking& lower);

  // Share of (positive, negative) pairs in which the positive has the higher margin, ties half.
  double auc() const;
  // Sum over thresholds of precision times the step in recall.
  double average_precision() const;
  // Positive rows among the cutoff rows with the highest margins, over the cutoff (or the number
  // of rows, if smaller), or over all positive rows. Rows are counted, not weighed.
  double precision_at(uint64_t cutoff) const;
  double recall_at(uint64_t cutoff) const;

 private:
  __extension__ using Uint128 = unsigned __int128;
  struct Cutoff {
    uint64_t rows;
    double hits = 0;
    bool is_passed = false;
  };
  double hits_at(uint64_t cutoff) const;

  Ranking::GroupWeights seen_;
  Uint128 lost_ = 0;  // twice the weight of pairs that the positive does not win
  double precisions_ = 0;
  uint64_t positive_count_ = 0;
  uint64_t row_count_ = 0;
  std::vector<Cutoff> cutoffs_;
};

}  // namespace evergrove::train
