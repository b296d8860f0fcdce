// SPDX-License-Identifier: Apache-2.0
#include "sim/scale_costs.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <ctime>
#include <numeric>
#include <span>

#include "evergrove/base/check.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/run_history.h"
#include "evergrove/trees/histogram_block.h"

namespace evergrove::sim {
namespace {

constexpr size_t kMeasuredRows = 500'000;
constexpr int kTimes = 5;
constexpr uint32_t kLevels = 8;  // of a tree whose rows are moved, as of one with 255 leaves

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// CPU time, and the least of several: what else the machine does makes it longer only. Requires
// that all of it is done by this thread.
template <typename Prepare, typename Work>
double seconds_of(const Prepare& prepare, const Work& work) {
  double least = 1e9;
  for (int i = 0; i < kTimes; ++i) {
    prepare();
    const double begin = cpu_seconds();
    work();
    least = std::min(least, cpu_seconds() - begin);
  }
  return least;
}

template <typename Work>
double seconds_of(const Work& work) {
  return seconds_of([] {}, work);
}

// Splits all nodes of so many levels, each level in the middle of another feature: what a row costs
// depends on how many rows its node has.
void grow(train::RowStore& store, std::span<const model::Feature> features) {
  store.make_room(uint32_t{2} << kLevels);
  for (uint32_t level = 0, node = 0; level < kLevels; ++level) {
    trees::Split split;
    split.feature = level % static_cast<uint32_t>(features.size());
    split.bin_last = features[split.feature].bin_count() / 2;
    for (uint32_t i = 0; i < uint32_t{1} << level; ++i, ++node) {
      store.split(node, split, 2 * node + 1, 2 * node + 2);
    }
  }
}

}  // namespace

ScaleCosts ScaleCosts::measure(const ScaleRows& rows) {
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  const cluster::RunSetup& setup = rows.setup();
  const auto& features = setup.header.features;
  const auto objective = setup.header.parameters.objective;
  const trees::GrowthOptions options = train::growth_options(setup.header);
  const auto store = rows.repeated(kMeasuredRows);
  const double row_count = double(kMeasuredRows);
  std::vector<uint32_t> columns(features.size());
  std::iota(columns.begin(), columns.end(), 0u);
  std::vector<uint32_t> offsets = {0};
  for (const auto& feature : features) offsets.push_back(offsets.back() + feature.bin_count());
  const size_t bins = offsets.back();
  trees::HistogramPool pool(bins);

  ScaleCosts costs;
  const train::GradientScale scale = train::scale_to_try(objective, setup.weight_facts, 0, false);
  costs.gradient_row = seconds_of([&] {
                         store->make_gradients(0, scale);
                         store->start_tree(0);
                       }) /
                       row_count;
  const auto parts_of = [&](uint32_t node) {
    std::vector<trees::HistogramPart> parts;
    store->add_histogram_parts(node, columns, parts);
    return parts;
  };
  const auto build = [&](uint32_t node) { return trees::build_histogram(parts_of(node), pool); };
  costs.histogram_row_feature =
      seconds_of([&] { pool.give_back(build(0)); }) / (row_count * double(features.size()));

  const auto root = build(0);
  trees::Sums sums;
  for (uint32_t bin = 0; bin < offsets[1]; ++bin) sums = sums + root->at(bin);
  const trees::SplitSearch search{
      offsets, features,
      train::gradient_units(objective, setup.header.base_margins.size(), setup.weight_facts, scale),
      &options};
  const trees::Split split = search.best(*root, sums, columns);
  CHECK(split.found());
  const double search_seconds = seconds_of([&] { (void)search.best(*root, sums, columns); });

  const auto start = [&] { store->start_tree(0); };
  costs.partition_row =
      seconds_of(start, [&] { grow(*store, features); }) / (row_count * double(kLevels));
  start();
  store->make_room(3);
  store->split(0, split, 1, 2);
  const auto half = build(1);
  const double gathered = double(parts_of(1)[0].row_count());
  costs.gathered_row_feature =
      seconds_of([&] { pool.give_back(build(1)); }) / (gathered * double(features.size()));

  std::string bytes;
  const double encode = seconds_of([&] { bytes = trees::encode_block(*half, 0, bins); });
  const double clear = seconds_of([&] { pool.give_back(pool.take(false)); });
  costs.make_bin = (encode + clear) / double(bins);
  trees::Histogram sum = trees::wide_histogram(bins);
  costs.add_bin = seconds_of([&] { CHECK(trees::add_block(bytes, sum).ok()); }) / double(bins);
  const double subtract = seconds_of([&] {
    auto parent = std::make_unique<trees::Histogram>(*root);
    pool.give_back(trees::subtract(std::move(parent), *half, kMeasuredRows / 2, true, pool));
  });
  costs.search_bin = (2 * search_seconds + subtract) / double(bins);

  model::Tree tree;
  tree.nodes.emplace_back();
  std::vector<train::RowStore::Leaf> leaves;
  for (uint32_t i = 0; i < uint32_t{1} << kLevels; ++i) {
    leaves.push_back({(uint32_t{1} << kLevels) - 1 + i, 1});
  }
  const auto grown = [&] {
    start();
    grow(*store, features);
  };
  costs.finish_row = seconds_of(grown,
                                [&] {
                                  CHECK(store->finish_tree(leaves, tree).ok());
                                  store->end_iteration();
                                }) /
                     row_count;
  return costs;
}

double block_bytes(double rows, size_t bins, size_t features) {
  if (rows < 1) rows = 0;
  const double mean = rows * double(features) / double(bins);  // rows a bin
  const double present = double(bins) * (1 - exact::exp(-mean));
  const double most = mean + 3 * std::sqrt(mean) + 1;  // of a bin
  const auto count_bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(most)));
  const int sum_bits = count_bits + 12;  // of narrow gradients
  const auto whole = [](int bits) { return (bits + 7) / 8; };
  const int item = rows <= double(trees::kPackedRows)
                       ? whole(sum_bits + 1 + sum_bits + count_bits)
                       : whole(sum_bits + 1) + whole(sum_bits) + whole(count_bits);
  return 4 + double(bins) / 8 + present * item;
}

}  // namespace evergrove::sim
