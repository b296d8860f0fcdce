// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/gain_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/exact/testing_simd.h"
#include "evergrove/trees/histogram.h"

namespace evergrove::trees {
namespace {

// Running sums of bins by dice, in both forms, repeated to whole blocks.
struct Case {
  std::vector<uint64_t> words;
  std::vector<int64_t> g, h, count;
  Sums all;
  CandidateLimits limits{};

  size_t size() const { return g.size(); }
  RunningSums packed() const { return {.words = words.data(), .size = size()}; }
  RunningSums wide() const {
    return {.g = g.data(), .h = h.data(), .count = count.data(), .size = size()};
  }
};

Case make_case(uint64_t seed) {
  const RandomKey key(seed, "gain");
  uint64_t asked = 0;
  const auto below = [&](uint64_t n) { return key.at(asked++) % n; };
  Case made;
  const size_t bins = 1 + below(600);
  // Few kinds of bins, so that many candidates score the same.
  const bool is_plain = below(3) == 0;
  Sums running;
  for (size_t i = 0; i < bins; ++i) {
    const auto rows = static_cast<int64_t>(below(is_plain ? 2 : 12));
    const auto sign = below(2) == 0 ? 1 : -1;
    running = running + Sums{sign * static_cast<int64_t>(is_plain ? rows : below(4000) * rows),
                             static_cast<int64_t>(is_plain ? rows : below(2000) * rows), rows};
    made.g.push_back(running.g);
    made.h.push_back(running.h);
    made.count.push_back(running.count);
  }
  while (made.g.size() % kRunningBlock != 0) {
    made.g.push_back(running.g);
    made.h.push_back(running.h);
    made.count.push_back(running.count);
  }
  for (size_t i = 0; i < made.size(); ++i) {
    made.words.push_back(pack_sums({made.g[i], made.h[i], made.count[i]}));
  }
  const Sums missing{static_cast<int64_t>(below(2000)) - 1000, static_cast<int64_t>(below(900)),
                     static_cast<int64_t>(below(5))};
  made.all = running + missing;
  // Units and penalties as they are, and so small and large that squares are no numbers.
  const double units[] = {1.0 / 4096, 0x1p-20, 1e-49, 1e-51, 1e-170, 1e49, 1e51, 1e120};
  const double penalties[] = {0, 1, 0.001, 1e-60, 1e60};
  made.limits = {double(made.all.g),  double(made.all.h),    double(made.all.count),
                 units[below(8)],     units[below(8)],       below(3) == 0 ? 0.7 : 0,
                 penalties[below(5)], double(1 + below(30)), below(2) == 0 ? 0 : 1e-3};
  return made;
}

// The slow, obvious way: every score, then the first of the best.
BestCandidate twin(const Case& from, const AddedSums& added) {
  std::vector<double> g, h, count;
  for (size_t i = 0; i < from.size(); ++i) {
    g.push_back(double(from.g[i]) + added.g);
    h.push_back(double(from.h[i]) + added.h);
    count.push_back(double(from.count[i]) + added.count);
  }
  std::vector<double> scores(from.size());
  candidate_scores({g.data(), h.data(), count.data(), from.size()}, from.limits, scores.data());
  BestCandidate best;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > best.score) best = {scores[i], static_cast<int64_t>(i)};
  }
  return best;
}

void expect_same(const BestCandidate& found, const BestCandidate& expected) {
  EXPECT_EQ(found.index, expected.index);
  EXPECT_EQ(found.score, expected.score);
}

TEST(BestRunning, IsTheFirstOfTheBestScores) {
  exact::with_each_simd([] {
    for (uint64_t seed = 0; seed < 3000; ++seed) {
      SCOPED_TRACE(seed);
      const Case given = make_case(seed);
      for (const AddedSums& added : {AddedSums{}, AddedSums{-7, 40, 3}}) {
        const BestCandidate expected = twin(given, added);
        expect_same(best_running(given.wide(), added, given.limits), expected);
        expect_same(best_running(given.packed(), added, given.limits), expected);
      }
      if (::testing::Test::HasFailure()) return;
    }
  });
}

TEST(BestRunning, MayLeaveOutWhatIsLessThanAsked) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    const Case given = make_case(seed);
    const BestCandidate expected = twin(given, {});
    if (expected.index < 0 || std::isinf(expected.score)) continue;
    for (const double least :
         {expected.score / 2, std::nextafter(expected.score, 0.0), expected.score}) {
      expect_same(best_running(given.wide(), {}, given.limits, least), expected);
    }
    const BestCandidate none = best_running(given.wide(), {}, given.limits, expected.score * 1.01);
    EXPECT_TRUE(none.index < 0 || none.score == expected.score);
  }
}

}  // namespace
}  // namespace evergrove::trees
