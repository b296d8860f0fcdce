// ForestWalk: many trees at once over the bins of a matrix, to move the margins of rows that come
// to a run when much of it is decided (a shard's new owner, a run that goes back to its best
// iteration): rows are scored, which takes a fifth of the time of walking them tree by tree.
//
// Promise: margins move by what BinnedTree would move them by.
//
//   EVERGROVE_RETURN_IF_ERROR(
//       for_each_walk(iterations, header, [&](const ForestWalk& walk, auto /*batch*/) {
//         walk.add(data.bins, margins);
//       }));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/score/scorer.h"
#include "evergrove/train/margins.h"
#include "evergrove/train/run_record.h"
#include "evergrove/trees/binned_tree.h"

namespace evergrove::train {

// Refuses a tree that does not fit the run's features or outputs, as corrupt.
Result<trees::BinnedTree> binned_tree(const model::Tree& tree, const RunHeader& header);

class ForestWalk {
 public:
  static constexpr size_t kTreesMin = 8;  // fewer are walked one by one
  static constexpr size_t kTreesMax = 512;
  static constexpr size_t kNodesMax = size_t{1} << 16;

  // Those of the iterations that go together from the first one on: at least one, if there is any.
  static std::span<const std::vector<model::Tree>> next_batch(
      std::span<const std::vector<model::Tree>> iterations);

  // Refuses trees that do not fit the run's features or outputs, as corrupt.
  static Result<ForestWalk> make(std::span<const std::vector<model::Tree>> iterations,
                                 const RunHeader& header);

  // Adds the values of each row's leaves to its margins, for all rows of the matrix. In parallel.
  // Requires: the rows are built; their bins are of the run's features.
  void add(const bins::BinMatrix& bins, Margins& margins) const;

 private:
  ForestWalk() = default;
  void lay_out(const model::Model& model);
  void score(const bins::BinMatrix& bins, Margins& margins) const;

  // A value that scoring takes for what is in the bin, by bin: a number, a category's code.
  struct Values {
    size_t feature;
    std::vector<double> numbers;
    std::vector<int32_t> codes;
    std::vector<std::string> dictionary;
  };

  struct OneTree {
    uint32_t output;
    trees::BinnedTree tree;
  };
  std::vector<OneTree> few_;
  // Or:
  std::optional<score::Scorer> scorer_;
  size_t feature_count_ = 0;
  std::vector<Values> values_;  // of features that are split on
};

// Calls visit(walk, the iterations in it) of a batch of the iterations after the other. Refuses
// trees that do not fit, when those of batches before were visited.
template <typename Visit>
Status for_each_walk(std::span<const std::vector<model::Tree>> iterations, const RunHeader& header,
                     const Visit& visit) {
  while (!iterations.empty()) {
    const auto batch = ForestWalk::next_batch(iterations);
    EVERGROVE_ASSIGN_OR_RETURN(const ForestWalk walk, ForestWalk::make(batch, header));
    visit(walk, batch);
    iterations = iterations.subspan(batch.size());
  }
  return {};
}

}  // namespace evergrove::train
