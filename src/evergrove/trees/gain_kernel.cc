// Multiplications, additions and divisions in one fixed order a candidate, never fused, so that
// lanes and targets agree; the maximum is the only thing that crosses lanes.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/vectors_in_arrays.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/trees/gain_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "evergrove/trees/gain_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::trees {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// What a candidate's two sides score, before anything is divided: each above / below.
template <class D, class V = hn::Vec<D>>
struct Sides {
  V above_left, below_left, above_right, below_right;
  hn::Mask<D> may;  // whether it may be applied
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE Sides<D> sides_of(D d, V g_left, V h_left, V n_left, const CandidateLimits& limits) {
  const V h_unit = hn::Set(d, limits.h_unit);
  const V lambda_l2 = hn::Set(d, limits.lambda_l2);
  const auto above = [&](V g_sum) HWY_ATTR {
    const V g_real = hn::Mul(g_sum, hn::Set(d, limits.g_unit));
    const V g_soft = hn::Max(hn::Sub(hn::Abs(g_real), hn::Set(d, limits.lambda_l1)), hn::Zero(d));
    return hn::Mul(g_soft, g_soft);
  };
  const V n_right = hn::Sub(hn::Set(d, limits.count), n_left);
  const V h_left_real = hn::Mul(h_left, h_unit);
  const V h_right_real = hn::Mul(hn::Sub(hn::Set(d, limits.h), h_left), h_unit);
  const V h_low = hn::Min(h_left_real, h_right_real);
  const auto may = hn::And(hn::And(hn::Ge(hn::Min(n_left, n_right), hn::Set(d, limits.rows_min)),
                                   hn::Ge(h_low, hn::Set(d, limits.hessian_min))),
                           hn::Gt(hn::Add(h_low, lambda_l2), hn::Zero(d)));
  return {above(g_left), hn::Add(h_left_real, lambda_l2),
          above(hn::Sub(hn::Set(d, limits.g), g_left)), hn::Add(h_right_real, lambda_l2), may};
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V score(D d, V g_left, V h_left, V n_left, const CandidateLimits& limits) {
  const Sides<D> sides = sides_of(d, g_left, h_left, n_left, limits);
  const V sum = hn::Add(hn::Div(sides.above_left, sides.below_left),
                        hn::Div(sides.above_right, sides.below_right));
  return hn::IfThenElse(sides.may, sum, hn::Set(d, -1.0));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V score(D d, const CandidateSums& c, size_t i, const CandidateLimits& limits) {
  return score(d, hn::LoadU(d, c.g + i), hn::LoadU(d, c.h + i), hn::LoadU(d, c.count + i), limits);
}

void scores_of(const CandidateSums& candidates, const CandidateLimits& limits, double* scores) {
  const hn::ScalableTag<double> d;
  const hn::CappedTag<double, 1> one;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= candidates.size; i += hn::Lanes(d)) {
    hn::StoreU(score(d, candidates, i, limits), d, scores + i);
  }
  for (; i < candidates.size; ++i) hn::StoreU(score(one, candidates, i, limits), one, scores + i);
}

BestCandidate best_of(const CandidateSums& candidates, const CandidateLimits& limits) {
  constexpr size_t kBlock = 256;
  double scores[kBlock];
  BestCandidate best;
  for (size_t first = 0; first < candidates.size; first += kBlock) {
    const size_t size = HWY_MIN(kBlock, candidates.size - first);
    const CandidateSums block = {candidates.g + first, candidates.h + first,
                                 candidates.count + first, size};
    const hn::ScalableTag<double> d;
    const size_t lanes = hn::Lanes(d);
    scores_of(block, limits, scores);
    // First whether the block holds a better one at all, then where.
    double top = -1;
    size_t i = 0;
    if (size >= lanes) {
      auto most = hn::LoadU(d, scores);
      for (i = lanes; i + lanes <= size; i += lanes) most = hn::Max(most, hn::LoadU(d, scores + i));
      top = hn::GetLane(hn::MaxOfLanes(d, most));
    }
    for (; i < size; ++i) top = HWY_MAX(top, scores[i]);
    if (!(top > best.score)) continue;
    size_t place = 0;
    while (scores[place] != top) ++place;
    best = {top, static_cast<int64_t>(first + place)};
  }
  return best;
}

// What a candidate's score is a share of, before anything is divided.
template <class V>
struct Share {
  V above, below;
};

// above / below is the score but for rounding, of a part in 2^49 at most; 0 / 1 for one that may
// not be applied.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Share<V> share_of(D d, V g_left, V h_left, V n_left, const CandidateLimits& limits) {
  const Sides<D> sides = sides_of(d, g_left, h_left, n_left, limits);
  const V above = hn::Add(hn::Mul(sides.above_left, sides.below_right),
                          hn::Mul(sides.above_right, sides.below_left));
  return {hn::IfThenElseZero(sides.may, above),
          hn::IfThenElse(sides.may, hn::Mul(sides.below_left, sides.below_right), hn::Set(d, 1.0))};
}

// Whether no product below can leave the numbers that doubles hold in full: sums are of 63 bits at
// most, what is left of them by lambda_l1 is a 2^-53rd at least, and above times below has five
// factors.
HWY_INLINE bool are_usual(const CandidateLimits& limits) {
  constexpr double kSmall = 1e-50;
  constexpr double kLarge = 1e50;
  const auto is_usual = [](double x) { return x >= kSmall && x <= kLarge; };
  return is_usual(limits.g_unit) && is_usual(limits.h_unit) &&
         (limits.lambda_l2 == 0 || is_usual(limits.lambda_l2)) &&
         limits.h * limits.h_unit <= kLarge;
}

// Eight candidates at a time; of those with the best score of a lane the first, and of the lanes'
// the first.
//
// A division takes as long as all the rest. So first the best share of a block is found, which
// takes none (a / b > c / d where a d > c b); then only those are divided that are within rounding
// of it, or of what was found before. Where numbers may be so small or large that rounding is not
// what it is elsewhere, all are divided.
template <bool kPacked>
BestCandidate best_of_running(const RunningSums& running, const AddedSums& added,
                              const CandidateLimits& limits, double least) {
  constexpr size_t kBlock = 256;
  constexpr double kNearly = 1 - 0x1p-44;
  const hn::CappedTag<double, kRunningBlock> d;
  const hn::RebindToSigned<decltype(d)> di;
  using V = hn::Vec<decltype(d)>;
  const size_t lanes = hn::Lanes(d);
  const auto with_sums = [&](size_t i, const auto& visit) HWY_ATTR {
    auto g = hn::Zero(di);
    auto h = g;
    auto n = g;
    if constexpr (kPacked) {
      const auto words = hn::LoadU(di, reinterpret_cast<const int64_t*>(running.words) + i);
      g = hn::ShiftRight<38>(words);
      h = hn::And(hn::ShiftRight<13>(words), hn::Set(di, 0x1ffffff));
      n = hn::And(words, hn::Set(di, 0x1fff));
    } else {
      g = hn::LoadU(di, running.g + i);
      h = hn::LoadU(di, running.h + i);
      n = hn::LoadU(di, running.count + i);
    }
    return visit(hn::Add(hn::ConvertTo(d, g), hn::Set(d, added.g)),
                 hn::Add(hn::ConvertTo(d, h), hn::Set(d, added.h)),
                 hn::Add(hn::ConvertTo(d, n), hn::Set(d, added.count)));
  };
  HWY_ALIGN double above[kBlock];
  HWY_ALIGN double below[kBlock];
  V best = hn::Zero(d);
  V best_at = hn::Set(d, -1.0);
  const bool is_usual = are_usual(limits);
  double bound = least * kNearly;
  for (size_t first = 0; first < running.size; first += kBlock) {
    const size_t count = HWY_MIN(kBlock, running.size - first);
    V best_above = hn::Zero(d);
    V best_below = hn::Set(d, 1.0);
    for (size_t i = 0; i < count; i += lanes) {
      const Share<V> share = with_sums(
          first + i, [&](V g, V h, V n) HWY_ATTR { return share_of(d, g, h, n, limits); });
      hn::Store(share.above, d, above + i);
      hn::Store(share.below, d, below + i);
      const auto is_better =
          hn::Gt(hn::Mul(share.above, best_below), hn::Mul(best_above, share.below));
      best_above = hn::IfThenElse(is_better, share.above, best_above);
      best_below = hn::IfThenElse(is_better, share.below, best_below);
    }
    const double top = hn::GetLane(hn::MaxOfLanes(d, hn::Div(best_above, best_below)));
    if (is_usual) {
      if (top == 0 || top < bound) continue;
      bound = HWY_MAX(bound, top * kNearly);
    }
    const V bounds = hn::Set(d, bound);
    for (size_t i = 0; i < count; i += lanes) {
      const auto is_near = hn::Ge(hn::Load(d, above + i), hn::Mul(hn::Load(d, below + i), bounds));
      if (is_usual && hn::AllFalse(d, is_near)) continue;
      const V scores =
          with_sums(first + i, [&](V g, V h, V n) HWY_ATTR { return score(d, g, h, n, limits); });
      const auto is_better = hn::Gt(scores, best);
      const V at = hn::Iota(d, static_cast<double>(first + i));
      best = hn::IfThenElse(is_better, scores, best);
      best_at = hn::IfThenElse(is_better, at, best_at);
    }
  }
  double scores[kRunningBlock];
  double places[kRunningBlock];
  hn::StoreU(best, d, scores);
  hn::StoreU(best_at, d, places);
  BestCandidate found;
  for (size_t lane = 0; lane < lanes; ++lane) {
    const auto place = static_cast<int64_t>(places[lane]);
    if (place < 0) continue;
    const bool is_first = scores[lane] == found.score && place < found.index;
    if (scores[lane] > found.score || is_first) found = {scores[lane], place};
  }
  return found;
}

BestCandidate best_running_of(const RunningSums& running, const AddedSums& added,
                              const CandidateLimits& limits, double least) {
  return running.words != nullptr ? best_of_running<true>(running, added, limits, least)
                                  : best_of_running<false>(running, added, limits, least);
}

}  // namespace HWY_NAMESPACE
}  // namespace evergrove::trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::trees {

HWY_EXPORT(scores_of);
HWY_EXPORT(best_of);
HWY_EXPORT(best_running_of);

BestCandidate best_candidate(const CandidateSums& candidates, const CandidateLimits& limits) {
  return HWY_DYNAMIC_DISPATCH(best_of)(candidates, limits);
}
BestCandidate best_running(const RunningSums& running, const AddedSums& added,
                           const CandidateLimits& limits, double least) {
  return HWY_DYNAMIC_DISPATCH(best_running_of)(running, added, limits, least);
}
void candidate_scores(const CandidateSums& candidates, const CandidateLimits& limits,
                      double* scores) {
  HWY_DYNAMIC_DISPATCH(scores_of)(candidates, limits, scores);
}

}  // namespace evergrove::trees
#endif
