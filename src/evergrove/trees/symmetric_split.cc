// The shared split of symmetric (oblivious) trees: the gains of each candidate, summed over the
// nodes of a level in their order. Candidates are told apart by bin, so that all nodes agree on
// what a candidate is.
// SPDX-License-Identifier: Apache-2.0
#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/phase.h"
#include "evergrove/trees/gain_kernel.h"
#include "evergrove/trees/split.h"

namespace evergrove::trees {
namespace {

struct Scratch {
  std::vector<double> g, h, count, scores, total;
  explicit Scratch(size_t size) : g(size), h(size), count(size), scores(size), total(size, 0.0) {}
};

// Fills in what goes left for each candidate of one node: bins 1 to b, or bin b alone.
void fill(const Histogram& histogram, uint32_t start, uint32_t bin_count, bool alone,
          const Sums& added, Scratch& scratch) {
  Sums running = added;
  for (uint32_t bin = 0; bin < bin_count; ++bin) {
    const Sums here = histogram.at(start + bin);
    if (bin > 0) running = running + here;
    const Sums& left = alone ? here : running;
    scratch.g[bin] = double(left.g);
    scratch.h[bin] = double(left.h);
    scratch.count[bin] = double(left.count);
  }
}

}  // namespace

Split SplitSearch::best_shared(std::span<const Histogram* const> histograms,
                               std::span<const Sums> sums,
                               std::span<const uint32_t> candidates) const {
  const GrowthOptions& o = *options;
  std::vector<double> node_scores;
  for (const Sums& node : sums) node_scores.push_back(leaf_score(node, units, o));

  const auto search_feature = [&](uint32_t feature) {
    const PhaseScope scope(Phase::search);
    const uint32_t start = offsets[feature];
    const uint32_t bin_count = this->bin_count(feature);
    const bool numeric = features[feature].kind == table::ColumnKind::numeric;
    int64_t missing_count = 0;
    for (const Histogram* histogram : histograms) missing_count += histogram->at(start).count;

    Split best;
    for (const bool missing_left : {false, true}) {
      if (missing_left && (!numeric || missing_count == 0)) break;
      Scratch scratch(bin_count);
      for (size_t node = 0; node < histograms.size(); ++node) {
        const Histogram& histogram = *histograms[node];
        fill(histogram, start, bin_count, !numeric, missing_left ? histogram.at(start) : Sums{},
             scratch);
        const CandidateLimits limits = {double(sums[node].g),
                                        double(sums[node].h),
                                        double(sums[node].count),
                                        units.g,
                                        units.h,
                                        o.lambda_l1,
                                        o.lambda_l2,
                                        double(std::max<uint64_t>(1, o.leaf_rows_min)),
                                        o.leaf_hessian_min};
        candidate_scores({scratch.g.data(), scratch.h.data(), scratch.count.data(), bin_count},
                         limits, scratch.scores.data());
        for (uint32_t bin = numeric ? 1 : 0; bin < bin_count; ++bin) {
          const double gain = (scratch.scores[bin] - node_scores[node]) / 2;
          if (scratch.scores[bin] >= 0 && gain > 0) scratch.total[bin] += gain;
        }
      }
      for (uint32_t bin = numeric ? 1 : 0; bin < bin_count; ++bin) {
        if (!(scratch.total[bin] > best.gain)) continue;
        best = Split{scratch.total[bin], static_cast<int32_t>(feature), bin, {}, missing_left, {}};
        if (!numeric) {
          best.missing_left = bin == 0;
          if (bin > 0) best.bins_left = {bin};
        }
      }
    }
    if (best.found() && numeric && missing_count == 0) {
      int64_t left_count = 0;
      int64_t count = 0;
      for (size_t node = 0; node < histograms.size(); ++node) {
        for (uint32_t bin = 1; bin <= best.bin_last; ++bin) {
          left_count += histograms[node]->at(start + bin).count;
        }
        count += sums[node].count;
      }
      best.missing_left = 2 * left_count >= count;
    }
    return best;
  };

  std::vector<Split> by_feature(candidates.size());
  tbb::parallel_for(size_t{0}, candidates.size(),
                    [&](size_t i) { by_feature[i] = search_feature(candidates[i]); });
  Split best;
  double node_score_sum = 0;
  for (double score : node_scores) node_score_sum += score;
  for (Split& split : by_feature) {
    if (split.found() && split.gain > best.gain) best = std::move(split);
  }
  if (!(best.gain > std::max(o.gain_min, 1e-9 * node_score_sum))) return {};
  return best;
}

}  // namespace evergrove::trees
