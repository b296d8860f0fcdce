// The greedy equal-frequency cut of LightGBM (Ke et al. 2017) over the distinct values: a value
// with at least a mean bin's count gets its own bin, the rest share what bins are left.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/cuts.h"

#include <algorithm>
#include <cmath>

namespace evergrove::bins {
namespace {

struct DistinctValue {
  double value;
  uint64_t count;
};

// Returns c with a <= c < b, half-way where that can be represented.
double between(double a, double b) {
  const double middle = a / 2 + b / 2;
  return middle >= a && middle < b ? middle : a;
}

std::vector<DistinctValue> count_distinct(std::vector<double>& values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  std::sort(values.begin(), values.end());
  std::vector<DistinctValue> distinct;
  for (double x : values) {
    if (distinct.empty() || x != distinct.back().value) {
      distinct.push_back({x, 0});
    }
    ++distinct.back().count;
  }
  return distinct;
}

}  // namespace

std::vector<double> make_cuts(std::vector<double> values, uint32_t bins_max) {
  const std::vector<DistinctValue> distinct = count_distinct(values);
  std::vector<double> cuts;
  if (distinct.empty()) return cuts;
  const auto cut_after = [&](size_t i) {
    // -infinity and the lowest finite number have no representable middle; keep cuts finite.
    const double cut = between(distinct[i].value, distinct[i + 1].value);
    cuts.push_back(std::isfinite(cut) ? cut + 0.0  // never -0.0
                                      : std::nextafter(distinct[i + 1].value, -INFINITY));
  };
  if (distinct.size() <= bins_max) {
    for (size_t i = 0; i + 1 < distinct.size(); ++i) cut_after(i);
    return cuts;
  }
  const double mean = double(values.size()) / bins_max;
  uint64_t shared_count = 0;
  int64_t shared_bins = bins_max;
  for (const DistinctValue& d : distinct) {
    if (double(d.count) >= mean) {
      --shared_bins;
    } else {
      shared_count += d.count;
    }
  }
  double shared_mean = shared_bins > 0 ? double(shared_count) / double(shared_bins) : INFINITY;
  uint64_t in_bin = 0;
  for (size_t i = 0; i + 1 < distinct.size() && cuts.size() + 1 < bins_max; ++i) {
    const bool alone = double(distinct[i].count) >= mean;
    if (!alone) shared_count -= distinct[i].count;
    in_bin += distinct[i].count;
    const bool next_alone = double(distinct[i + 1].count) >= mean;
    if (alone || double(in_bin) >= shared_mean ||
        (next_alone && double(in_bin) >= std::max(1.0, shared_mean / 2))) {
      cut_after(i);
      in_bin = 0;
      if (!alone) {
        --shared_bins;
        shared_mean = shared_bins > 0 ? double(shared_count) / double(shared_bins) : INFINITY;
      }
    }
  }
  return cuts;
}

}  // namespace evergrove::bins
