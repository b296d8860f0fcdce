// Rows that pass by from a file give the run of rows in memory, to the bit.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/parked_trainer.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <filesystem>

#include "evergrove/base/testing_file_limit.h"
#include "evergrove/train/testing_run.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr ObjectiveKind kObjectives[] = {ObjectiveKind::binary, ObjectiveKind::multiclass,
                                         ObjectiveKind::regression};
constexpr Growth kGrowths[] = {Growth::leaf, Growth::depth, Growth::symmetric};

// All that makes a difference to how rows pass by, by the seed's digits.
TestingRun run_of(uint64_t seed) {
  TestingShape shape;
  shape.objective = kObjectives[seed % 3];
  shape.weighted = seed % 2 == 0;
  shape.valid_fraction = seed % 4 < 2 ? 0.2 : 0;
  shape.has_valid_source = seed % 5 < 3;
  shape.seed = seed;
  TestingRun run(shape);
  run.parameters.growth = kGrowths[seed / 3 % 3];
  run.parameters.max_leaves = run.parameters.growth == Growth::symmetric ? 32 : 25;
  run.parameters.max_depth = 5;
  run.parameters.subsample = seed % 7 < 3 ? 0.6 : 1;
  run.parameters.colsample_bynode = seed % 5 == 4 ? 0.7 : 1;
  run.parameters.n_estimators = 8;
  const bool has_validation = shape.valid_fraction > 0 || shape.has_valid_source;
  if (has_validation && seed % 3 != 1) run.parameters.early_stopping_rounds = 2;
  if (shape.objective == ObjectiveKind::binary && seed % 2 == 1) {
    run.parameters.scale_pos_weight = 300;  // makes gradients wide
  }
  return run;
}

Result<std::unique_ptr<Trainer>> parked(const TestingRun& run, uint64_t rows_wanted) {
  EVERGROVE_ASSIGN_OR_RETURN(auto file,
                             ScratchFile::create(std::filesystem::temp_directory_path().string()));
  const auto shards = make_shards(run.spec, run.parameters.seed, rows_wanted);
  return train_parked(run.spec, run.description(), shards, std::move(file), nullptr);
}

TEST(ParkedTrainer, GivesTheRunOfRowsInMemory) {
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 4);
  size_t stopped_early = 0;
  for (uint64_t seed = 0; seed < 36; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run = run_of(seed);
    PreparedData prepared = run.prepared();
    auto expected = Trainer::create(prepared.header, std::move(prepared.data));
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    tbb::task_arena arena(static_cast<int>(1 + seed % 4));
    arena.execute([&] {
      auto trainer = parked(run, 60 + 100 * (seed % 5));
      ASSERT_TRUE(trainer.ok()) << trainer.status().message();
      std::vector<Iteration> log;
      while (!(*expected)->finished()) {
        ASSERT_FALSE((*trainer)->finished());
        auto iteration = (*trainer)->next();
        ASSERT_TRUE(iteration.ok()) << iteration.status().message();
        ASSERT_EQ(encode_iteration(*iteration), encode_iteration(*(*expected)->next()));
        log.push_back(std::move(*iteration));
      }
      EXPECT_TRUE((*trainer)->finished());
      EXPECT_EQ(model::digest((*trainer)->model()), model::digest((*expected)->model()));
      EXPECT_EQ((*trainer)->best_iteration(), (*expected)->best_iteration());
      stopped_early += (*trainer)->best_iteration() < log.size();
      const auto metrics = (*trainer)->training_metrics();
      const auto metrics_expected = *(*expected)->training_metrics();
      ASSERT_TRUE(metrics.ok()) << metrics.status().message();
      ASSERT_EQ(metrics->size(), metrics_expected.size());
      for (size_t i = 0; i < metrics->size(); ++i) {
        EXPECT_EQ((*metrics)[i].name, metrics_expected[i].name);
        EXPECT_EQ((*metrics)[i].value, metrics_expected[i].value);
      }

      // Another one reads what was decided, up to the middle, and goes on.
      auto late = parked(run, 150);
      ASSERT_TRUE(late.ok()) << late.status().message();
      for (size_t i = 0; i < log.size(); ++i) {
        if (i < log.size() / 2) {
          const Status status = (*late)->replay(log[i]);
          ASSERT_TRUE(status.ok()) << status.message();
        } else {
          ASSERT_EQ(encode_iteration(*(*late)->next()), encode_iteration(log[i]));
        }
      }
    });
  }
  EXPECT_GT(stopped_early, 3u);
}

TEST(ParkedTrainer, SaysThatTheDiskIsFull) {
  const TestingRun run = run_of(0);
  const FileLimit limit(20'000);
  const auto trainer = parked(run, 100);
  EXPECT_EQ(trainer.status().kind(), StatusKind::storage) << trainer.status().message();
}

}  // namespace
}  // namespace evergrove::train
