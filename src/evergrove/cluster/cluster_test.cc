// What each state machine answers to one message, right or wrong; whole runs are simulated in sim/.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/testing_runs.h"
#include "evergrove/cluster/worker.h"

namespace evergrove::cluster {
namespace {

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
  plan.view = {1, {{"w1", "here:1", {0}}}, {0}};
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

TEST(Worker, GivesBackWhatItIsNotToHoldAndDoesNotWaitForIt) {
  Worker worker("w1", "here:1", setup(), 5000);
  EXPECT_EQ(said<Join>(worker.join(1)).at(0).memory_bytes, 5000u);
  EXPECT_TRUE(has<LoadAction>(worker.receive({1, LoadShards{{0, 1}, {}, 4}})));
  EXPECT_EQ(worker.loading().size(), 2u);
  // Shard 0 is another's now; it is on its way, and nobody waits for it.
  EXPECT_FALSE(has<LoadAction>(worker.receive({1, LoadShards{{1}, {}, 6}})));
  EXPECT_TRUE(worker.loaded({{0, {}}}, nullptr).empty());
  EXPECT_TRUE(worker.receive({1, LoadShards{{0, 1}, {}, 5}}).empty()) << "it is late";
  EXPECT_EQ(worker.loading(), std::set<uint32_t>{1});
}

TEST(Coordinator, AsksNobodyForMoreThanItsMemory) {
  Coordinator one({.epoch = 5}, setup(), {{0, 10, 100}, {1, 10, 100}, {2, 10, 100}}, {});
  const auto small = one.receive("w1", {5, Join{"w1", "here:1", 8, {}, 250}}, Time(0));
  ASSERT_EQ(said<LoadShards>(small).size(), 1u);
  EXPECT_EQ(said<LoadShards>(small)[0].shards.size(), 2u);
  EXPECT_EQ(one.status().memory_bytes_missing, 100u);
  EXPECT_NE(one.status().waits_for.find("100 more bytes of worker memory needed"),
            std::string::npos);
  EXPECT_EQ(one.status().workers.at(0).memory_bytes, 200u);
  EXPECT_EQ(one.status().workers.at(0).memory_bytes_max, 250u);
  const auto tiny = one.receive("w2", {5, Join{"w2", "here:2", 8, {}, 99}}, Time(1));
  EXPECT_TRUE(said<LoadShards>(tiny).empty());
  const auto enough = one.receive("w3", {5, Join{"w3", "here:3", 1, {}, 100}}, Time(2));
  ASSERT_EQ(said<LoadShards>(enough).size(), 1u);
  EXPECT_EQ(one.status().memory_bytes_missing, 0u);
}

TEST(Coordinator, SpareCopiesMakeWayForWhatNobodyHolds) {
  Coordinator one({.epoch = 5}, setup(), {{0, 10, 100}, {1, 10, 100}, {2, 10, 100}}, {});
  // w1 is the only one with shard 1; both have shard 0, and w2 is full.
  (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {0, 1}, 200}}, Time(0));
  const auto full = one.receive("w2", {5, Join{"w2", "here:2", 1, {0}, 100}}, Time(1));
  const auto asked = said<LoadShards>(full);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].shards, std::vector<uint32_t>{2});
  // Whoever is asked for shard 2 gives back shard 0, and nobody gives back shard 1.
  EXPECT_EQ(std::count(asked[0].kept.begin(), asked[0].kept.end(), 0u), 0);
  EXPECT_EQ(one.status().memory_bytes_missing, 0u);
  size_t missing = one.status().shards_missing;
  EXPECT_EQ(missing, 1u) << "shard 2, until it is read";
}

TEST(Coordinator, DoesNotTakeAShardThatIsOneTooMany) {
  Coordinator one({.epoch = 5}, setup(), {{0, 10, 100}, {1, 10, 100}}, {});
  (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {0}, 100}}, Time(0));
  // It was asked for shard 1 once, by a plan that a later join has undone.
  const auto told = said<LoadShards>(one.receive("w1", {5, Loaded{{1}}}, Time(1)));
  ASSERT_GE(told.size(), 1u);
  EXPECT_EQ(told[0].kept, std::vector<uint32_t>{0});
  EXPECT_EQ(one.status().workers.at(0).shards_held, 1u);
}

TEST(Coordinator, MovesRowsToWhoIsFaster) {
  for (const uint64_t slower : {1, 10}) {
    Coordinator one({.epoch = 5}, setup(), {{0, 10, 100}, {1, 10, 100}, {2, 10, 100}, {3, 10, 100}},
                    {});
    // It has no room for more, so that none is on its way when the other comes.
    (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {0, 1}, 200}}, Time(0));
    (void)one.receive("w2", {5, Join{"w2", "here:2", 1, {2, 3}}}, Time(0));
    ASSERT_EQ(one.status().view, 1u);
    for (const uint64_t round : {0, 100}) {
      (void)one.receive("w1", {5, Heartbeat{1, round, round * slower * 10'000}}, Time(round));
      (void)one.receive("w2", {5, Heartbeat{1, round, round * 10'000}}, Time(round));
    }
    const auto asked = said<LoadShards>(one.tick(Time(6'000)));
    EXPECT_EQ(one.status().weighed_count, slower == 1 ? 0u : 1u);
    ASSERT_EQ(asked.empty(), slower == 1);
    if (slower == 1) continue;
    EXPECT_EQ(asked[0].shards, (std::vector<uint32_t>{0, 1}));
    EXPECT_EQ(asked[0].kept, (std::vector<uint32_t>{2, 3}));
  }
}

TEST(Coordinator, LetsWhoComesLaterReadWhatIsNotReadYet) {
  Coordinator one({.epoch = 5}, setup(), {{0, 10}, {1, 10}, {2, 10}, {3, 10}}, {});
  const auto alone = said<LoadShards>(one.receive("w1", {5, Join{"w1", "here:1", 1, {}}}, Time(0)));
  ASSERT_EQ(alone.size(), 1u);
  EXPECT_EQ(alone[0].shards.size(), 4u);
  (void)one.receive("w1", {5, Loaded{{0}}}, Time(1));
  const auto both = said<LoadShards>(one.receive("w2", {5, Join{"w2", "here:2", 1, {}}}, Time(2)));
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].shards, std::vector<uint32_t>{1});
  EXPECT_EQ(both[0].kept, std::vector<uint32_t>{0});
  EXPECT_EQ(both[1].shards, (std::vector<uint32_t>{2, 3}));
  // w1 had just read shard 2 when it was told to leave that to w2, and so it has given it back.
  const auto late = said<LoadShards>(one.receive("w1", {5, Loaded{{2}}}, Time(3)));
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].kept, std::vector<uint32_t>{0});
  (void)one.receive("w1", {5, Loaded{{1}}}, Time(4));
  EXPECT_TRUE(said<Plan>(one.receive("w2", {5, Loaded{{3}}}, Time(5))).empty());
  EXPECT_EQ(said<Plan>(one.receive("w2", {5, Loaded{{2}}}, Time(6))).size(), 2u);
}

TEST(Coordinator, TellsOfAMemberWhoseRowsAreGone) {
  Coordinator one = coordinator();
  (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {0, 1}}}, Time(0));
  ASSERT_EQ(one.status().view, 1u);
  for (const uint64_t repeat : {0, 1}) {
    (void)one.receive("w1", {5, Join{"w1", "here:1", 1, {0}}}, Time(1 + repeat));
    EXPECT_EQ(one.status().lost_count, 1u);
    EXPECT_EQ(one.status().joined_count, 2u);
  }
  ASSERT_EQ(one.ledger().losses().size(), 1u);
  size_t told = 0;
  for (const RunEvent& event : one.ledger().events()) {
    told += event.kind == RunEvent::lost && event.at == one.ledger().losses()[0].at;
  }
  EXPECT_EQ(told, 1u);
}

TEST(WorkerSpeed, IsOfRowsRoundsAndTimeOfOneView) {
  WorkerSpeed speed;
  speed.hear({3, 10, 1'000'000}, 500);
  EXPECT_EQ(speed.rows_a_second(), 0);
  speed.hear({3, 15, 9'000'000}, 500);  // too few rounds to say
  EXPECT_EQ(speed.rows_a_second(), 0);
  speed.hear({3, 50, 3'000'000}, 500);
  EXPECT_EQ(speed.rows_a_second(), 500 * 40 / 2.0);
  speed.hear({4, 51, 90'000'000}, 100);  // another view: what it did in between is not known
  EXPECT_EQ(speed.rows_a_second(), 500 * 40 / 2.0);
  speed.hear({4, 71, 91'000'000}, 100);
  EXPECT_EQ(speed.rows_a_second(), (500 * 40 / 2.0 + 100 * 20) / 2);
  speed.hear({4, 95, 0}, 100);  // a clock that went back
  EXPECT_EQ(speed.rows_a_second(), (500 * 40 / 2.0 + 100 * 20) / 2);
  speed.forget();
  EXPECT_EQ(speed.rows_a_second(), 0);
}

TEST(Coordinator, AsksNobodyForARunThatIsOver) {
  RunSetup over = setup();
  over.header.parameters.n_estimators = 1;
  train::Iteration only;
  only.trees.resize(1);
  only.trees[0].nodes.resize(1);
  Coordinator one({.epoch = 5}, over, {{0, 10}}, {only});
  const auto actions = one.tick(Time(0));
  EXPECT_TRUE(has<FinishedAction>(actions));
  EXPECT_TRUE(one.training_metrics()->empty());
  EXPECT_TRUE(said<Goodbye>(one.receive("w1", {5, Join{"w1", "here:1", 1, {}}}, Time(1))).empty())
      << "the last records may be lost yet";
  (void)one.logged();
  EXPECT_EQ(said<Goodbye>(one.receive("w1", {5, Join{"w1", "here:1", 1, {}}}, Time(2))).size(), 1u);
}

TEST(Coordinator, LooksAtTheTrainingRowsOnceAllIsDecided) {
  RunSetup small = setup();
  small.header.parameters.n_estimators = 1;
  small.header.parameters.metrics = {"log_loss"};
  Coordinator one({.epoch = 5}, small, {{0, 10}}, {});
  auto actions = one.receive("w1", {5, Join{"w1", "here:1", 1, {0}}}, Time(0));
  const uint32_t blocks = 1;  // a member, a block
  // No split is found: the tree is a leaf.
  const auto answer = [&](const Round& round) {
    Facts facts;
    facts.view = 1;
    facts.round = round.number;
    if (round.kind == RoundKind::appraise) facts.metrics = {training_summary()};
    auto after = one.receive("w1", {5, facts}, Time(1));
    for (uint32_t block = 0; has_histograms(round.kind) && block < blocks; ++block) {
      for (auto& action :
           one.receive("w1", {5, Splits{1, round.number, block, {0, 9, 10}, {}}}, Time(2))) {
        after.push_back(std::move(action));
      }
    }
    return after;
  };
  bool is_logged = false;
  for (int step = 0; step < 9 && !has<FinishedAction>(actions); ++step) {
    const auto rounds = said<NextRound>(actions);
    ASSERT_EQ(rounds.size(), 1u) << one.status().waits_for;
    if (rounds[0].round.kind == RoundKind::appraise) {
      EXPECT_TRUE(is_logged);
      EXPECT_EQ(rounds[0].round.iteration_count, 1u);
    }
    actions = answer(rounds[0].round);
    is_logged |= has<LogAction>(actions);
  }
  ASSERT_TRUE(has<FinishedAction>(actions));
  const auto metrics = one.training_metrics().value();
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_EQ(metrics[0].set, "train");
  EXPECT_EQ(metrics[0].name, "log_loss");
  EXPECT_EQ(metrics[0].value, *training_summary().values()->begin());
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
