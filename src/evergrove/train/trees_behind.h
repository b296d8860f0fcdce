// TreesBehind: iterations that a trainer was told of and whose trees have not moved its margins
// yet, so that they do so many at a time, when margins are needed.
//
//   EVERGROVE_RETURN_IF_ERROR(behind.add(iteration, iteration_count, header));
//   if (behind.is_full()) ...   // move the margins by behind.iterations(), then clear()
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/forest_walk.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

class TreesBehind {
 public:
  // index: of the iteration that is to follow. Refuses another one, and trees that are not one an
  // output, in order, or do not fit the run's features, as corrupt.
  Status add(const Iteration& iteration, uint64_t index, const RunHeader& header);
  // More of them would be no quicker together.
  bool is_full() const { return ForestWalk::next_batch(iterations_).size() < iterations_.size(); }
  std::span<const std::vector<model::Tree>> iterations() const { return iterations_; }
  void clear() { iterations_.clear(); }

 private:
  std::vector<std::vector<model::Tree>> iterations_;
};

}  // namespace evergrove::train
