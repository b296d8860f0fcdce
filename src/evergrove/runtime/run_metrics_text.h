// run_metrics_text(): a run's figures as Prometheus reads them (text format 0.0.4).
//
// Names keep to Prometheus' conventions: base units, _total for what only grows.
// docs/reference/status.md lists them. Names of workers are labels, with what must be escaped
// escaped; only workers that are here now have series of their own.
//
//   answer.body = run_metrics_text(snapshot, process_usage());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "evergrove/runtime/run_snapshot.h"

namespace evergrove::runtime {

// Of this process.
struct ProcessUsage {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;
};
ProcessUsage process_usage();

std::string run_metrics_text(const RunSnapshot& snapshot, const ProcessUsage& usage);

}  // namespace evergrove::runtime
