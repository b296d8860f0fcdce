// When shards are placed: at once where workers are few, and together where they are many. Who
// holds what in the end, whoever comes and goes, is simulated.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/testing_runs.h"

namespace evergrove::cluster {
namespace {

// A coordinator, and workers that read what they are asked for when read() is called.
class Crowd {
 public:
  explicit Crowd(uint32_t shard_count, size_t joining_count = 0)
      : coordinator_({.epoch = 5, .joining_count = joining_count}, setup(), shards(shard_count),
                     {}) {}

  void join(const std::string& name) {
    hear(coordinator_.receive(name, {5, Join{name, "here", 1, {}}}, Time(0)));
  }
  void read_all() {
    for (auto& [name, wanted] : std::exchange(to_read_, {})) {
      hear(coordinator_.receive(name, {5, Loaded{wanted}}, Time(0)));
    }
  }
  void tick() { hear(coordinator_.tick(Time(0))); }
  void lose(const std::string& name) { hear(coordinator_.lost(name, Time(0))); }
  size_t to_read(const std::string& name) { return to_read_[name].size(); }
  bool has_view() const { return coordinator_.status().view > 0; }

  std::map<std::string, size_t> loads_said;  // by worker

 private:
  static std::vector<ShardRows> shards(uint32_t count) {
    std::vector<ShardRows> all;
    for (uint32_t id = 0; id < count; ++id) all.push_back({id, 10, 100});
    return all;
  }
  void hear(const std::vector<CoordinatorAction>& actions) {
    for (const CoordinatorAction& action : actions) {
      const auto* const tell = std::get_if<TellAction>(&action);
      const auto* const load = tell ? std::get_if<LoadShards>(&tell->message.body) : nullptr;
      if (load == nullptr) continue;
      ++loads_said[tell->worker];
      to_read_[tell->worker] = load->shards;
    }
  }

  Coordinator coordinator_;
  std::map<std::string, std::vector<uint32_t>> to_read_;
};

TEST(Placement, OfAFewWorkersIsAtOnce) {
  Crowd crowd(8);
  crowd.join("a");
  EXPECT_EQ(crowd.loads_said["a"], 1u);
  crowd.join("b");
  EXPECT_EQ(crowd.loads_said["b"], 1u);
  crowd.read_all();
  EXPECT_TRUE(crowd.has_view());
}

TEST(Placement, WaitsForWorkersThatAreAboutToJoin) {
  Crowd crowd(8, 2);
  crowd.tick();
  crowd.join("a");
  EXPECT_TRUE(crowd.loads_said.empty());
  crowd.join("b");
  EXPECT_EQ(crowd.to_read("a"), 4u);
  EXPECT_EQ(crowd.to_read("b"), 4u);
  crowd.read_all();
  EXPECT_TRUE(crowd.has_view());
}

TEST(Placement, WaitsNoLongerThanATickForThem) {
  Crowd crowd(8, 3);
  crowd.join("a");
  crowd.tick();
  EXPECT_EQ(crowd.to_read("a"), 8u);
  crowd.join("b");  // at once, now
  EXPECT_EQ(crowd.to_read("b"), 4u);
}

TEST(Placement, WaitsForNobodyWhereAWorkerIsLost) {
  Crowd crowd(8, 2);
  crowd.join("a");
  crowd.join("b");
  crowd.lose("b");
  EXPECT_EQ(crowd.to_read("a"), 8u);
}

TEST(Placement, OfManyWorkersIsTogetherAtATick) {
  constexpr size_t kWorkers = 100;
  Crowd crowd(400);
  for (size_t i = 0; i < kWorkers; ++i) crowd.join("w" + std::to_string(i));
  EXPECT_EQ(crowd.loads_said.count("w99"), 0u);
  crowd.tick();
  EXPECT_EQ(crowd.loads_said.size(), kWorkers);
  for (const auto& [name, count] : crowd.loads_said) EXPECT_LE(count, 18u) << name;
  crowd.read_all();
  EXPECT_FALSE(crowd.has_view());
  crowd.tick();
  EXPECT_TRUE(crowd.has_view());
}

TEST(Placement, IsAtOnceWhereSomebodyIsLost) {
  Crowd crowd(400);
  for (size_t i = 0; i < 100; ++i) crowd.join("w" + std::to_string(i));
  crowd.tick();
  crowd.read_all();
  crowd.tick();
  ASSERT_TRUE(crowd.has_view());
  crowd.loads_said.clear();
  crowd.lose("w7");
  EXPECT_FALSE(crowd.loads_said.empty());
}

}  // namespace
}  // namespace evergrove::cluster
