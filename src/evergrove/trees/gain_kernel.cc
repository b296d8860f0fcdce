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

// Each lane with all before it: those a step before are added, of steps 1, 2, 4.
template <size_t kStep = 1, class D, class V = hn::Vec<D>>
HWY_INLINE V running_sums(D d, V v) {
  if constexpr (kStep >= hn::MaxLanes(D())) {
    return v;
  } else {
    HWY_ALIGN int64_t places[hn::MaxLanes(D())] = {};
    for (size_t i = kStep; i < hn::MaxLanes(D()); ++i) places[i] = static_cast<int64_t>(i - kStep);
    const auto moved = hn::TableLookupLanes(v, hn::SetTableIndices(d, places));
    const auto has_one = hn::Gt(hn::Iota(d, 0), hn::Set(d, static_cast<int64_t>(kStep) - 1));
    return running_sums<2 * kStep>(d, hn::Add(v, hn::IfThenElseZero(has_one, moved)));
  }
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V last_lane_in_all(D d, V v) {
  HWY_ALIGN int64_t places[hn::MaxLanes(D())];
  for (int64_t& place : places) place = hn::MaxLanes(D()) - 1;
  return hn::TableLookupLanes(v, hn::SetTableIndices(d, places));
}

// A vector of which those past the first `count` are 0, and not read.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_some(D d, const T* from, size_t count) {
  if (count >= hn::Lanes(d)) return hn::LoadU(d, from);
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN T some[hn::MaxLanes(D())] = {};
  for (size_t i = 0; i < count; ++i) some[i] = from[i];
  return hn::Load(d, some);
#else
  return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#endif
}

// A vector of bins at a time; of those with the best score of a lane the first, and of the lanes'
// the first. A bin without rows is no better than the one before it.
//
// A division takes as long as all the rest, so only candidates are divided that are within rounding
// of what was asked for or found before, which takes none to know: a / b > c where a > c b. Where
// numbers may be so small or large that rounding is not what it is elsewhere, all are divided.
template <bool kPacked>
BestCandidate best_of_form(const BinRange& bins, const AddedSums& added,
                           const CandidateLimits& asked_limits, double least) {
  constexpr double kNearly = 1 - 0x1p-44;
  const hn::CappedTag<double, 8> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint32_t, decltype(d)> dn;
  using V = hn::Vec<decltype(d)>;
  constexpr size_t kLanes = hn::MaxLanes(decltype(d)());
  const CandidateLimits limits = asked_limits;
  auto g_before = hn::Zero(di), h_before = g_before, n_before = g_before;  // packed: the last alone
  V best = hn::Zero(d);
  V best_at = hn::Set(d, -1.0);
  const bool is_usual = are_usual(limits);
  double bound = is_usual ? least * kNearly : 0;
  for (size_t bin = 0; bin < bins.size; bin += kLanes) {
    const size_t here = bins.size - bin;
    auto g = hn::Zero(di), h = g, n = g;
    if constexpr (kPacked) {
      const auto words = load_some(di, reinterpret_cast<const int64_t*>(bins.words) + bin, here);
      if (hn::AllTrue(di, hn::Eq(words, hn::Zero(di)))) continue;
      const auto running = hn::Add(running_sums(di, words), n_before);
      n_before = last_lane_in_all(di, running);
      g = hn::ShiftRight<38>(running);
      h = hn::And(hn::ShiftRight<13>(running), hn::Set(di, 0x1ffffff));
      n = hn::And(running, hn::Set(di, 0x1fff));
    } else {
      const auto counts = load_some(dn, bins.count + bin, here);
      if (hn::AllTrue(dn, hn::Eq(counts, hn::Zero(dn)))) continue;
      const auto wide = hn::PromoteTo(hn::RebindToUnsigned<decltype(d)>(), counts);
      g = hn::Add(running_sums(di, load_some(di, bins.g + bin, here)), g_before);
      h = hn::Add(running_sums(di, load_some(di, bins.h + bin, here)), h_before);
      n = hn::Add(running_sums(di, hn::BitCast(di, wide)), n_before);
      g_before = last_lane_in_all(di, g);
      h_before = last_lane_in_all(di, h);
      n_before = last_lane_in_all(di, n);
    }
    const V g_left = hn::Add(hn::ConvertTo(d, g), hn::Set(d, added.g));
    const V h_left = hn::Add(hn::ConvertTo(d, h), hn::Set(d, added.h));
    // Before the first bin with rows there is no candidate.
    const V rows = hn::ConvertTo(d, n);
    const V n_left =
        hn::IfThenElseZero(hn::Gt(rows, hn::Zero(d)), hn::Add(rows, hn::Set(d, added.count)));
    const Share<V> share = share_of(d, g_left, h_left, n_left, limits);
    const auto is_near = hn::Ge(share.above, hn::Mul(share.below, hn::Set(d, bound)));
    if (is_usual && hn::AllFalse(d, is_near)) continue;
    const V scores = score(d, g_left, h_left, n_left, limits);
    const auto is_better = hn::Gt(scores, best);
    best = hn::IfThenElse(is_better, scores, best);
    best_at = hn::IfThenElse(is_better, hn::Iota(d, static_cast<double>(bin)), best_at);
    bound = HWY_MAX(bound, hn::GetLane(hn::MaxOfLanes(d, best)) * kNearly);
  }
  HWY_ALIGN double scores[kLanes], best_places[kLanes];
  hn::Store(best, d, scores);
  hn::Store(best_at, d, best_places);
  BestCandidate found;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const auto place = static_cast<int64_t>(best_places[lane]);
    if (place < 0) continue;
    const bool is_first = scores[lane] == found.score && place < found.index;
    if (scores[lane] > found.score || is_first) found = {scores[lane], place};
  }
  return found;
}

BestCandidate best_of_bins_of(const BinRange& bins, const AddedSums& added,
                              const CandidateLimits& limits, double least) {
  return bins.words != nullptr ? best_of_form<true>(bins, added, limits, least)
                               : best_of_form<false>(bins, added, limits, least);
}

}  // namespace HWY_NAMESPACE
}  // namespace evergrove::trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evergrove::trees {

HWY_EXPORT(scores_of);
HWY_EXPORT(best_of);
HWY_EXPORT(best_of_bins_of);

BestCandidate best_candidate(const CandidateSums& candidates, const CandidateLimits& limits) {
  return HWY_DYNAMIC_DISPATCH(best_of)(candidates, limits);
}
BestCandidate best_of_bins(const BinRange& bins, const AddedSums& added,
                           const CandidateLimits& limits, double least) {
  return HWY_DYNAMIC_DISPATCH(best_of_bins_of)(bins, added, limits, least);
}
void candidate_scores(const CandidateSums& candidates, const CandidateLimits& limits,
                      double* scores) {
  HWY_DYNAMIC_DISPATCH(scores_of)(candidates, limits, scores);
}

}  // namespace evergrove::trees
#endif
