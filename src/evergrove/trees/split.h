// Split: how a node's rows are divided, and the search for the best one in a histogram.
//
// The gain of a split is the loss reduction of second-order boosting (Chen and Guestrin 2016):
// half of G_L^2/(H_L+lambda) + G_R^2/(H_R+lambda) - G^2/(H+lambda), with L1 by soft threshold.
// It is computed from exact integer sums in IEEE double in a fixed order; ties go to the lower
// feature, then missing right before missing left, then the lower bin.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/trees/growth_options.h"
#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

struct Split {
  double gain = 0;  // 0: no split
  int32_t feature = -1;
  uint32_t bin_last = 0;            // numeric: bins 1 to bin_last go left
  std::vector<uint32_t> bins_left;  // categorical: the bins that go left, ascending, without bin 0
  bool missing_left = false;        // where bin 0 goes
  Sums left;

  bool found() const { return feature >= 0; }
};

// The real sums and the score G^2/(H+lambda) of a node.
struct GradientUnits {
  double g = 1;
  double h = 1;
};
double leaf_score(const Sums& sums, const GradientUnits& units, const GrowthOptions& options);
// The leaf's value, times the learning rate, in units of 2^value_exponent.
int64_t leaf_value(const Sums& sums, const GradientUnits& units, const GrowthOptions& options);

// Whether a is the better one of two splits of a node.
bool is_better(const Split& a, const Split& b);

// Features that a task searches.
inline constexpr size_t kSearchedFeatures = 64;

struct SplitSearch {
  // Where each feature's bins start in the histograms that are searched, and where the last one's
  // end. They may hold some features only; the others' entries are then not looked at.
  std::span<const uint32_t> offsets;
  std::span<const model::Feature> features;
  GradientUnits units;
  const GrowthOptions* options;
  // By feature, a bin that most rows have; empty: not known. A feature of which too few rows of a
  // node have another one cannot split it, and need not be looked at.
  std::span<const uint32_t> usual_bins = {};

  uint32_t bin_count(size_t feature) const { return offsets[feature + 1] - offsets[feature]; }

  // Returns the best split of a node with these sums over the given features; not found() if none
  // gains enough.
  Split best(const Histogram& histogram, const Sums& sums,
             std::span<const uint32_t> candidates) const;

  // The same by one thread, for who takes them in parts.
  Split best_here(const Histogram& histogram, const Sums& sums,
                  std::span<const uint32_t> candidates) const;

  // Symmetric growth: returns the split with the largest gain summed over all nodes of a level;
  // a node to which the split may not be applied (too few rows on a side) counts as no gain.
  // gains_by_node is set to what each node gains. Categories are tried one against the rest.
  Split best_shared(std::span<const Histogram* const> histograms, std::span<const Sums> sums,
                    std::span<const uint32_t> candidates) const;

  // Applies a split, of whatever origin, to a node: its gain there and the sums of the left side;
  // not found() where it may not be applied or gains nothing.
  Split apply(const Split& split, const Histogram& histogram, const Sums& sums) const;
};

}  // namespace evergrove::trees
