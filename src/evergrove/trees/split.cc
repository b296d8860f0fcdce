// One feature at a time, all of whose candidates the gain kernel looks at at once. Numeric bins are
// taken in order, and the first of equals is taken.
// Categories are either tried one against the rest, or sorted by G/(H + smooth), for which the
// best subset is a prefix of that order (Fisher 1958, as in LightGBM); both ends are tried, so
// that what is not sorted in (rare categories, missing, never seen) may join either side.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/split.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/gain_kernel.h"

namespace evergrove::trees {
namespace {

using table::ColumnKind;

// A sorted split names at most so many categories, the smaller side of what it can tell apart.
constexpr size_t kCategoriesLeftMax = 64;
// A gain below this share of the node's own score is rounding noise.
constexpr double kGainNoise = 1e-9;

struct Candidates {
  std::vector<double> g, h, count;
  size_t size = 0;

  void reserve(size_t n) {
    if (g.size() < n) g.resize(n), h.resize(n), count.resize(n);
    size = 0;
  }
  void add(const Sums& sums) {
    g[size] = static_cast<double>(sums.g);
    h[size] = static_cast<double>(sums.h);
    count[size] = static_cast<double>(sums.count);
    ++size;
  }
  CandidateSums sums() const { return {g.data(), h.data(), count.data(), size}; }
};

Candidates& scratch() {
  thread_local Candidates candidates;
  return candidates;
}

CandidateLimits limits_of(const Sums& sums, const SplitSearch& search) {
  const GrowthOptions& o = *search.options;
  return {double(sums.g),     double(sums.h),
          double(sums.count), search.units.g,
          search.units.h,     o.lambda_l1,
          o.lambda_l2,        double(std::max<uint64_t>(1, o.leaf_rows_min)),
          o.leaf_hessian_min};
}

// Sets best to the candidate if it beats it. The gain is that over the node left whole.
struct BestSplit {
  Split split;
  double score_floor;  // a split must score above this
  double node_score;

  BestSplit(const Sums& sums, const SplitSearch& search)
      : node_score(leaf_score(sums, search.units, *search.options)) {
    score_floor = node_score + std::max(2 * search.options->gain_min, kGainNoise * node_score);
  }
  // Returns whether a split with that score is to be taken.
  bool beats(double score) const {
    return score > score_floor && (score - node_score) / 2 > split.gain;
  }
  double gain(double score) const { return (score - node_score) / 2; }
  // What is below this beats nothing, but for rounding.
  double least() const { return std::max(score_floor, node_score + 2 * split.gain); }
};

void search_numeric(const SplitSearch& search, const Histogram& histogram, const Sums& sums,
                    const CandidateLimits& limits, uint32_t feature, BestSplit& best) {
  const uint32_t start = search.offsets[feature];
  const Sums missing = histogram.at(start);
  const BinRange bins = histogram.range(start + 1, search.bin_count(feature) - 1);
  for (const bool missing_left : {false, true}) {
    if (missing_left && missing.count == 0) break;
    const Sums added = missing_left ? missing : Sums{};
    const BestCandidate found = best_of_bins(
        bins, {double(added.g), double(added.h), double(added.count)}, limits, best.least());
    if (found.index < 0 || !best.beats(found.score)) continue;
    const auto bin_last = static_cast<uint32_t>(found.index) + 1;
    best.split = {best.gain(found.score),
                  static_cast<int32_t>(feature),
                  bin_last,
                  {},
                  missing_left,
                  histogram.total(start + 1, bin_last) + added};
    // No missing here: should one come later, it goes where most rows went.
    if (missing.count == 0) {
      best.split.missing_left = 2 * best.split.left.count >= sums.count;
    }
  }
}

struct Category {
  uint32_t bin;
  Sums sums;
  double key;
};

void take_categories(const std::vector<Category>& left, double score, uint32_t feature,
                     BestSplit& best) {
  Split split;
  split.gain = best.gain(score);
  split.feature = static_cast<int32_t>(feature);
  for (const Category& category : left) {
    split.left = split.left + category.sums;
    if (category.bin == 0) {
      split.missing_left = true;
    } else {
      split.bins_left.push_back(category.bin);
    }
  }
  std::sort(split.bins_left.begin(), split.bins_left.end());
  best.split = std::move(split);
}

std::vector<Category> present_categories(const Histogram& histogram, uint32_t start,
                                         uint32_t bin_count) {
  std::vector<Category> present;
  for (uint32_t bin = 0; bin < bin_count; ++bin) {
    const Sums here = histogram.at(start + bin);
    if (here.count > 0) present.push_back({bin, here, 0});
  }
  return present;
}

void search_categorical(const SplitSearch& search, const Histogram& histogram,
                        CandidateLimits limits, uint32_t feature, BestSplit& best) {
  const GrowthOptions& o = *search.options;
  const uint32_t start = search.offsets[feature];
  const uint32_t bin_count = search.bin_count(feature);
  std::vector<Category> present = present_categories(histogram, start, bin_count);
  if (present.size() < 2) return;
  Candidates& candidates = scratch();

  if (present.size() <= o.onehot_max) {
    candidates.reserve(present.size());
    for (const Category& category : present) candidates.add(category.sums);
    const BestCandidate found = best_candidate(candidates.sums(), limits);
    if (found.index >= 0 && best.beats(found.score)) {
      take_categories({present[found.index]}, found.score, feature, best);
    }
    return;
  }

  const uint64_t rows_min = o.category_rows(search.features[feature].categories.size());
  std::erase_if(present, [&](const Category& category) {
    return category.sums.count < static_cast<int64_t>(rows_min);
  });
  if (present.empty()) return;
  for (Category& category : present) {
    category.key = double(category.sums.g) * search.units.g /
                   (double(category.sums.h) * search.units.h + o.category_smooth);
  }
  std::sort(present.begin(), present.end(), [](const Category& a, const Category& b) {
    return a.key != b.key ? a.key < b.key : a.bin < b.bin;
  });
  limits.lambda_l2 += o.category_l2;
  const size_t left_max = std::min(kCategoriesLeftMax, (present.size() + 1) / 2);
  for (const bool from_top : {false, true}) {
    if (from_top) std::reverse(present.begin(), present.end());
    candidates.reserve(left_max);
    Sums running;
    for (size_t i = 0; i < left_max; ++i) {
      running = running + present[i].sums;
      candidates.add(running);
    }
    const BestCandidate found = best_candidate(candidates.sums(), limits);
    if (found.index >= 0 && best.beats(found.score)) {
      take_categories({present.begin(), present.begin() + found.index + 1}, found.score, feature,
                      best);
    }
  }
}

bool may_apply(const Sums& left, const Sums& right, const SplitSearch& search) {
  const GrowthOptions& o = *search.options;
  const auto rows_min = static_cast<int64_t>(std::max<uint64_t>(1, o.leaf_rows_min));
  const auto enough = [&](const Sums& s) {
    const double h = double(s.h) * search.units.h;
    return s.count >= rows_min && h >= o.leaf_hessian_min && h + o.lambda_l2 > 0;
  };
  return enough(left) && enough(right);
}

}  // namespace

bool is_better(const Split& a, const Split& b) {
  if (a.gain != b.gain) return a.gain > b.gain;
  return a.found() && (!b.found() || a.feature < b.feature);
}

double leaf_score(const Sums& sums, const GradientUnits& units, const GrowthOptions& options) {
  const double g = std::max(std::abs(double(sums.g) * units.g) - options.lambda_l1, 0.0);
  const double h = double(sums.h) * units.h + options.lambda_l2;
  return h > 0 ? g * g / h : 0;
}

int64_t leaf_value(const Sums& sums, const GradientUnits& units, const GrowthOptions& options) {
  const double g = double(sums.g) * units.g;
  const double soft = std::max(std::abs(g) - options.lambda_l1, 0.0);
  const double h = double(sums.h) * units.h + options.lambda_l2;
  if (!(h > 0) || soft == 0) return 0;
  double step = soft / h;
  if (options.step_max > 0) step = std::min(step, options.step_max);
  const double value = (g < 0 ? step : -step) * options.learning_rate;
  // Far beyond any margin that means something, and small enough to be exact in a double.
  constexpr double kLargest = 4503599627370496.0;  // 2^52
  const double scaled = std::ldexp(value, -options.value_exponent);
  return static_cast<int64_t>(std::nearbyint(std::clamp(scaled, -kLargest, kLargest)));
}

Split SplitSearch::best_here(const Histogram& histogram, const Sums& sums,
                             std::span<const uint32_t> candidates) const {
  const PhaseScope scope(Phase::search);
  BestSplit best(sums, *this);
  const CandidateLimits limits = limits_of(sums, *this);
  for (const uint32_t feature : candidates) {
    // One side of any split has none of the rows with the usual bin.
    if (!usual_bins.empty()) {
      const Sums usual = histogram.at(offsets[feature] + usual_bins[feature]);
      if (double(sums.count - usual.count) < limits.rows_min) continue;
    }
    if (features[feature].kind == ColumnKind::numeric) {
      search_numeric(*this, histogram, sums, limits, feature, best);
    } else {
      search_categorical(*this, histogram, limits, feature, best);
    }
  }
  return std::move(best.split);
}

Split SplitSearch::best(const Histogram& histogram, const Sums& sums,
                        std::span<const uint32_t> candidates) const {
  if (candidates.size() <= kSearchedFeatures) return best_here(histogram, sums, candidates);
  const size_t part_count = (candidates.size() + kSearchedFeatures - 1) / kSearchedFeatures;
  std::vector<Split> parts(part_count);
  tbb::parallel_for(size_t{0}, part_count, [&](size_t part) {
    const size_t first = part * kSearchedFeatures;
    parts[part] = best_here(
        histogram, sums,
        candidates.subspan(first, std::min(kSearchedFeatures, candidates.size() - first)));
  });
  Split best;
  for (Split& part : parts) {
    if (is_better(part, best)) best = std::move(part);
  }
  return best;
}

Split SplitSearch::apply(const Split& split, const Histogram& histogram, const Sums& sums) const {
  const uint32_t start = offsets[split.feature];
  Split here = split;
  here.left = {};
  if (features[split.feature].kind == ColumnKind::numeric) {
    here.left = histogram.total(start + 1, split.bin_last);
  } else {
    for (uint32_t bin : split.bins_left) here.left = here.left + histogram.at(start + bin);
  }
  if (split.missing_left) here.left = here.left + histogram.at(start);
  const Sums right = sums - here.left;
  here.gain = may_apply(here.left, right, *this)
                  ? (leaf_score(here.left, units, *options) + leaf_score(right, units, *options) -
                     leaf_score(sums, units, *options)) /
                        2
                  : 0;
  if (!(here.gain > 0)) return {};
  return here;
}

}  // namespace evergrove::trees
