// Cuts: the values at which a numeric column is split into bins, from a sample of its values.
//
// Promise: a function of the multiset of sampled values alone. A row is in the sample when
// hash(seed, row id) is below a threshold that aims at kSampleRows rows (all rows when there are
// no more), so the sample is the same however rows are cut into blocks, files or shards.
//
//   RowSample sample(seed, row_count);
//   for (...) if (sample.has(row_id)) values.push_back(x);
//   std::vector<double> cuts = make_cuts(std::move(values), /*bins_max=*/255);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "evergrove/base/hash.h"

namespace evergrove::bins {

class RowSample {
 public:
  static constexpr uint64_t kSampleRows = 1 << 18;

  RowSample(uint64_t seed, uint64_t row_count)
      : key_(seed, "cut sample"),
        all_(row_count <= kSampleRows),
        threshold_(hash_threshold(double(kSampleRows) / double(row_count + 1))) {}

  bool has(uint64_t row_id) const { return all_ || key_.at(row_id) < threshold_; }

 private:
  RandomKey key_;
  bool all_;
  uint64_t threshold_;
};

// Returns strictly ascending cuts that make at most bins_max bins of the values, NaN left out: a
// bin a distinct value when there are few, else bins of about equal count, finer at both ends, with
// values that would fill a bin alone in a bin of their own. A cut lies half-way between two
// neighbouring values.
// zeros: so many more values are 0, which most of a sparse column are.
// Requires: bins_max >= 2.
std::vector<double> make_cuts(std::vector<double> values, uint32_t bins_max, uint64_t zeros = 0);

}  // namespace evergrove::bins
