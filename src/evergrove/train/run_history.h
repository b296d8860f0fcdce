// RunHistory: what a run has decided so far, and what follows from that alone: whether it is over,
// which iteration is best, and the model.
//
// It has no rows, so a coordinator that holds none keeps the same one as a run on one machine.
//
//   RunHistory history(header);
//   while (!history.finished()) history.keep(next_iteration());
//   model::Model model = history.model();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evergrove/train/run_record.h"
#include "evergrove/trees/growth_options.h"

namespace evergrove::train {

struct EarlyStopping;

// What the parameters mean for the growth of a tree.
trees::GrowthOptions growth_options(const RunHeader& header);

// Refuses parameters that a run cannot have: invalid ones, metrics that its objective does not
// have, early stopping without a validation set to watch.
Status check_run(const Parameters& parameters, bool has_validation);

class RunHistory {
 public:
  explicit RunHistory(const RunHeader& header);

  // Requires: the iteration follows those that were kept.
  void keep(Iteration iteration);
  std::span<const Iteration> iterations() const { return iterations_; }
  // The metrics of each iteration, in order; the objective's own if none were chosen.
  std::span<const std::string> metric_names() const { return metric_names_; }

  // True after n_estimators iterations, or when early stopping has decided, or when two
  // iterations in a row found nothing to split.
  bool finished() const;
  // Whether an iteration's metrics are of this run's sets and names. A model that gets more trees
  // may have been evaluated on others.
  bool has_metrics_of_now(const Iteration& iteration) const;
  // The iteration (1-based) that early stopping holds best; all of them without it.
  uint64_t best_iteration() const;
  // The model up to the best iteration.
  model::Model model() const;

 private:
  EarlyStopping stopping() const;

  RunHeader header_;
  std::vector<std::string> metric_names_;
  std::vector<Iteration> iterations_;
  size_t fruitless_count_ = 0;
};

}  // namespace evergrove::train
