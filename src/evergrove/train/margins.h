// Margins: what a run keeps of every row of a data set beside its bins, row by row and in each
// output by output, and what follows from them: which rows an iteration samples, and what metrics
// are computed from. Shared by a run on one machine and by the rows of a worker.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/train/dataset.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

// The margins before the first tree.
std::vector<int64_t> base_margins(const RunHeader& header, size_t row_count);

// The rows of an iteration's sample, ascending, by the hash of their place among all training rows;
// in_sample is set to 1 for them and to 0 for the others. Requires: parameters.subsample < 1.
std::vector<uint32_t> sample_rows(const Parameters& parameters, uint64_t iteration,
                                  const Dataset& data, std::vector<uint8_t>& in_sample);

// What metrics of these rows are computed from. Both outlive it.
MetricInput metric_input(const RunHeader& header, const Dataset& data,
                         std::span<const int64_t> margins);

}  // namespace evergrove::train
