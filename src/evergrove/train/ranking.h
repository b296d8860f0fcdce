// Ranking: rows of a binary problem from the highest margin to the lowest, for the metrics that
// depend on order alone. Rows of equal margin form one group, so that the order of rows is all
// the same; counts are exact integers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace evergrove::train {

class Ranking {
 public:
  // Requires: as many margins as classes (0 or 1); weights empty or as many.
  Ranking(std::span<const int64_t> margins, std::span<const uint16_t> classes,
          std::span<const float> weights);

  // Share of (positive, negative) pairs in which the positive has the higher margin, ties half.
  double auc() const;
  // Sum over thresholds of precision times the step in recall.
  double average_precision() const;
  // Positive rows among the cutoff rows with the highest margins, over the cutoff (or the number
  // of rows, if smaller), or over all positive rows. Rows are counted, not weighed.
  double precision_at(uint64_t cutoff) const;
  double recall_at(uint64_t cutoff) const;

 private:
  // Rows of one margin. Weights are in units of 2^-30 of the largest, or 1 each without weights.
  struct Group {
    uint64_t positive_weight = 0;
    uint64_t negative_weight = 0;
    uint32_t positive_count = 0;
    uint32_t row_count = 0;
  };
  template <typename Item>
  void make_groups(const std::vector<Item>& ascending);
  double hits_at(uint64_t cutoff) const;

  std::vector<Group> groups_;  // highest margin first
  uint64_t positive_weight_ = 0;
  uint64_t negative_weight_ = 0;
  uint64_t positive_count_ = 0;
  uint64_t row_count_ = 0;
};

}  // namespace evergrove::train
