// log_status(): how far a run is, from its log alone, whether anybody works on it or not.
//
// Reads the log without taking it: a coordinator that writes it is not disturbed. The log has no
// times; whoever looks twice knows the speed.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const LogStatus status, log_status("s3://bucket/run"));
//   std::string text = log_status_json(status);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"

namespace evergrove::runtime {

struct LogStatus {
  std::string log;     // without credentials
  uint64_t epoch = 0;  // of the newest coordinator; 0: the run has none
  bool is_finished = false;
  uint64_t iterations = 0, iterations_max = 0;
  uint64_t trees_an_iteration = 1;
  uint64_t best_iteration = 0;  // so far, from 1; 0: without early stopping
  uint64_t row_count = 0, feature_count = 0;
  uint64_t torn_bytes = 0;  // at its end, of a record that was never durable
  std::string label;
  std::string objective;
  std::vector<model::MetricValue> metrics;  // of the last iteration
};

// Reads a folder, file or URL; not_found if no run has begun there.
Result<LogStatus> log_status(const std::string& place);

// The keys of snapshot_json() that a log knows of, and log, objective, best_iteration, torn_bytes.
// `per_minute` is the speed in iterations, if it is known; 0: it is not.
std::string log_status_json(const LogStatus& status, double per_minute = 0);

}  // namespace evergrove::runtime
