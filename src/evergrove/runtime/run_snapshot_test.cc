// A run's snapshot as JSON and as Prometheus' text. That a real parser reads the latter is shown in
// tests/process/test_status_page.py.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_snapshot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "evergrove/runtime/run_metrics_text.h"

namespace evergrove::runtime {
namespace {

using cluster::RunEvent;
using nlohmann::json;

cluster::CoordinatorStatus::WorkerStatus worker(std::string name, std::vector<uint32_t> active,
                                                std::vector<uint32_t> held,
                                                std::vector<uint32_t> asked = {}) {
  cluster::CoordinatorStatus::WorkerStatus worker;
  worker.name = std::move(name);
  worker.address = "10.0.0.8:7071";
  worker.threads = 4;
  worker.shards_held = held.size();
  worker.shards_active = active.size();
  worker.is_member = !active.empty();
  worker.held = std::move(held);
  worker.active = std::move(active);
  worker.asked = std::move(asked);
  return worker;
}

// Shard 0 is counted by a and held by b too, 1 is counted by b, 2 is being read, 3 is nobody's.
RunSnapshot snapshot() {
  RunSnapshot snapshot;
  snapshot.is_prepared = true;
  snapshot.shards = {{0, 100}, {1, 50}, {2, 70}, {3, 7}};
  snapshot.status.workers = {worker("a", {0}, {0}), worker("b", {1}, {0, 1}, {2})};
  snapshot.status.workers[0].rows_a_second = 2e6;
  snapshot.status.workers[0].memory_bytes = 3000;
  snapshot.status.workers[0].memory_bytes_max = 5000;
  snapshot.status.iterations = 30;
  snapshot.status.lost_count = 1;
  snapshot.status.shards_missing = 2;
  snapshot.iterations_max = 90;
  snapshot.trees_an_iteration = 3;
  snapshot.iterations_per_minute = 120;
  snapshot.now = cluster::Time{20'500};
  snapshot.row_count = 227;
  snapshot.metrics = {{"valid", "auc", 0.75}, {"valid", "log_loss", std::nan("")}};
  snapshot.events = {{cluster::Time{1'500}, RunEvent::lost, "c", 7}};
  snapshot.losses.push_back({.worker = "c", .at = cluster::Time{1'500}, .members = 3});
  snapshot.costs = {cluster::Time{60'000}, cluster::Time{250}, cluster::Time{1'000}};
  return snapshot;
}

TEST(RunSnapshot, SaysHowEachShardIsHeld) {
  const RunSnapshot run = snapshot();
  const std::vector<ShardPlace> places = shard_places(run);
  ASSERT_EQ(places.size(), 4u);
  EXPECT_EQ(places[0].state, ShardState::counted);
  EXPECT_EQ(*places[0].worker, "a");
  EXPECT_EQ(places[0].copies, 2u);
  EXPECT_EQ(*places[1].worker, "b");
  EXPECT_EQ(places[2].state, ShardState::reading);
  EXPECT_EQ(*places[2].worker, "b");
  EXPECT_EQ(places[3].state, ShardState::missing);
  EXPECT_EQ(places[3].worker, nullptr);
}

TEST(RunSnapshot, JsonHasTheRunInTreesAndSeconds) {
  const json status = json::parse(snapshot_json(snapshot()));
  EXPECT_EQ(status["state"], "waiting");
  EXPECT_EQ(status["trees"], 90);
  EXPECT_EQ(status["trees_max"], 270);
  EXPECT_EQ(status["trees_per_minute"], 360);
  EXPECT_EQ(status["seconds_to_go"], 30);
  EXPECT_EQ(status["metrics"]["valid"]["auc"], 0.75);
  EXPECT_TRUE(status["metrics"]["valid"]["log_loss"].is_null());
  EXPECT_EQ(status["work_lost_seconds"], 0.25);
  EXPECT_EQ(status["losses"][0]["worker"], "c");
  EXPECT_EQ(status["events"][0]["event"], "lost");
  EXPECT_EQ(status["events"][0]["trees"], 21u);
  EXPECT_EQ(status["workers"][1]["rows_active"], 50);
  EXPECT_EQ(status["workers"][1]["shards_reading"], 1);
  EXPECT_EQ(status["workers"][0]["rows_per_second"], 2e6);
  EXPECT_TRUE(status["workers"][1]["rows_per_second"].is_null());
  EXPECT_EQ(status["workers"][0]["memory_bytes"], 3000);
  EXPECT_EQ(status["workers"][0]["memory_bytes_max"], 5000);
  EXPECT_TRUE(status["workers"][1]["memory_bytes_max"].is_null());  // as much as there is
  EXPECT_EQ(status["shards"][3]["state"], "missing");
  EXPECT_TRUE(status["shards"][3]["worker"].is_null());
}

TEST(RunSnapshot, BeforeTheDataIsDescribedItIsEmptyAndValid) {
  const json status = json::parse(snapshot_json({}));
  EXPECT_EQ(status["state"], "preparing");
  EXPECT_TRUE(status["seconds_to_go"].is_null());
  EXPECT_TRUE(status["workers"].empty());
  EXPECT_TRUE(status["shards"].is_array());
  EXPECT_NE(run_metrics_text({}, {}).find("evergrove_prepared 0\n"), std::string::npos);
}

TEST(RunSnapshot, KnowsNoTimeToGoWhileNothingIsDoneOrAllIs) {
  RunSnapshot run = snapshot();
  run.iterations_per_minute = 0;
  EXPECT_FALSE(run.seconds_to_go());
  run = snapshot();
  run.status.iterations = 95;  // a log may have more than is asked for now
  EXPECT_FALSE(run.seconds_to_go());
}

TEST(RunSnapshot, NamesMayHoldAnyBytes) {
  RunSnapshot run = snapshot();
  run.status.workers[0].name = "a\"\\\n</script>\xff\xc3";
  run.events[0].worker = run.status.workers[0].name;
  const json status = json::parse(snapshot_json(run), nullptr, false);
  ASSERT_FALSE(status.is_discarded());
  const std::string text = run_metrics_text(run, {});
  EXPECT_NE(text.find("{worker=\"a\\\"\\\\\\n</script>??\"}"), std::string::npos) << text;
}

TEST(RunMetricsText, HasTheFiguresByState) {
  const std::string text = run_metrics_text(snapshot(), {.cpu_seconds = 1.5});
  for (const char* line :
       {"# TYPE evergrove_trees_total counter\n", "\nevergrove_trees_total 90\n",
        "\nevergrove_trees_wanted 270\n", "\nevergrove_workers{state=\"member\"} 2\n",
        "\nevergrove_worker_lost_total 1\n", "\nevergrove_shards{state=\"counted\"} 2\n",
        "\nevergrove_shards{state=\"reading\"} 1\n", "\nevergrove_shards{state=\"missing\"} 1\n",
        "\nevergrove_worker_shards{worker=\"b\"} 1\n",
        "\nevergrove_worker_rows_per_second{worker=\"a\"} 2e+06\n",
        "\nevergrove_work_lost_seconds_total 0.25\n",
        "\nevergrove_validation_metric{set=\"valid\",metric=\"auc\"} 0.75\n",
        "\nevergrove_validation_metric{set=\"valid\",metric=\"log_loss\"} NaN\n",
        "\nprocess_cpu_seconds_total 1.5\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
  }
  EXPECT_EQ(text.back(), '\n');
}

TEST(ProcessUsage, IsThatOfThisProcess) {
  EXPECT_GT(process_usage().resident_bytes, 1u << 20);
  EXPECT_GE(process_usage().cpu_seconds, 0);
}

}  // namespace
}  // namespace evergrove::runtime
