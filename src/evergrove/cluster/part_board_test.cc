// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/part_board.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "evergrove/base/hash.h"

namespace evergrove::cluster {
namespace {

TEST(PartBoard, GivesTwoPartsAtATimeInTheirOrder) {
  PartBoard board(4);
  EXPECT_FALSE(board.next(1).has_value()) << "it is no reader yet";
  board.add_reader(1);
  EXPECT_EQ(board.next(1), 0u);
  EXPECT_EQ(board.next(1), 1u);
  EXPECT_FALSE(board.next(1).has_value());
  EXPECT_TRUE(board.finish(1, 0));
  EXPECT_EQ(board.next(1), 2u);
}

TEST(PartBoard, GivesAPartOfALostReaderToAnother) {
  PartBoard board(1);
  board.add_reader(1);
  board.add_reader(2);
  EXPECT_EQ(board.next(1), 0u);
  board.remove_reader(1);
  EXPECT_EQ(board.next(2), 0u);
  EXPECT_TRUE(board.finish(2, 0));
  EXPECT_FALSE(board.finish(1, 0)) << "it comes too late";
  EXPECT_TRUE(board.is_done());
}

TEST(PartBoard, HasAStragglersPartReadByWhoIsIdleAndCountsTheFirstAnswer) {
  PartBoard board(2);
  for (uint64_t reader : {1, 2, 3}) board.add_reader(reader);
  EXPECT_EQ(board.next(1), 0u);
  EXPECT_EQ(board.next(2), 1u);
  EXPECT_EQ(board.next(3), 0u) << "it was given first";
  EXPECT_TRUE(board.finish(3, 0));
  EXPECT_FALSE(board.finish(1, 0));
  EXPECT_EQ(board.done_count(), 1u);
}

TEST(PartBoard, TriesAFailedPartOnceMoreElsewhere) {
  PartBoard board(2);
  board.add_reader(1);
  board.add_reader(2);
  EXPECT_EQ(board.next(1), 0u);
  board.fail(1, 0, storage_error("no such file here"));
  EXPECT_EQ(board.next(1), 1u) << "not what it cannot read";
  EXPECT_EQ(board.next(2), 0u);
  EXPECT_TRUE(board.finish(2, 0));
  EXPECT_TRUE(board.finish(1, 1));
  EXPECT_TRUE(board.failure().ok()) << "somebody could";
}

TEST(PartBoard, SaysTheFailureOfTheFirstPart) {
  PartBoard board(3);
  board.add_reader(1);
  EXPECT_EQ(board.next(1), 0u);
  EXPECT_EQ(board.next(1), 1u);
  board.fail(1, 1, invalid_input("second"));  // there is nobody else to try
  board.fail(1, 0, invalid_input("first"));
  EXPECT_FALSE(board.is_done());
  EXPECT_EQ(board.next(1), 2u);
  EXPECT_TRUE(board.finish(1, 2));
  EXPECT_TRUE(board.is_done());
  EXPECT_EQ(board.failure().message(), "first");
}

// Readers come, go, answer and fail by chance: as long as one comes and stays, all is read, and
// each part counts once.
TEST(PartBoard, FinishesWhateverHappens) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const RandomKey key(seed, "board");
    uint64_t throws = 0;
    const auto dice = [&](uint64_t sides) { return key.at(throws++) % sides; };
    PartBoard board(1 + dice(20));
    std::set<std::pair<uint64_t, size_t>> asked;
    std::set<size_t> counted;
    for (int step = 0; step < 400; ++step) {
      const uint64_t reader = 1 + dice(4);
      switch (dice(6)) {
        case 0:
          board.add_reader(reader);
          break;
        case 1:
          board.remove_reader(reader);
          break;
        default:
          if (const auto part = board.next(reader)) asked.emplace(reader, *part);
      }
      if (asked.empty() || dice(2) == 0) continue;
      const auto answer = std::next(asked.begin(), long(dice(asked.size())));
      if (board.finish(answer->first, answer->second)) {
        EXPECT_TRUE(counted.insert(answer->second).second);
      }
      asked.erase(answer);
    }
    board.add_reader(9);
    for (int i = 0; i < 100 && !board.is_done(); ++i) {
      const auto part = board.next(9);
      ASSERT_TRUE(part.has_value());
      if (board.finish(9, *part)) {
        EXPECT_TRUE(counted.insert(*part).second);
      }
    }
    EXPECT_TRUE(board.is_done());
    EXPECT_EQ(counted.size(), board.part_count());
  }
}

}  // namespace
}  // namespace evergrove::cluster
