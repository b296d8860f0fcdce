// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/run_ledger.h"

#include <gtest/gtest.h>

namespace evergrove::cluster {
namespace {

Time ms(int64_t count) { return Time{count}; }

TEST(RunLedger, CountsTheTimeOfAllMembersWhileRoundsAreUnderWay) {
  RunLedger ledger;
  ledger.begin_view(3, 0, ms(0));
  ledger.begin_round(ms(100));
  ledger.begin_round(ms(110));  // two under way at once are the same time
  EXPECT_EQ(ledger.costs(ms(120)).work, ms(60));
  ledger.finish_round(false, ms(150));
  ledger.finish_round(false, ms(170));
  EXPECT_EQ(ledger.costs(ms(900)).work, ms(210));
  EXPECT_EQ(ledger.costs(ms(900)).work_lost, ms(0));
  EXPECT_EQ(ledger.costs(ms(900)).recovery, ms(0));
}

TEST(RunLedger, CountsAsLostWhatAllMembersDidSinceTheRoundAtHandBegan) {
  RunLedger ledger;
  ledger.begin_view(4, 0, ms(0));
  ledger.begin_round(ms(0));
  ledger.begin_round(ms(0));
  ledger.finish_round(false, ms(100));
  ledger.lose("w2", 1, ms(130));
  ledger.begin_view(3, 2, ms(530));    // its shards are read; a rebuild, and the round again
  ledger.finish_round(true, ms(580));  // the rebuild
  EXPECT_FALSE(ledger.losses().back().is_made_good);
  EXPECT_EQ(ledger.costs(ms(600)).recovery, ms(470));
  ledger.finish_round(false, ms(640));
  ASSERT_EQ(ledger.losses().size(), 1u);
  const Loss& loss = ledger.losses().front();
  EXPECT_EQ(loss.worker, "w2");
  EXPECT_EQ(loss.members, 4u);
  EXPECT_EQ(loss.dropped, ms(4 * 30));
  EXPECT_EQ(loss.standing, ms(400));
  EXPECT_EQ(loss.redone, ms(3 * 110));
  EXPECT_EQ(loss.recovery, ms(510));
  EXPECT_TRUE(loss.is_made_good);
  const RunCosts costs = ledger.costs(ms(900));
  EXPECT_EQ(costs.work_lost, ms(120 + 330));
  EXPECT_EQ(costs.recovery, ms(510));
  EXPECT_EQ(costs.work, ms(4 * 130 + 3 * 110));  // while it stood still nobody worked
}

TEST(RunLedger, CountsTwoLossesAtOnceOnce) {
  RunLedger ledger;
  ledger.begin_view(3, 0, ms(0));
  ledger.begin_round(ms(0));
  ledger.lose("w1", 1, ms(100));
  ledger.lose("w2", 1, ms(150));
  ledger.begin_view(1, 1, ms(300));
  ledger.finish_round(false, ms(400));
  const RunCosts costs = ledger.costs(ms(400));
  EXPECT_EQ(costs.work_lost, ms(300 + 100));
  EXPECT_EQ(costs.recovery, ms(300));
  ASSERT_EQ(ledger.losses().size(), 2u);
  EXPECT_EQ(ledger.losses()[1].dropped, ms(0));
  EXPECT_EQ(ledger.losses()[0].standing, ms(200));
  EXPECT_EQ(ledger.losses()[1].standing, ms(150));
  EXPECT_EQ(ledger.losses()[1].recovery, ms(250));
}

TEST(RunLedger, CountsTheSameRoundAgainWhenItIsLostTwice) {
  RunLedger ledger;
  ledger.begin_view(3, 0, ms(0));
  ledger.begin_round(ms(0));
  ledger.lose("w1", 1, ms(100));
  ledger.begin_view(2, 1, ms(200));
  ledger.lose("w2", 1, ms(250));
  ledger.begin_view(1, 1, ms(400));
  ledger.finish_round(false, ms(500));
  const RunCosts costs = ledger.costs(ms(500));
  EXPECT_EQ(costs.work_lost, ms(300 + 100 + 100));
  EXPECT_EQ(costs.recovery, ms(400));
  EXPECT_EQ(ledger.losses()[0].standing, ms(100 + 150));
  EXPECT_EQ(ledger.losses()[0].recovery, ms(400));
}

TEST(RunLedger, LosesWhatWasDoneInAViewThatIsLostBeforeItIsWhereItWas) {
  RunLedger ledger;
  ledger.begin_view(2, 0, ms(0));
  ledger.begin_round(ms(0));
  ledger.begin_round(ms(0));
  ledger.lose("w1", 2, ms(10));
  ledger.begin_view(1, 2, ms(10));
  ledger.finish_round(false, ms(50));  // one of the two
  ledger.begin_round(ms(50));
  ledger.finish_round(false, ms(90));
  EXPECT_TRUE(ledger.losses()[0].is_made_good);
  ledger.finish_round(false, ms(200));  // new work
  EXPECT_EQ(ledger.costs(ms(200)).work_lost, ms(20 + 80));
  EXPECT_EQ(ledger.costs(ms(200)).work, ms(20 + 190));
}

TEST(RunLedger, IsWhereItWasWhenTheTreeIsDone) {
  RunLedger ledger;
  ledger.begin_view(2, 0, ms(0));
  ledger.begin_round(ms(0));
  ledger.begin_round(ms(0));
  ledger.lose("w1", 2, ms(10));
  ledger.begin_view(1, 2, ms(30));
  ledger.finish_round(false, ms(50));
  ledger.forget_rounds(ms(50));  // the second was not needed
  EXPECT_TRUE(ledger.losses()[0].is_made_good);
  EXPECT_EQ(ledger.costs(ms(60)).recovery, ms(40));
  EXPECT_EQ(ledger.costs(ms(60)).work_lost, ms(20 + 20));
}

TEST(RunLedger, TakesNothingForLostWhenOneGoesThatHadNothingToDo) {
  RunLedger ledger;
  ledger.lose("never a member", 0, ms(10));
  ledger.begin_view(2, 0, ms(20));
  ledger.begin_round(ms(20));
  ledger.lose("only reads", 0, ms(30));
  ledger.finish_round(false, ms(50));
  const RunCosts costs = ledger.costs(ms(60));
  EXPECT_EQ(costs.work_lost, ms(0));
  EXPECT_EQ(costs.recovery, ms(0));
  EXPECT_EQ(costs.work, ms(60));
  EXPECT_EQ(ledger.losses().size(), 2u);
  EXPECT_TRUE(ledger.losses()[1].is_made_good);
}

TEST(RunLedger, CountsHistogramsBuiltAgainForOneThatLeft) {
  RunLedger ledger;
  ledger.begin_view(2, 1, ms(0));
  ledger.finish_round(true, ms(40));
  EXPECT_EQ(ledger.costs(ms(40)).work_lost, ms(80));
  EXPECT_TRUE(ledger.losses().empty());
}

TEST(RunLedger, KeepsTheSumsWhenTheOldestGo) {
  RunLedger ledger;
  Time now{0};
  for (int i = 0; i < 2000; ++i) {
    ledger.begin_view(2, 1, now);
    ledger.note(RunEvent::lost, "w", 7, now += ms(1));
    ledger.lose("w", 1, now);
    ledger.begin_view(1, 1, now);
    ledger.finish_round(false, now += ms(1));
  }
  EXPECT_EQ(ledger.losses().size(), RunLedger::kKept);
  EXPECT_EQ(ledger.events().size(), RunLedger::kKept);
  EXPECT_EQ(ledger.costs(now).work_lost, ms(4000 + 2000));
  EXPECT_EQ(ledger.costs(now).work, ms(6000));
  EXPECT_EQ(ledger.costs(now).recovery, ms(2000));
}

}  // namespace
}  // namespace evergrove::cluster
