// Trainer: a training run as a state machine that only computes.
//
// It is given data that is binned already and steps from iteration to iteration; what a step
// decides is in the Iteration that next() returns, and replay() of the same Iteration brings
// another Trainer over the same rows to the same state. It knows no files, clocks or networks; one
// whose rows do not fit into memory (parked_trainer.h) has a scratch file that may fail.
// Threads are those of the TBB arena it is called in, and never alter a bit of the result.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto trainer, Trainer::create(header, std::move(data)));
//   for (const Iteration& logged : log) EVERGROVE_RETURN_IF_ERROR(trainer->replay(logged));
//   while (!trainer->finished()) {
//     EVERGROVE_ASSIGN_OR_RETURN(Iteration iteration, trainer->next());
//     log.append(iteration);
//   }
//   model::Model model = trainer->model();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "evergrove/train/dataset.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

class Trainer {
 public:
  // Requires: header.features are the binning of `data`; header.parameters are valid.
  // Refuses parameters that the data cannot satisfy (no validation set for early stopping, say).
  static Result<std::unique_ptr<Trainer>> create(RunHeader header, TrainingData data);
  virtual ~Trainer() = default;

  // True after n_estimators iterations, or when early stopping has decided, or when two
  // iterations in a row found nothing to split.
  virtual bool finished() const = 0;
  // Computes the next iteration and applies it. Requires: !finished(), and that nothing failed
  // before.
  virtual Result<Iteration> next() = 0;
  // Applies an iteration that was decided before. Refuses one that does not follow or whose trees
  // do not fit the header's features.
  virtual Status replay(const Iteration& iteration) = 0;

  virtual uint64_t row_count() const = 0;  // training rows
  virtual uint64_t iteration_count() const = 0;
  virtual const RunHeader& header() const = 0;
  // The iteration (1-based) that early stopping holds best; iteration_count() without it.
  virtual uint64_t best_iteration() const = 0;
  // The model of the iterations so far, up to the best one when early stopping is on.
  virtual model::Model model() const = 0;
  // The metrics on the training rows, of the model as model() gives it. Requires: finished(), or
  // best_iteration() is iteration_count(); nothing is trained or replayed afterwards.
  virtual Result<std::vector<model::MetricValue>> training_metrics() = 0;
};

}  // namespace evergrove::train
