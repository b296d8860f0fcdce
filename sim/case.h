// Case: a scenario of tests/cases: data, settings, workers, what befalls them, what must come of
// it.
//
// The same file runs here and with real processes (tests/process/test_cases.py);
// docs/reference/cases.md has the format. A file that is wrong is refused with the key and line.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const Case scenario, read_case(text, "lose_one.toml"));
//   Outcome outcome = Simulation(scenario, seed).run();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/cluster/coordinator.h"
#include "sim/problem.h"

namespace evergrove::sim {

enum class Deed : uint8_t {
  add_worker,
  kill_worker,
  stop_worker,
  drain_worker,
  cut_worker,
  kill_coordinator,
  stop_coordinator,
  second_coordinator,
  slow_log,
};
std::string_view name_of(Deed deed);

struct CaseWorker {
  uint32_t threads = 1;
  double memory = 0;  // share of what all rows take; 0: no limit
};

// Events happen in their order, each when so many iterations are in the log, and not before all
// workers that are there take part, with rows; stopped ones and those that leave aside.
struct CaseEvent {
  Deed deed = Deed::add_worker;
  uint64_t iteration = 0;
  cluster::Time after{0};  // since the event before
  cluster::Time lasts{0};
  size_t worker = 0;  // its place in the order of starting
  CaseWorker added;
  bool is_deaf = false, is_mute = false;  // cut: neither is both
  bool is_simulated = true;               // else with processes only
};

struct Case {
  std::string about;
  Problem problem;
  std::vector<CaseWorker> workers;  // at the start
  std::vector<CaseEvent> events;
  // What must come of it beside the digest of one machine. Counts are the last coordinator's.
  std::optional<uint64_t> joined, lost, left, overtaken;
  std::optional<cluster::Time> ended_by;  // in simulated time
  bool stops_early = false;
};

Result<Case> read_case(std::string_view text, std::string_view name);

}  // namespace evergrove::sim
