// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/early_stopping.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "evergrove/base/hash.h"

namespace evergrove::train {
namespace {

TEST(EarlyStopping, StopsAfterSoManyIterationsWithoutABetterOne) {
  const std::vector<double> loss = {5, 4, 3, 3, 3.5};
  EXPECT_FALSE(early_stopping(loss, false, 3).stop);
  EXPECT_EQ(early_stopping(loss, false, 3).best_iteration, 3u);
  EXPECT_TRUE(early_stopping(loss, false, 2).stop);
  EXPECT_EQ(early_stopping(loss, true, 4).best_iteration, 1u);
  EXPECT_TRUE(early_stopping(loss, true, 4).stop);
}

TEST(EarlyStopping, RoundsOfZeroNeverStop) {
  const std::vector<double> loss = {1, 2, 3, 4};
  EXPECT_FALSE(early_stopping(loss, false, 0).stop);
  EXPECT_EQ(early_stopping(loss, false, 0).best_iteration, 1u);
}

TEST(EarlyStopping, NothingIsBestOfNothing) {
  EXPECT_EQ(early_stopping({}, true, 1).best_iteration, 0u);
  EXPECT_FALSE(early_stopping({}, true, 1).stop);
}

TEST(EarlyStopping, NotANumberIsWorseThanAnyNumber) {
  const double nan = std::nan("");
  const std::vector<double> history = {nan, nan, 7, nan};
  EXPECT_EQ(early_stopping(history, false, 9).best_iteration, 3u);
  EXPECT_TRUE(early_stopping(std::vector<double>{nan, nan, nan}, true, 2).stop);
  EXPECT_EQ(early_stopping(std::vector<double>{nan, nan, nan}, true, 2).best_iteration, 1u);
}

// Goal: what was decided stays decided, whatever follows in the history.
TEST(EarlyStopping, ALongerHistoryAltersNothingOnceStopped) {
  const RandomKey key(1, "early stopping");
  for (uint64_t run = 0; run < 500; ++run) {
    std::vector<double> history;
    EarlyStopping decided;
    for (uint64_t i = 0; i < 40; ++i) {
      history.push_back(static_cast<double>(key.at(run * 40 + i) % 16));
      const EarlyStopping now = early_stopping(history, run % 2 == 0, 5);
      if (decided.stop) {
        ASSERT_TRUE(now.stop);
        ASSERT_EQ(now.best_iteration, decided.best_iteration);
      }
      decided = now;
    }
  }
}

}  // namespace
}  // namespace evergrove::train
