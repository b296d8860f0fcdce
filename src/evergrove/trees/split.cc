// One feature at a time: its bins become candidates (running sums of the left side), and the gain
// kernel looks at them all at once. Numeric bins are taken in order; one without rows is no better
// than the one before it, and the first of equals is taken.
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

// Running sums after each of a feature's bins that have rows, bin 0 left out. The last one is
// repeated until they are a multiple of kRunningBlock.
struct Running {
  std::vector<uint64_t> words;
  std::vector<int64_t> g, h, count;
  std::vector<uint32_t> bins;
  size_t size = 0;
  bool packed = false;

  RunningSums sums() const {
    if (packed) return {.words = words.data(), .size = size};
    return {.g = g.data(), .h = h.data(), .count = count.data(), .size = size};
  }
  Sums at(size_t i) const { return packed ? unpack(words[i]) : Sums{g[i], h[i], count[i]}; }

  void collect(const Histogram& histogram, uint32_t start, uint32_t bin_count) {
    const size_t room = bin_count + kRunningBlock;
    if (bins.size() < room) {
      for (auto* each : {&g, &h, &count}) each->resize(room);
      words.resize(room);
      bins.resize(room);
    }
    packed = histogram.packed;
    if (packed) {
      const uint64_t* const from = &histogram.words[start];
      uint64_t running = 0;
      collect_bins(
          bin_count, [&](uint32_t bin) { return from[bin] != 0; },
          [&](uint32_t bin) { running += from[bin]; }, [&](size_t i) { words[i] = running; });
    } else {
      const uint32_t* const counts = &histogram.count[start];
      Sums running;
      collect_bins(
          bin_count, [&](uint32_t bin) { return counts[bin] != 0; },
          [&](uint32_t bin) { running = running + histogram.at(start + bin); },
          [&](size_t i) {
            g[i] = running.g;
            h[i] = running.h;
            count[i] = running.count;
          });
    }
  }

 private:
  // put(bin) adds a bin to what is running, and keep(i) writes that down. A bin without rows is
  // written down too, and overwritten by the next one.
  template <typename HasRows, typename Put, typename Keep>
  void collect_bins(uint32_t bin_count, HasRows has_rows, Put put, Keep keep) {
    size_t next = 0;
    for (uint32_t first = 1; first < bin_count; first += kRunningBlock) {
      const auto end = std::min(bin_count, first + static_cast<uint32_t>(kRunningBlock));
      size_t here = 0;
      for (uint32_t bin = first; bin < end; ++bin) here += has_rows(bin);
      if (here == 0) continue;
      if (here == kRunningBlock) {
        for (uint32_t i = 0; i < kRunningBlock; ++i) {
          put(first + i);
          keep(next + i);
          bins[next + i] = first + i;
        }
        next += kRunningBlock;
        continue;
      }
      for (uint32_t bin = first; bin < end; ++bin) {
        put(bin);
        keep(next);
        bins[next] = bin;
        next += has_rows(bin);
      }
    }
    size = (next + kRunningBlock - 1) / kRunningBlock * kRunningBlock;
    for (; next < size; ++next) keep(next);
  }
};

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
                    uint32_t feature, BestSplit& best) {
  const uint32_t start = search.offsets[feature];
  const Sums missing = histogram.at(start);
  thread_local Running running;
  running.collect(histogram, start, search.bin_count(feature));
  const CandidateLimits limits = limits_of(sums, search);
  for (const bool missing_left : {false, true}) {
    if (missing_left && missing.count == 0) break;
    const Sums added = missing_left ? missing : Sums{};
    const BestCandidate found =
        best_running(running.sums(), {double(added.g), double(added.h), double(added.count)},
                     limits, best.least());
    if (found.index < 0 || !best.beats(found.score)) continue;
    best.split = {
        best.gain(found.score), static_cast<int32_t>(feature),  running.bins[found.index], {},
        missing_left,           running.at(found.index) + added};
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

void search_categorical(const SplitSearch& search, const Histogram& histogram, const Sums& sums,
                        uint32_t feature, BestSplit& best) {
  const GrowthOptions& o = *search.options;
  const uint32_t start = search.offsets[feature];
  const uint32_t bin_count = search.bin_count(feature);
  std::vector<Category> present = present_categories(histogram, start, bin_count);
  if (present.size() < 2) return;
  Candidates& candidates = scratch();
  CandidateLimits limits = limits_of(sums, search);

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
  for (const uint32_t feature : candidates) {
    if (features[feature].kind == ColumnKind::numeric) {
      search_numeric(*this, histogram, sums, feature, best);
    } else {
      search_categorical(*this, histogram, sums, feature, best);
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
    for (uint32_t bin = 1; bin <= split.bin_last; ++bin) {
      here.left = here.left + histogram.at(start + bin);
    }
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
