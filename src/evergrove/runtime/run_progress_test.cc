// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_progress.h"

#include <gtest/gtest.h>

namespace evergrove::runtime {
namespace {

TEST(RunProgress, HasNoSpeedBeforeThereAreTwoMoments) {
  RunProgress progress;
  EXPECT_EQ(progress.per_minute(), 0);
  EXPECT_TRUE(progress.points().empty());
  progress.add(3, 100);  // resumed with 100
  EXPECT_EQ(progress.per_minute(), 0);
  progress.add(3, 100);
  EXPECT_EQ(progress.per_minute(), 0);
}

TEST(RunProgress, SpeedIsThatOfTheLastMinute) {
  RunProgress progress;
  for (int second = 0; second <= 600; ++second) progress.add(second, uint64_t(second));
  EXPECT_NEAR(progress.per_minute(), 60, 1e-9);
  for (int second = 601; second <= 660; ++second) progress.add(second, 600);  // it stands
  EXPECT_NEAR(progress.per_minute(), 0, 1e-9);
  for (int second = 661; second <= 690; ++second) {
    progress.add(second, 600 + uint64_t(second - 660) * 2);
  }
  EXPECT_NEAR(progress.per_minute(), 60, 1e-9);  // 30 s at 120, 30 s at 0
}

TEST(RunProgress, SpeedCountsFromWhereAShortRunBegan) {
  RunProgress progress;
  progress.add(10, 500);
  progress.add(12, 510);
  EXPECT_NEAR(progress.per_minute(), 300, 1e-9);
}

TEST(RunProgress, KeepsTheWholeOfALongRunInFewPoints) {
  RunProgress progress;
  const uint64_t seconds_max = 100'000;
  for (uint64_t second = 0; second <= seconds_max; ++second) progress.add(double(second), second);
  const std::vector<ProgressPoint> points = progress.points();
  EXPECT_LE(points.size(), RunProgress::kPointsMax + 1);
  EXPECT_GE(points.size(), RunProgress::kPointsMax / 3);
  EXPECT_EQ(points.front().seconds, 0);
  EXPECT_EQ(points.back().iterations, seconds_max);
  for (size_t i = 1; i < points.size(); ++i) {
    EXPECT_GT(points[i].seconds, points[i - 1].seconds);
    EXPECT_EQ(points[i].seconds, double(points[i].iterations));
  }
}

}  // namespace
}  // namespace evergrove::runtime
