// That the plan is enough is tested where a kernel holds it: tests/process/test_memory.py.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/memory_plan.h"

#include <gtest/gtest.h>

#include "evergrove/train/testing_run.h"

namespace evergrove::train {
namespace {

MemoryShape long_shape() {
  MemoryShape shape;
  shape.row_count = 20'000'000;
  shape.block_rows_max = 200'000;
  shape.feature_count = 20;
  shape.bin_count = 20 * 256;
  shape.row_stride = 20;
  shape.leaf_count = 255;
  shape.thread_count = 2;
  return shape;
}

TEST(MemoryPlan, LetsRowsPassByOnlyWhereTheyDoNotFit) {
  const MemoryShape shape = long_shape();
  const MemoryPlan free = plan_memory(shape, 0);
  EXPECT_FALSE(free.is_parked());
  EXPECT_TRUE(free.check().ok());
  const uint64_t all = free.in_memory.total();
  EXPECT_GT(all, uint64_t{1} << 30);
  EXPECT_FALSE(plan_memory(shape, all).is_parked());
  const MemoryPlan parked = plan_memory(shape, all - 1);
  EXPECT_TRUE(parked.is_parked());
  EXPECT_TRUE(parked.check().ok());
  EXPECT_LT(parked.parked.total(), uint64_t{300} << 20);
  EXPECT_EQ(parked.file_bytes, shape.row_count * (20 + 2 + 8));
}

TEST(MemoryPlan, TakesSmallerPartsAndThenSaysWhatItNeeds) {
  const MemoryShape shape = long_shape();
  MemoryPlan plan = plan_memory(shape, uint64_t{300} << 20);
  const uint64_t rows_at_once = plan.rows_at_once;
  uint64_t limit = plan.parked.total();
  while (plan.check().ok()) {
    limit -= uint64_t{1} << 20;
    const MemoryPlan less = plan_memory(shape, limit);
    EXPECT_LE(less.rows_at_once, plan.rows_at_once);
    plan = less;
  }
  EXPECT_LT(plan.rows_at_once, rows_at_once);
  EXPECT_EQ(plan.check().kind(), StatusKind::invalid_input);
  const std::string needed = std::to_string((plan.parked.total() >> 20) + 1) + " MiB";
  EXPECT_NE(plan.check().message().find(needed), std::string::npos) << plan.check().message();
}

TEST(MemoryPlan, BeforeReadingIsNoLessThanAfter) {
  for (const double subsample : {1.0, 0.5}) {
    TestingRun run({});
    run.parameters.subsample = subsample;
    const MemoryShape before = memory_shape(run.spec, run.parameters, 2);
    const MemoryShape after = memory_shape(run.spec, run.description().header, 2);
    EXPECT_EQ(before.row_count, after.row_count);
    EXPECT_GE(before.bin_count, after.bin_count);
    EXPECT_GE(plan_memory(before, 0).in_memory.total(), plan_memory(after, 0).in_memory.total());
  }
}

}  // namespace
}  // namespace evergrove::train
