// PythonProgress: what a training run calls while Python waits for it without the GIL.
//
// Looks for signals and calls the Python function, but takes the GIL for that at most every 50 ms,
// unless every iteration is asked for. An exception that comes up (KeyboardInterrupt from Ctrl-C,
// or the function's own) is kept, the run is told to stop, and rethrow() lets it out again when
// the GIL is back. Used by one run; the run's thread calls step().
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <exception>
#include <utility>

#include "evergrove/runtime/training_run.h"

namespace evergrove::bindings {

class PythonProgress {
 public:
  // `function` is None or takes a dict and returns whether to go on.
  PythonProgress(nanobind::object function, bool every_iteration)
      : function_(std::move(function)), every_iteration_(every_iteration) {}

  // Returns false when the run should stop. Requires: the GIL is not held.
  bool step(const runtime::TrainingProgress& progress);

  // Throws what came up, if anything. Requires: the GIL is held.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  bool is_due(const runtime::TrainingProgress& progress);
  bool call(const runtime::TrainingProgress& progress) const;

  nanobind::object function_;
  bool every_iteration_;
  uint64_t iteration_seen_ = 0;
  std::chrono::steady_clock::time_point looked_at_{};
  std::exception_ptr error_;
};

}  // namespace evergrove::bindings
