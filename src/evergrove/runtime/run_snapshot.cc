// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_snapshot.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace evergrove::runtime {
namespace {

using nlohmann::ordered_json;

double in_seconds(cluster::Time time) { return double(time.count()) / 1000; }

const char* state_of(const RunSnapshot& snapshot) {
  if (!snapshot.is_prepared) return "preparing";
  if (snapshot.status.is_finished) return "finished";
  if (snapshot.status.workers.empty() || snapshot.status.shards_missing > 0) return "waiting";
  return "training";
}

ordered_json workers_json(const RunSnapshot& snapshot) {
  std::unordered_map<uint32_t, uint64_t> rows_of;
  for (const cluster::ShardRows& shard : snapshot.shards) rows_of[shard.id] = shard.row_count;
  auto workers = ordered_json::array();
  for (const auto& worker : snapshot.status.workers) {
    uint64_t rows = 0;
    for (uint32_t id : worker.active) rows += rows_of[id];
    workers.push_back(
        {{"name", worker.name},
         {"address", worker.address},
         {"threads", worker.threads},
         {"shards_active", worker.shards_active},
         {"shards_held", worker.shards_held},
         {"shards_reading", worker.asked.size()},
         {"rows_active", rows},
         {"rows_per_second",
          worker.rows_a_second > 0 ? ordered_json(worker.rows_a_second) : ordered_json()},
         {"memory_bytes", worker.memory_bytes},
         {"memory_bytes_max", worker.memory_bytes_max == cluster::kNoMemoryLimit
                                  ? ordered_json()
                                  : ordered_json(worker.memory_bytes_max)},
         {"is_member", worker.is_member},
         {"is_leaving", worker.is_leaving},
         {"is_straggler", worker.is_straggler},
         {"silent_seconds", in_seconds(snapshot.now - worker.heard)}});
  }
  return workers;
}

ordered_json shards_json(const RunSnapshot& snapshot) {
  auto shards = ordered_json::array();
  const std::vector<ShardPlace> places = shard_places(snapshot);
  for (size_t i = 0; i < places.size(); ++i) {
    const ShardPlace& place = places[i];
    shards.push_back(
        {{"id", snapshot.shards[i].id},
         {"rows", snapshot.shards[i].row_count},
         {"state", name_of(place.state)},
         {"worker", place.worker == nullptr ? ordered_json() : ordered_json(*place.worker)},
         {"copies", place.copies}});
  }
  return shards;
}

ordered_json events_json(const RunSnapshot& snapshot) {
  auto events = ordered_json::array();
  for (const cluster::RunEvent& event : snapshot.events) {
    events.push_back({{"seconds", in_seconds(event.at)},
                      {"event", cluster::name_of(event.kind)},
                      {"worker", event.worker},
                      {"trees", event.iterations * snapshot.trees_an_iteration}});
  }
  return events;
}

ordered_json progress_json(const RunSnapshot& snapshot) {
  auto points = ordered_json::array();
  for (const ProgressPoint& point : snapshot.progress) {
    points.push_back({point.seconds, point.iterations * snapshot.trees_an_iteration});
  }
  return points;
}

}  // namespace

RunSnapshot snapshot_of(const cluster::Coordinator& machine, cluster::Time now) {
  const cluster::RunLedger& ledger = machine.ledger();
  RunSnapshot snapshot;
  snapshot.is_prepared = true;
  snapshot.now = now;
  snapshot.status = machine.status();
  snapshot.shards = machine.shards();
  snapshot.events = ledger.events();
  snapshot.losses = ledger.losses();
  snapshot.costs = ledger.costs(now);
  snapshot.rounds = machine.rounds();
  const auto iterations = machine.history().iterations();
  if (!iterations.empty()) snapshot.metrics = iterations.back().metrics;
  return snapshot;
}

std::optional<double> RunSnapshot::seconds_to_go() const {
  if (status.iterations >= iterations_max) return std::nullopt;
  if (iterations_per_minute <= 0) return std::nullopt;
  return double(iterations_max - status.iterations) / iterations_per_minute * 60;
}

const char* name_of(ShardState state) {
  switch (state) {
    case ShardState::missing:
      return "missing";
    case ShardState::reading:
      return "reading";
    case ShardState::held:
      return "held";
    case ShardState::counted:
      return "counted";
  }
  return "";
}

std::vector<ShardPlace> shard_places(const RunSnapshot& snapshot) {
  std::unordered_map<uint32_t, ShardPlace> by_id;
  for (const auto& worker : snapshot.status.workers) {
    const auto note = [&](const std::vector<uint32_t>& ids, ShardState state) {
      for (uint32_t id : ids) {
        ShardPlace& place = by_id[id];
        place.copies += state == ShardState::held;
        if (state <= place.state) continue;
        place.state = state;
        place.worker = &worker.name;
      }
    };
    note(worker.asked, ShardState::reading);
    note(worker.held, ShardState::held);
    note(worker.active, ShardState::counted);
  }
  std::vector<ShardPlace> places;
  for (const cluster::ShardRows& shard : snapshot.shards) places.push_back(by_id[shard.id]);
  return places;
}

ordered_json costs_json(const cluster::RunCosts& costs, const std::deque<cluster::Loss>& losses) {
  auto list = ordered_json::array();
  for (const cluster::Loss& loss : losses) {
    list.push_back({{"worker", loss.worker},
                    {"seconds", in_seconds(loss.at)},
                    {"members", loss.members},
                    {"rounds", loss.rounds},
                    {"dropped_seconds", in_seconds(loss.dropped)},
                    {"redone_seconds", in_seconds(loss.redone)},
                    {"standing_seconds", in_seconds(loss.standing)},
                    {"recovery_seconds", in_seconds(loss.recovery)},
                    {"is_made_good", loss.is_made_good}});
  }
  return {{"work_seconds", in_seconds(costs.work)},
          {"work_lost_seconds", in_seconds(costs.work_lost)},
          {"recovery_seconds", in_seconds(costs.recovery)},
          {"losses", std::move(list)}};
}

std::string snapshot_json(const RunSnapshot& snapshot) {
  const cluster::CoordinatorStatus& status = snapshot.status;
  const double trees = double(snapshot.trees_an_iteration);
  const std::optional<double> to_go = snapshot.seconds_to_go();
  auto metrics = ordered_json::object();
  for (const model::MetricValue& metric : snapshot.metrics) {
    metrics[metric.set][metric.name] =
        std::isfinite(metric.value) ? ordered_json(metric.value) : ordered_json();
  }
  ordered_json json = {{"state", state_of(snapshot)},
                       {"seconds", snapshot.seconds()},
                       {"epoch", snapshot.epoch},
                       {"label", snapshot.label},
                       {"rows", snapshot.row_count},
                       {"columns", snapshot.feature_count},
                       {"iterations", status.iterations},
                       {"iterations_max", snapshot.iterations_max},
                       {"resumed_iterations", snapshot.resumed_iterations},
                       {"trees", status.iterations * snapshot.trees_an_iteration},
                       {"trees_max", snapshot.iterations_max * snapshot.trees_an_iteration},
                       {"trees_per_minute", snapshot.iterations_per_minute * trees},
                       {"seconds_to_go", to_go ? ordered_json(*to_go) : ordered_json()},
                       {"metrics", std::move(metrics)},
                       {"view", status.view},
                       {"rounds", snapshot.rounds},
                       {"waits_for", status.waits_for},
                       {"joined", status.joined_count},
                       {"lost", status.lost_count},
                       {"left", status.left_count},
                       {"overtaken", status.overtaken_count},
                       {"shards_missing", status.shards_missing},
                       {"memory_bytes_missing", status.memory_bytes_missing},
                       {"sent_bytes", snapshot.sent_bytes},
                       {"received_bytes", snapshot.received_bytes},
                       {"log_wait_seconds", snapshot.log_wait_seconds}};
  json.update(costs_json(snapshot.costs, snapshot.losses));
  json["workers"] = workers_json(snapshot);
  json["shards"] = shards_json(snapshot);
  json["events"] = events_json(snapshot);
  json["progress"] = progress_json(snapshot);
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace evergrove::runtime
