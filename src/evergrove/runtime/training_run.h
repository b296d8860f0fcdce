// train(): one whole run on this machine: prepare, log, resume, train, write the model.
//
// This is what `evergrove train` and evergrove.train() both call. Everything is durable in the
// order in which it matters: a record before the next one is written, the log before the model,
// the model file beside its place and renamed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/memory_plan.h"

namespace evergrove::runtime {

struct TrainingProgress {
  std::string_view phase;  // "reading", "binning", "replaying", "training", "writing"
  double share = 0;        // of the phase, 0 to 1
  uint64_t iteration = 0;  // training: iterations done, of iteration_count at most
  uint64_t iteration_count = 0;
  uint64_t trees_per_iteration = 1;
  const std::vector<model::MetricValue>* metrics = nullptr;  // of the newest iteration, or null
  double seconds = 0;                                        // since the start
};

struct TrainingRequest {
  train::DataSpec data;
  train::Parameters parameters;
  int threads = 0;                            // 0: all cores
  std::string log_folder;                     // or a URL; empty: no log
  bool resume = false;                        // go on from the log if there is one
  std::string model_path;                     // empty: no file is written
  std::optional<model::Model> continue_from;  // a finished model to add iterations to
  // What the process may take (train/memory_plan.h): a promise, or the run is refused; 0: what the
  // machine, the control group and the process's own limits leave. Where rows do not fit, they pass
  // by from a file in cache_folder (empty: TMPDIR, or /var/tmp).
  uint64_t memory_bytes = 0;
  std::string cache_folder;
  // Called after each step; returning false stops the run: the record at hand is finished and the
  // status is interrupted. May be empty. Called from the thread that called train().
  std::function<bool(const TrainingProgress&)> progress;
};

struct TrainingReport {
  model::Model model;
  std::string digest;
  std::vector<model::MetricValue> metrics;  // at the best iteration
  double seconds_read = 0;
  double seconds_bins = 0;
  double seconds_train = 0;
  double seconds_log = 0;  // the part of seconds_train spent waiting for the log
  double seconds_total = 0;
  uint64_t peak_rss_bytes = 0;
  uint64_t row_count = 0;  // training rows
  uint64_t feature_count = 0;
  uint64_t resumed_iterations = 0;  // taken from the log or from continue_from
  train::MemoryPlan memory;
  std::vector<std::string> notes;  // what the user should know, a sentence each
};

Result<TrainingReport> train(const TrainingRequest& request);

// What train() would need in memory, and how it would go about it. Reads the data once, as far as
// the plan depends on it; looks at no log.
Result<train::MemoryPlan> explain_memory(const TrainingRequest& request);

}  // namespace evergrove::runtime
