// What each state machine answers to one message, right or wrong; whole runs are simulated in sim/.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/worker.h"

namespace evergrove::cluster {
namespace {

RunSetup setup() {
  RunSetup setup;
  setup.header.base_margins = {0};
  for (const char* name : {"a", "b"}) {
    model::Feature feature;
    feature.name = name;
    feature.cuts = {1, 2, 3};
    setup.header.features.push_back(feature);
  }
  return setup;
}

template <class Wanted, class Action>
std::vector<Wanted> said(const std::vector<Action>& actions) {
  std::vector<Wanted> found;
  for (const Action& action : actions) {
    const Message* message = nullptr;
    if constexpr (std::is_same_v<Action, WorkerAction>) {
      if (const auto* send = std::get_if<SendAction>(&action)) message = &send->message;
    } else {
      if (const auto* tell = std::get_if<TellAction>(&action)) message = &tell->message;
    }
    if (message == nullptr) continue;
    if (const auto* body = std::get_if<Wanted>(&message->body)) found.push_back(*body);
  }
  return found;
}

template <class Wanted>
bool has(const auto& actions) {
  for (const auto& action : actions) {
    if (std::holds_alternative<Wanted>(action)) return true;
  }
  return false;
}

Coordinator coordinator(uint64_t epoch = 5) {
  return Coordinator({.epoch = epoch}, setup(), {{0, 10}, {1, 10}}, {});
}

TEST(Worker, DoesNotHeedACoordinatorThatWasOvertaken) {
  Worker worker("w1", "here:1", setup());
  EXPECT_TRUE(has<LoadAction>(worker.receive({3, LoadShards{{0}}})));
  EXPECT_TRUE(worker.receive({2, LoadShards{{1}}}).empty());
  EXPECT_TRUE(worker.receive({2, Goodbye{}}).empty());
  EXPECT_EQ(worker.epoch(), 3u);
}

TEST(Worker, ReadsAShardOnceThoughAskedTwice) {
  Worker worker("w1", "here:1", setup());
  EXPECT_TRUE(has<LoadAction>(worker.receive({1, LoadShards{{0, 1}}})));
  EXPECT_FALSE(has<LoadAction>(worker.receive({1, LoadShards{{0, 1}}})));
  const auto failed = said<LoadFailed>(worker.load_failed(1, "the file is gone"));
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].reason, "the file is gone");
  EXPECT_TRUE(has<LoadAction>(worker.receive({1, LoadShards{{0, 1}}})));
}

TEST(Worker, JoinsAgainWhenItWasTakenForLost) {
  Worker worker("w1", "here:1", setup());
  (void)worker.join(4);
  const auto joins = said<Join>(worker.receive({1, Rejoin{}}));
  ASSERT_EQ(joins.size(), 1u);
  EXPECT_EQ(joins[0].name, "w1");
  EXPECT_EQ(joins[0].threads, 4u);
}

TEST(Worker, IgnoresRoundsOfAViewThatItIsNoMemberOf) {
  Worker worker("w1", "here:1", setup());
  Round first;
  first.number = 1;
  EXPECT_TRUE(worker.receive({1, NextRound{1, first}}).empty());
  Plan plan;
  plan.view = {2, {{"w2", "there:1", {0, 1}}}, {0, 0}};
  EXPECT_TRUE(said<Facts>(worker.receive({1, plan})).empty());
  EXPECT_TRUE(worker.receive({1, NextRound{2, first}}).empty());
}

TEST(Worker, SaysWhatItHoldsWhenAPlanIsMistakenAboutIt) {
  Worker worker("w1", "here:1", setup());
  Plan plan;
  plan.view = {1, {{"w1", "here:1", {0}}}, {0, 0}};
  const auto joins = said<Join>(worker.receive({1, plan}));
  ASSERT_EQ(joins.size(), 1u);
  EXPECT_TRUE(joins[0].shards.empty());
}

TEST(Worker, KeepsPartsThatComeEarlyUntilANewEpoch) {
  Worker worker("w1", "here:1", setup());
  EXPECT_TRUE(worker.receive({1, Part{3, 1, 0, "w2", {}}}).empty());
  EXPECT_TRUE(worker.receive({1, Part{3, 1, 1'000'000, "w2", {}}}).empty());  // no such block
  EXPECT_EQ(worker.holdings().early_parts, 1u);
  // Views are numbered anew, so this one's view 3 has nothing to do with the other's.
  (void)worker.receive({2, LoadShards{}});
  EXPECT_EQ(worker.holdings().early_parts, 0u);
}

TEST(Worker, EndsWithTheReasonThatItIsGiven) {
  Worker worker("w1", "here:1", setup());
  const auto good = worker.receive({1, Goodbye{}});
  ASSERT_TRUE(has<StopAction>(good));
  EXPECT_TRUE(std::get<StopAction>(good[0]).status.ok());
  const auto bad = worker.receive({1, Goodbye{"It was asked to leave"}});
  ASSERT_TRUE(has<StopAction>(bad));
  EXPECT_FALSE(std::get<StopAction>(bad[0]).status.ok());
}

TEST(Coordinator, StopsWhenItHearsOfALargerEpoch) {
  Coordinator old = coordinator(5);
  const auto actions = old.receive("w1", {6, Heartbeat{}}, Time(0));
  ASSERT_TRUE(has<OvertakenAction>(actions));
  EXPECT_EQ(std::get<OvertakenAction>(actions[0]).epoch, 6u);
  EXPECT_TRUE(old.tick(Time(60'000)).empty());
}

TEST(Coordinator, AsksWhoItDoesNotKnowToJoin) {
  Coordinator one = coordinator();
  EXPECT_EQ(said<Rejoin>(one.receive("w1", {5, Heartbeat{}}, Time(0))).size(), 1u);
  EXPECT_EQ(said<Rejoin>(one.receive("w1", {5, Loaded{{0, 1}}}, Time(0))).size(), 1u);
  EXPECT_EQ(one.status().shards_missing, 2u);
}

TEST(Coordinator, BeginsWhenAllShardsAreHeldAndNotBefore) {
  Coordinator one = coordinator();
  const auto joined = one.receive("w1", {5, Join{"w1", "here:1", 1, {}}}, Time(0));
  ASSERT_EQ(said<LoadShards>(joined).size(), 1u);
  EXPECT_TRUE(said<Plan>(joined).empty());
  EXPECT_TRUE(said<Plan>(one.receive("w1", {5, Loaded{{0}}}, Time(1))).empty());
  const auto begun = one.receive("w1", {5, Loaded{{1}}}, Time(2));
  ASSERT_EQ(said<Plan>(begun).size(), 1u);
  EXPECT_EQ(said<NextRound>(begun).size(), 1u);
  EXPECT_EQ(one.status().view, 1u);
}

TEST(Coordinator, IgnoresShardsThatDoNotExist) {
  Coordinator one = coordinator();
  (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {7, 8}}}, Time(0));
  EXPECT_EQ(one.status().shards_missing, 2u);
  EXPECT_EQ(one.status().workers.at(0).shards_held, 0u);
}

TEST(Coordinator, TakesASilentWorkerForLostAndHearsItAgain) {
  Coordinator one = coordinator();
  (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {0, 1}}}, Time(0));
  (void)one.tick(Time(9'000));
  EXPECT_EQ(one.status().lost_count, 0u);
  (void)one.tick(Time(11'000));
  EXPECT_EQ(one.status().lost_count, 1u);
  EXPECT_EQ(one.status().waits_for, "a worker");
  EXPECT_EQ(said<Rejoin>(one.receive("w1", {5, Heartbeat{}}, Time(11'001))).size(), 1u);
}

TEST(Coordinator, FailsWithTheWorkersReasonWhenAShardCannotBeRead) {
  Coordinator one = coordinator();
  (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {}}}, Time(0));
  const auto actions = one.receive("w1", {5, LoadFailed{{0}, "the file is gone"}}, Time(1));
  ASSERT_TRUE(has<FailedAction>(actions));
  EXPECT_NE(std::get<FailedAction>(actions[0]).status.message().find("the file is gone"),
            std::string::npos);
}

}  // namespace
}  // namespace evergrove::cluster
