// The gain of many candidate splits at once, with SIMD; the same bits on every target.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

// Sums of the left side of each candidate: integers, held exactly in doubles.
struct CandidateSums {
  const double* g;
  const double* h;
  const double* count;
  size_t size;
};

// Goes left with each of them.
struct AddedSums {
  double g = 0, h = 0, count = 0;
};

struct CandidateLimits {
  double g, h, count;  // sums of the node, integers
  double g_unit, h_unit;
  double lambda_l1, lambda_l2;
  double rows_min, hessian_min;  // rows_min: 1 at least
};

struct BestCandidate {
  double score = 0;    // G_L^2/(H_L+lambda) + G_R^2/(H_R+lambda); 0: none may be applied
  int64_t index = -1;  // the first with that score
};

// The best of the candidates that leave rows_min rows and hessian_min hessian on both sides.
BestCandidate best_candidate(const CandidateSums& candidates, const CandidateLimits& limits);

// The best of as many candidates as there are bins: that bin and all before it go left. index is of
// a bin that has rows. Candidates whose score is below `least` may be left out.
BestCandidate best_of_bins(const BinRange& bins, const AddedSums& added,
                           const CandidateLimits& limits, double least = 0);

// The score of each candidate; -1 for one that may not be applied.
void candidate_scores(const CandidateSums& candidates, const CandidateLimits& limits,
                      double* scores);

}  // namespace evergrove::trees
