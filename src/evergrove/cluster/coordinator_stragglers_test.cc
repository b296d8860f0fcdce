// Members that are not heard are overtaken, and spare copies are kept; whole runs of it are
// simulated.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/testing_runs.h"

namespace evergrove::cluster {
namespace {

// A run whose rounds need facts only, for its trees are known; two shards each.
class Rounds {
 public:
  explicit Rounds(size_t workers, CoordinatorOptions options = {.epoch = 5}) {
    RunSetup run = setup();
    run.header.valid_names = {"valid"};
    run.header.parameters.metrics = {"log_loss"};
    run.header.parameters.n_estimators = 1000;
    run.weight_max_by_set = {1};
    std::vector<ShardRows> shards;
    for (uint32_t id = 0; id < 2 * workers; ++id) shards.push_back({id, 10, 100});
    std::vector<train::Iteration> past(900);
    for (size_t i = 0; i < past.size(); ++i) {
      past[i].index = i;
      past[i].trees.resize(1);
      past[i].trees[0].nodes.resize(3);  // of one node, the run would soon be over
    }
    one = std::make_unique<Coordinator>(options, run, shards, past);
    for (size_t i = 0; i < workers; ++i) {
      names.push_back("w" + std::to_string(i));
      hear(one->receive(names[i], {5, Join{names[i], "here", 1, {}}}, now));
    }
    for (const std::string& name : names) read(name);
  }
  void hear(const std::vector<CoordinatorAction>& actions) {
    for (const CoordinatorAction& action : actions) {
      const auto* tell = std::get_if<TellAction>(&action);
      if (tell == nullptr) continue;
      if (const auto* next = std::get_if<NextRound>(&tell->message.body)) {
        view = next->view;
        round = next->round.number;
      } else if (const auto* plan = std::get_if<Plan>(&tell->message.body)) {
        view = plan->view.number;
        if (!plan->rounds.empty()) round = plan->rounds.back().number;
      } else if (const auto* load = std::get_if<LoadShards>(&tell->message.body)) {
        to_read[tell->worker] = load->shards;
      } else if (std::holds_alternative<Rejoin>(tell->message.body)) {
        asked_to_join.insert(tell->worker);
      }
    }
  }
  void answer(const std::string& name) {
    const std::vector<train::MetricSummary> metrics = {training_summary()};
    hear(one->receive(name, {5, Facts{view, round, 0, {}, metrics}}, now));
  }
  void read(const std::string& name) {
    hear(one->receive(name, {5, Loaded{std::exchange(to_read[name], {})}}, now));
  }
  void do_rounds(int count) {
    for (int i = 0; i < count; ++i) {
      now += Time(10);
      for (const std::string& name : names) answer(name);
    }
  }
  // All but some are heard for so long.
  void wait(Time time, const std::set<std::string>& silent) {
    for (const Time until = now + time; now < until;) {
      now += Time(100);
      for (const std::string& name : names) {
        if (!silent.contains(name)) hear(one->receive(name, {5, Heartbeat{view, round, 0}}, now));
      }
      hear(one->tick(now));
    }
  }
  CoordinatorStatus status() const { return one->status(); }

  std::unique_ptr<Coordinator> one;
  std::vector<std::string> names;
  std::map<std::string, std::vector<uint32_t>> to_read;
  std::set<std::string> asked_to_join;
  uint64_t view = 0, round = 0;
  Time now{0};
};

TEST(Coordinator, GoesOnWithoutWhoIsNotHeardOnceOthersHaveItsRows) {
  Rounds rounds(3);
  rounds.do_rounds(20);
  ASSERT_EQ(rounds.status().iterations, 20u);
  rounds.answer("w0");
  rounds.answer("w1");
  rounds.wait(Time(1400), {"w2"});
  EXPECT_TRUE(rounds.to_read["w0"].empty()) << "it is too early to say";
  rounds.wait(Time(300), {"w2"});
  ASSERT_EQ(rounds.to_read["w0"].size() + rounds.to_read["w1"].size(), 2u);
  EXPECT_EQ(rounds.status().overtaken_count, 0u);
  const uint64_t view = rounds.view;
  rounds.read("w0");
  EXPECT_EQ(rounds.view, view);
  rounds.read("w1");
  EXPECT_EQ(rounds.view, view + 1);
  EXPECT_EQ(rounds.status().overtaken_count, 1u);
  EXPECT_EQ(rounds.status().lost_count, 0u);
  EXPECT_TRUE(rounds.asked_to_join.contains("w2"));
  rounds.answer("w0");
  rounds.answer("w1");
  EXPECT_EQ(rounds.status().iterations, 21u);
}

TEST(Coordinator, SaysHowManyMembersItWaitsFor) {
  Rounds rounds(3);
  rounds.do_rounds(5);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(rounds.one->awaited_members(), 3u);
    rounds.answer("w1");
    EXPECT_EQ(rounds.one->awaited_members(), 2u);
    rounds.answer("w1");  // once more
    EXPECT_EQ(rounds.one->awaited_members(), 2u);
    rounds.answer("w0");
    EXPECT_EQ(rounds.one->awaited_members(), 1u);
    rounds.answer("w2");
  }
}

TEST(Coordinator, CountsAsLostWhoWasOvertakenAndDoesNotComeBack) {
  for (const bool comes_back : {true, false}) {
    Rounds rounds(3);
    rounds.do_rounds(20);
    for (const char* name : {"w0", "w1"}) rounds.answer(name);
    rounds.wait(Time(1700), {"w2"});
    for (const char* name : {"w0", "w1"}) rounds.read(name);
    ASSERT_EQ(rounds.status().overtaken_count, 1u);
    if (comes_back) {
      rounds.hear(rounds.one->receive("w2", {5, Join{"w2", "here", 1, {}}}, rounds.now));
    }
    rounds.wait(Time(9000), {"w2"});
    EXPECT_EQ(rounds.status().lost_count, comes_back ? 0u : 1u);
    EXPECT_EQ(rounds.status().joined_count, 3u);
    EXPECT_EQ(rounds.status().workers.size(), comes_back ? 3u : 2u);
  }
}

TEST(Coordinator, TakesTheAnswerOfAStragglerThatIsFirstAfterAll) {
  // Not by the longest round, which is the one that it is late in.
  Rounds rounds(3, {.epoch = 5, .straggler_rounds = 0});
  rounds.do_rounds(20);
  rounds.answer("w0");
  rounds.answer("w1");
  rounds.wait(Time(1700), {"w2"});
  const uint64_t view = rounds.view;
  rounds.answer("w2");
  EXPECT_EQ(rounds.status().iterations, 21u);
  rounds.read("w0");
  rounds.read("w1");
  EXPECT_EQ(rounds.status().overtaken_count, 0u);
  EXPECT_EQ(rounds.view, view) << "nobody need change places for it";
  // It is given twice as long the next time.
  rounds.answer("w0");
  rounds.answer("w1");
  rounds.wait(Time(2900), {"w2"});
  EXPECT_EQ(rounds.status().overtaken_count, 0u);
  rounds.wait(Time(300), {"w2"});
  EXPECT_EQ(rounds.status().overtaken_count, 1u);
}

TEST(Coordinator, OvertakesNobodyWhereMostAreSilentOrNothingIsKnown) {
  Rounds rounds(3);
  rounds.do_rounds(20);
  rounds.answer("w0");
  rounds.wait(Time(5000), {"w1", "w2"});
  EXPECT_TRUE(rounds.to_read["w0"].empty()) << "the network is to blame";
  Rounds early(3);
  early.do_rounds(3);
  early.answer("w0");
  early.answer("w1");
  early.wait(Time(5000), {"w2"});
  EXPECT_TRUE(early.to_read["w0"].empty()) << "it is not known how long a round takes";
}

TEST(Coordinator, KeepsSpareCopiesThatAreAskedFor) {
  Rounds rounds(3, {.epoch = 5, .replicas = 1});
  rounds.do_rounds(1);
  for (const std::string& name : rounds.names) {
    EXPECT_EQ(rounds.to_read[name].size(), 2u) << name;
    rounds.read(name);
  }
  for (const auto& worker : rounds.status().workers) {
    EXPECT_EQ(worker.shards_held, 4u);
    EXPECT_EQ(worker.shards_active, 2u) << "nobody counts them";
  }
  // Whoever is lost is lost without a wait, and the others need not read.
  const uint64_t view = rounds.view;
  rounds.hear(rounds.one->lost("w2", rounds.now));
  EXPECT_EQ(rounds.view, view + 1);
  EXPECT_EQ(rounds.status().shards_missing, 0u);
  uint64_t active = 0;
  for (const auto& worker : rounds.status().workers) active += worker.shards_active;
  EXPECT_EQ(active, 6u);
  // Now there are only two; each is to have all.
  rounds.read("w0");
  rounds.read("w1");
  for (const auto& worker : rounds.status().workers) EXPECT_EQ(worker.shards_held, 6u);
}

TEST(Coordinator, GivesANewcomerItsShareAndDropsCopiesThatAreTooMany) {
  Rounds rounds(2, {.epoch = 5, .replicas = 1});
  rounds.do_rounds(1);
  for (const char* name : {"w0", "w1"}) rounds.read(name);
  rounds.hear(rounds.one->receive("w2", {5, Join{"w2", "here", 2, {}}}, rounds.now));
  rounds.names.push_back("w2");
  ASSERT_EQ(rounds.to_read["w2"].size(), 2u) << "its share is half, for it has half of the threads";
  rounds.read("w2");
  rounds.do_rounds(2);
  std::map<uint32_t, int> copies;
  for (const auto& worker : rounds.status().workers) {
    EXPECT_EQ(worker.shards_active, worker.name == "w2" ? 2u : 1u) << worker.name;
    for (uint32_t id : worker.held) ++copies[id];
  }
  for (const auto& [id, count] : copies) EXPECT_EQ(count, 2) << id;
}

TEST(Coordinator, LetsGoWhoIsAskedToLeaveAndHoldsNothing) {
  Rounds rounds(2);
  rounds.do_rounds(3);
  const uint64_t view = rounds.view;
  // There is no room in it for any shard.
  rounds.hear(rounds.one->receive("spare", {5, Join{"spare", "here", 1, {}, 1}}, rounds.now));
  rounds.do_rounds(3);
  rounds.hear(rounds.one->receive("spare", {5, Leave{}}, rounds.now));
  rounds.do_rounds(1);
  EXPECT_EQ(rounds.status().left_count, 1u);
  EXPECT_EQ(rounds.status().workers.size(), 2u);
  EXPECT_EQ(rounds.view, view) << "nobody need change places for it";
}

TEST(Coordinator, KeepsNoSpareCopiesWhereThereIsNoRoom) {
  Coordinator one({.epoch = 5, .replicas = 1}, setup(), {{0, 10, 100}, {1, 10, 100}}, {});
  (void)one.receive("w1", {5, Join{"w1", "here", 1, {0}, 199}}, Time(0));
  (void)one.receive("w2", {5, Join{"w2", "here", 1, {1}, 200}}, Time(0));
  (void)one.tick(Time(10));
  EXPECT_TRUE(one.status().workers.at(0).asked.empty());
  EXPECT_EQ(one.status().workers.at(1).asked, std::vector<uint32_t>{0});
  EXPECT_EQ(one.status().memory_bytes_missing, 0u);
}

}  // namespace
}  // namespace evergrove::cluster
