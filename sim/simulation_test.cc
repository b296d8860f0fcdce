// Whole runs in a made-up world: the digest is that of one machine, whatever happens. A failure
// names the seed; evergrove-sim --seeds SEED --story tells what happened.
// SPDX-License-Identifier: Apache-2.0
#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <sstream>

#include "sim/mutations.h"

namespace evergrove::sim {
namespace {

Outcome expect_no_violation(const Problem& problem, uint64_t seed, const Faults& faults) {
  const Outcome outcome = Simulation(problem, faults, seed).run();
  EXPECT_EQ(outcome.violation, "") << "seed " << seed << ": " << problem.text();
  return outcome;
}

TEST(Simulation, QuietRunsOfAnySizeHaveTheDigestOfOneMachine) {
  for (const size_t workers : {1, 2, 3, 5, 9}) expect_no_violation({}, 1, {.workers = workers});
}

TEST(Simulation, EveryObjectiveAndSettingHasTheDigestOfOneMachine) {
  for (const auto objective : {model::ObjectiveKind::binary, model::ObjectiveKind::multiclass,
                               model::ObjectiveKind::regression}) {
    for (const auto growth :
         {train::Growth::leaf, train::Growth::depth, train::Growth::symmetric}) {
      for (const bool is_sampled : {false, true}) {
        Problem problem;
        problem.objective = objective;
        problem.is_weighted = is_sampled;
        problem.parameters.growth = growth;
        if (is_sampled) {
          problem.parameters.subsample = 0.7;
          problem.parameters.colsample_bytree = 0.8;
          problem.parameters.colsample_bynode = 0.7;
          problem.parameters.colsample_bylevel = 0.8;
        }
        expect_no_violation(problem, 2, {});
      }
    }
  }
}

TEST(Simulation, StopsEarlyWhereOneMachineDoes) {
  Problem problem;
  problem.parameters.n_estimators = 40;
  problem.parameters.learning_rate = 1;
  problem.parameters.early_stopping_rounds = 2;
  expect_no_violation(problem, 3, {});
}

TEST(Simulation, BearsABadNetwork) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    expect_no_violation({}, seed, {.lose = 20, .twice = 50, .late = 20});
  }
}

TEST(Simulation, BearsTheComingAndGoingOfWorkers) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    expect_no_violation({}, seed, {.kill = 30, .join = 60, .drain = 20});
  }
}

TEST(Simulation, BearsEverythingAtOnce) {
  uint64_t weighed = 0, overtaken = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Outcome outcome = expect_no_violation(Problem::of(seed), seed, Faults::of(seed));
    weighed += outcome.weighed;
    overtaken += outcome.overtaken;
  }
  EXPECT_GT(weighed, 0u) << "rows were moved to who is faster";
  EXPECT_GT(overtaken, 0u) << "others did the part of who was not heard";
}

TEST(Simulation, TheSameSeedTellsTheSameStory) {
  const auto story_of = [](uint64_t seed) {
    std::ostringstream story;
    Simulation(Problem::of(seed), Faults::of(seed), seed, &story).run();
    return story.str();
  };
  EXPECT_GT(story_of(7).size(), 1000u);
  EXPECT_EQ(story_of(7), story_of(7));
  EXPECT_NE(story_of(7), story_of(8));
}

// The checks have teeth: some rules whose breaking ends in a violation, not in a crash. All of them
// are in script/campaigns/simulation.
TEST(Simulation, FindsABrokenRule) {
  for (const char* name :
       {"count_part_twice", "take_part_of_old_view", "keep_sums_over_view", "replay_one_short",
        "count_facts_twice", "forget_shard_on_drain", "forget_told_splits", "never_declare_lost"}) {
    const NamedMutation* mutation = find_mutation(name);
    ASSERT_NE(mutation, nullptr) << name;
    cluster::mutation_on = mutation->mutation;
    std::string violation;
    for (uint64_t seed = 0; seed < 200 && violation.empty(); ++seed) {
      violation = Simulation(Problem::of(seed), Faults::of(seed), seed).run().violation;
    }
    cluster::mutation_on = cluster::Mutation::none;
    EXPECT_NE(violation, "") << name;
  }
  EXPECT_EQ(find_mutation("no such rule"), nullptr);
}

}  // namespace
}  // namespace evergrove::sim
