// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cpu_hold.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace evergrove::runtime {
namespace {

TEST(HoldRule, HoldsWhoRunsAndLetsGoWhoWaits) {
  HoldRule rule;
  EXPECT_FALSE(rule.should_hold({1'000, 0})) << "nothing is known yet";
  EXPECT_TRUE(rule.should_hold({2'000, 100}));
  EXPECT_TRUE(rule.should_hold({2'000, 100})) << "it did not run";
  EXPECT_TRUE(rule.should_hold({2'800, 300})) << "a fifth";
  EXPECT_FALSE(rule.should_hold({3'100, 400})) << "a quarter";
  EXPECT_FALSE(rule.should_hold({3'100, 400}));
  EXPECT_FALSE(rule.should_hold({3'100, 600})) << "it was not let";
  EXPECT_TRUE(rule.should_hold({4'000, 610}));
}

cpu_set_t allowed_now() {
  cpu_set_t allowed;
  EXPECT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  return allowed;
}

TEST(CpuHold, IsOfTheProcessorThatItRunsOnAndEndsWithIt) {
  std::thread([] {  // so that no other test is held
    const cpu_set_t before = allowed_now();
    {
      CpuHold hold;
      for (int i = 0; i < 40; ++i) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
        while (std::chrono::steady_clock::now() < end) {
        }
        hold.look();
        const cpu_set_t now = allowed_now();
        if (CPU_COUNT(&now) != 1) {  // not yet, or it has to wait for others
          EXPECT_TRUE(CPU_EQUAL(&now, &before));
          continue;
        }
        EXPECT_TRUE(CPU_ISSET(sched_getcpu(), &now));
        EXPECT_TRUE(CPU_ISSET(sched_getcpu(), &before));
      }
    }
    const cpu_set_t after = allowed_now();
    EXPECT_TRUE(CPU_EQUAL(&after, &before));
  })
      .join();
}

}  // namespace
}  // namespace evergrove::runtime
