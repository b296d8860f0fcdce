// RunPast: what a run goes on from, as records, and whether it may.
//
// A run that is resumed, or a finished model that is to get more trees, is a header and iterations
// that were decided before; the trainer replays them and cannot tell them from its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/run_record.h"

namespace evergrove::runtime {

struct RunPast {
  std::optional<train::RunHeader> header;  // none: the run starts afresh
  std::vector<train::Iteration> iterations;
};

// Checks that a logged run had the same data, columns and parameters as are asked for now; says
// which file, column or parameter differs. n_estimators and early_stopping_rounds may.
Status check_same_run(const train::RunHeader& logged, const train::DataSpec& spec,
                      const train::Parameters& parameters);

class RunLog;

// The past that a log holds; none if no run was begun in it. Refuses one with a run unless it is to
// be gone on with, and a run that is not the same. log_shown: the log's place, for messages.
Result<RunPast> past_of_log(RunLog& log, const std::string& log_shown, bool resume,
                            const train::DataSpec& spec, const train::Parameters& parameters);

// The past that a finished model stands for: its features, base margins and trees. Refuses other
// parameters or another label than the model was trained with.
Result<RunPast> past_of_model(const model::Model& model, const train::DataSpec& spec,
                              const train::Parameters& parameters);

// The past of a run that goes on from a model: the log's, and then what the model has beyond it.
// Refuses a log of a run that did not go on from this model.
Result<RunPast> joined_past(RunPast logged, RunPast of_model, const std::string& log_shown);

}  // namespace evergrove::runtime
