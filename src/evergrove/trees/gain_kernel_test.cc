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

// Bins by dice, in both forms.
struct Case {
  std::vector<uint64_t> words;
  std::vector<int64_t> g, h;
  std::vector<uint32_t> count;
  Sums all;
  CandidateLimits limits{};

  size_t size() const { return g.size(); }
  BinRange packed() const { return {.words = words.data(), .size = size()}; }
  BinRange wide() const {
    return {.g = g.data(), .h = h.data(), .count = count.data(), .size = size()};
  }
};

Case make_case(uint64_t seed) {
  const RandomKey key(seed, "gain");
  uint64_t asked = 0;
  const auto below = [&](uint64_t n) { return key.at(asked++) % n; };
  Case made;
  const size_t bins = 1 + below(600);
  // Few kinds of bins, so that many candidates score the same; few with rows.
  const bool is_plain = below(3) == 0;
  const uint64_t empty = below(4) * 30;  // of a hundred
  Sums all;
  for (size_t i = 0; i < bins; ++i) {
    const uint64_t rows = below(100) < empty ? 0 : below(is_plain ? 2 : 12);
    const int64_t sign = below(2) == 0 ? 1 : -1;
    const auto times = [&](uint64_t most) {
      return static_cast<int64_t>(is_plain ? rows : below(most) * rows);
    };
    const Sums bin{sign * times(4000), times(2000), static_cast<int64_t>(rows)};
    all = all + bin;
    made.g.push_back(bin.g);
    made.h.push_back(bin.h);
    made.count.push_back(static_cast<uint32_t>(rows));
    made.words.push_back(pack_sums(bin));
  }
  const Sums missing{static_cast<int64_t>(below(2000)) - 1000, static_cast<int64_t>(below(900)),
                     static_cast<int64_t>(below(5))};
  made.all = all + missing;
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
  std::vector<int64_t> bins;
  Sums left;
  for (size_t i = 0; i < from.size(); ++i) {
    if (from.count[i] == 0) continue;
    left = left + Sums{from.g[i], from.h[i], int64_t{from.count[i]}};
    g.push_back(double(left.g) + added.g);
    h.push_back(double(left.h) + added.h);
    count.push_back(double(left.count) + added.count);
    bins.push_back(static_cast<int64_t>(i));
  }
  std::vector<double> scores(bins.size());
  candidate_scores({g.data(), h.data(), count.data(), bins.size()}, from.limits, scores.data());
  BestCandidate best;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > best.score) best = {scores[i], bins[i]};
  }
  return best;
}

void expect_same(const BestCandidate& found, const BestCandidate& expected) {
  EXPECT_EQ(found.index, expected.index);
  EXPECT_EQ(found.score, expected.score);
}

TEST(BestOfBins, IsTheFirstOfTheBestScores) {
  exact::with_each_simd([] {
    for (uint64_t seed = 0; seed < 3000; ++seed) {
      SCOPED_TRACE(seed);
      const Case given = make_case(seed);
      for (const AddedSums& added : {AddedSums{}, AddedSums{-7, 40, 3}}) {
        const BestCandidate expected = twin(given, added);
        expect_same(best_of_bins(given.wide(), added, given.limits), expected);
        expect_same(best_of_bins(given.packed(), added, given.limits), expected);
      }
      if (::testing::Test::HasFailure()) return;
    }
  });
}

TEST(BestOfBins, MayLeaveOutWhatIsLessThanAsked) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    const Case given = make_case(seed);
    const BestCandidate expected = twin(given, {});
    if (expected.index < 0 || std::isinf(expected.score)) continue;
    for (const double least :
         {expected.score / 2, std::nextafter(expected.score, 0.0), expected.score}) {
      expect_same(best_of_bins(given.wide(), {}, given.limits, least), expected);
    }
    const BestCandidate none = best_of_bins(given.wide(), {}, given.limits, expected.score * 1.01);
    EXPECT_TRUE(none.index < 0 || none.score == expected.score);
  }
}

}  // namespace
}  // namespace evergrove::trees
