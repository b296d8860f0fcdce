// RunSnapshot: what a run on several machines shows of itself, as of one moment.
//
// Made by the run's thread, never changed after that, and written by others: as JSON, for the
// status page and `evergrove status`, and as text for Prometheus (run_metrics_text.h).
// Names of workers and columns come from others and may hold any bytes; JSON has them as UTF-8.
//
//   RunSnapshot snapshot = snapshot_of(coordinator, now);
//   snapshot.label = "fraud";
//   std::string answer = snapshot_json(snapshot);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/model/model.h"
#include "evergrove/runtime/run_progress.h"

namespace evergrove::runtime {

struct RunSnapshot {
  bool is_prepared = false;  // false: the data is being described, and all below is empty
  cluster::CoordinatorStatus status;
  std::vector<cluster::ShardRows> shards;
  std::deque<cluster::RunEvent> events;
  std::deque<cluster::Loss> losses;
  cluster::RunCosts costs;
  cluster::Time now{0};  // of the times above
  uint64_t epoch = 0, rounds = 0;
  uint64_t iterations_max = 0, resumed_iterations = 0;
  uint64_t trees_an_iteration = 1;
  uint64_t row_count = 0, feature_count = 0;
  std::string label;
  std::vector<model::MetricValue> metrics;  // of the last iteration
  std::vector<ProgressPoint> progress;
  double iterations_per_minute = 0;
  double log_wait_seconds = 0;
  uint64_t received_bytes = 0, sent_bytes = 0;
  double started_unix_seconds = 0;

  double seconds() const { return double(now.count()) / 1000; }
  // If the run goes on as in the last minute; early stopping may end it sooner.
  std::optional<double> seconds_to_go() const;
};

// What the machine knows of a run that is prepared; the rest is its host's.
RunSnapshot snapshot_of(const cluster::Coordinator& machine, cluster::Time now);

enum class ShardState : uint8_t {
  missing,
  reading,
  held,     // by somebody who does not count it yet
  counted,  // by one member
};
const char* name_of(ShardState state);

struct ShardPlace {
  ShardState state = ShardState::missing;
  const std::string* worker = nullptr;  // who counts it, or the first to hold or read it
  uint64_t copies = 0;                  // in memory
};
// By the order of the shards.
std::vector<ShardPlace> shard_places(const RunSnapshot& snapshot);

// {"work_seconds": ..., "work_lost_seconds": ..., "recovery_seconds": ..., "losses": [...]}
nlohmann::ordered_json costs_json(const cluster::RunCosts& costs,
                                  const std::deque<cluster::Loss>& losses);
// docs/reference/status.md names the keys.
std::string snapshot_json(const RunSnapshot& snapshot);

}  // namespace evergrove::runtime
