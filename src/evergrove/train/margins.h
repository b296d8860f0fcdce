// Margins: what a run keeps of every row of a data set beside its bins, and what follows from them:
// which rows an iteration samples, and what metrics are computed from. Shared by a run on one
// machine and by the rows of a worker.
//
// Output by output, for that is how trees move them: a leaf's rows are near one another, and not a
// cache line each as they would be row by row.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

class Margins {
 public:
  Margins() = default;
  // Of each row the base margins, one an output.
  Margins(std::span<const int64_t> base, size_t row_count);
  // Of all rows of some, in their order. Requires: all have as many outputs.
  static Margins join(std::span<const Margins* const> parts);
  // Of some consecutive rows.
  Margins slice(size_t first_row, size_t row_count) const;

  size_t row_count() const { return row_count_; }
  // Row by row.
  std::span<int64_t> of(size_t output) {
    return std::span(values_).subspan(output * row_count_, row_count_);
  }
  std::span<const int64_t> of(size_t output) const {
    return std::span(values_).subspan(output * row_count_, row_count_);
  }
  // Output by output.
  std::span<const int64_t> all() const { return values_; }

  // The same, for who keeps them elsewhere for a while: nothing else is asked for between the two.
  LargeVector<int64_t> take_values() { return std::move(values_); }
  void give_values(LargeVector<int64_t> values) { values_ = std::move(values); }

 private:
  size_t output_count_ = 0;
  size_t row_count_ = 0;
  LargeVector<int64_t> values_;
};

// The rows of an iteration's sample, ascending, by the hash of their place among all training rows;
// in_sample is set to 1 for them and to 0 for the others. Requires: parameters.subsample < 1.
std::vector<uint32_t> sample_rows(const Parameters& parameters, uint64_t iteration,
                                  const Dataset& data, std::vector<uint8_t>& in_sample);

// What metrics of these rows are computed from. Both outlive it.
MetricInput metric_input(const RunHeader& header, const Dataset& data,
                         std::span<const int64_t> margins);

}  // namespace evergrove::train
