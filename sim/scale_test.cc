// The model of many workers: what grows with them and what does not, and sizes beside real ones.
// SPDX-License-Identifier: Apache-2.0
#include "sim/scale.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "evergrove/trees/histogram_block.h"

namespace evergrove::sim {
namespace {

constexpr ScaleShape kShape{.features = 16, .leaves = 15, .trees = 2};

ScaleFigures figures_of(const ScaleOptions& options) {
  const ScaleRows rows(kShape, static_cast<uint32_t>(2 * options.workers));
  return Scale(rows, ScaleCosts{}, options).run();
}

TEST(Scale, NobodyReceivesOrSendsMuchMoreWhenThereAreMoreWorkersThanBlocks) {
  const ScaleFigures few = figures_of({.workers = 16, .rows = 1e8});
  const ScaleFigures many = figures_of({.workers = 64, .rows = 1e8});
  EXPECT_LT(many.in_bytes, 2 * few.in_bytes);
  EXPECT_LT(many.out_bytes, 2 * few.out_bytes);
  // Were all parts sent to the owner, it would receive one of each member.
  const ScaleFigures flat = figures_of({.workers = 64, .rows = 1e8, .fan_in = 1000});
  EXPECT_GT(flat.in_bytes, 2 * many.in_bytes);
  EXPECT_EQ(flat.rounds, many.rounds);
}

TEST(Scale, OneWorkerSendsNoHistograms) {
  const ScaleFigures one = figures_of({.workers = 1});
  EXPECT_LT(one.in_bytes + one.out_bytes, 100'000);
  EXPECT_GT(one.rounds, 1);
}

TEST(Scale, TimeFollowsTheNetwork) {
  const ScaleFigures quick = figures_of({.workers = 4, .latency = 0});
  const ScaleFigures slow = figures_of({.workers = 4, .bytes_a_second = 1e6, .latency = 0.1});
  EXPECT_GT(slow.seconds, quick.seconds + 0.1 * quick.rounds);
  EXPECT_STREQ(slow.bound(), slow.link_seconds > slow.latency_seconds ? "busiest link" : "latency");
}

TEST(Scale, AModelledHistogramIsAboutAsLargeAsARealOne) {
  const ScaleRows rows(kShape, 1);
  const auto store = rows.load(0);
  store->make_gradients(0, {});
  store->start_tree(0);
  std::vector<uint32_t> columns(kShape.features);
  for (uint32_t f = 0; f < columns.size(); ++f) columns[f] = f;
  size_t bins = 0;
  for (const auto& feature : rows.setup().header.features) bins += feature.bin_count();
  trees::HistogramPool pool(bins);
  std::vector<trees::HistogramPart> parts;
  store->add_histogram_parts(0, columns, parts);
  trees::HistogramPart part = parts[0];
  std::vector<trees::TreeRow> some;
  for (const size_t count : {size_t{100}, size_t{1000}, size_t{8000}, ScaleRows::kRows}) {
    some.clear();
    for (uint32_t row = 0; row < count; ++row) {
      some.push_back({row, part.input.gradients->narrow[row]});
    }
    part.rows = some;
    part.all_rows = false;
    const auto histogram = trees::build_histogram({&part, 1}, pool);
    const double real = double(trees::encode_block(*histogram, 0, bins).size());
    const double modelled = block_bytes(double(count), bins, kShape.features);
    EXPECT_GT(modelled, 0.85 * real) << count;
    EXPECT_LT(modelled, 1.35 * real) << count;
  }
}

TEST(Scale, MeasuresWhatThingsCost) {
  const ScaleCosts costs = ScaleCosts::measure(ScaleRows(kShape, 1));
  for (const double cost :
       {costs.gradient_row, costs.histogram_row_feature, costs.gathered_row_feature,
        costs.partition_row, costs.finish_row, costs.make_bin, costs.add_bin, costs.search_bin}) {
    EXPECT_GT(cost, 1e-12);
    EXPECT_LT(cost, 1e-5);
  }
}

}  // namespace
}  // namespace evergrove::sim
