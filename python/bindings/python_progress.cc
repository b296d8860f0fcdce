// SPDX-License-Identifier: Apache-2.0
#include "python_progress.h"

#include "metrics_dict.h"

namespace nb = nanobind;

namespace evergrove::bindings {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(50);

}  // namespace

bool PythonProgress::step(const runtime::TrainingProgress& progress) {
  if (error_) return false;
  if (!is_due(progress)) return true;
  nb::gil_scoped_acquire acquire;
  try {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    return function_.is_none() || call(progress);
  } catch (...) {
    error_ = std::current_exception();
    return false;
  }
}

bool PythonProgress::is_due(const runtime::TrainingProgress& progress) {
  const bool is_new_iteration =
      progress.phase == "training" && progress.iteration != iteration_seen_;
  const auto now = std::chrono::steady_clock::now();
  const bool is_time = now - looked_at_ >= kInterval;
  const bool is_last = is_new_iteration && progress.iteration == progress.iteration_count;
  if (!is_time && !is_last && !(every_iteration_ && is_new_iteration)) return false;
  looked_at_ = now;
  iteration_seen_ = progress.iteration;
  return true;
}

bool PythonProgress::call(const runtime::TrainingProgress& progress) const {
  nb::dict step;
  step["phase"] = nb::str(progress.phase.data(), progress.phase.size());
  step["share"] = progress.share;
  step["iteration"] = progress.iteration;
  step["iteration_count"] = progress.iteration_count;
  step["trees_per_iteration"] = progress.trees_per_iteration;
  step["seconds"] = progress.seconds;
  step["metrics"] = nb::none();
  if (progress.metrics != nullptr) step["metrics"] = metrics_dict(*progress.metrics);
  return nb::cast<bool>(function_(step));
}

}  // namespace evergrove::bindings
