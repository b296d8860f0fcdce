// One tree of 255 leaves on 1M x 28 rows of made-up bins: what a tree costs without the rest.
//
//   grow_tree_bench --benchmark_filter=best_first
// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>

#include "evergrove/base/hash.h"
#include "evergrove/trees/grower.h"

namespace evergrove::trees {
namespace {

constexpr size_t kRows = 1'000'000;
constexpr size_t kFeatures = 28;

struct Problem {
  std::vector<model::Feature> features;
  bins::BinMatrix bins;
  Gradients gradients;

  Problem() {
    features.resize(kFeatures);
    for (model::Feature& feature : features) {
      for (int i = 0; i < 254; ++i) feature.cuts.push_back(i);
    }
    bins = bins::BinMatrix(kRows, features);
    gradients.narrow.resize(kRows);
    gradients.g_unit = gradients.h_unit = 1.0 / kNarrowMax;
    const RandomKey key(7, "bins");
    for (size_t row = 0; row < kRows; ++row) {
      double signal = 0;
      for (size_t f = 0; f < kFeatures; ++f) {
        const auto bin = static_cast<uint8_t>(1 + key.at(row * kFeatures + f) % 255);
        bins.column<uint8_t>(f)[row] = bin;
        signal += (f % 3 == 0 ? 0.3 : 0.1) * std::sin(double(bin) / 40.0 * double(1 + f % 5));
      }
      const double p = 1 / (1 + std::exp(-signal));
      const bool positive = double(key.at(~row) >> 11) * 0x1p-53 < p;
      gradients.narrow[row] = {static_cast<int16_t>(positive ? -2047 : 2047), 1023};
    }
    bins.build_rows();
  }
};

void grow(benchmark::State& state, GrowthOrder order) {
  static const Problem problem;
  const auto threads = static_cast<int>(state.range(0));
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, threads);
  tbb::task_arena arena(threads);
  GrowthOptions options;
  options.order = order;
  options.leaves_max = 255;
  options.depth_max = order == GrowthOrder::symmetric ? 8 : 0;
  Grower grower(problem.bins, problem.features, options);
  GrownTree grown;
  uint64_t tree = 0;
  for (auto _ : state) {
    arena.execute([&] { grown = grower.grow(problem.gradients, 0, ++tree, {}); });
  }
  state.counters["leaves"] = double(grown.leaves.size());
  state.counters["expanded"] = double(grown.expanded_count);
  state.counters["rounds"] = double(grown.round_count);
}

BENCHMARK_CAPTURE(grow, best_first, GrowthOrder::best_first)
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(grow, by_level, GrowthOrder::by_level)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(grow, symmetric, GrowthOrder::symmetric)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace evergrove::trees

BENCHMARK_MAIN();
