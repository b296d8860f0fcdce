// Rows over several stores are as good as all in one place: a run decided by hand from what the
// stores add up to has the very iterations of Trainer, whichever store has which rows.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/row_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "evergrove/train/run_history.h"
#include "evergrove/train/testing_run.h"
#include "evergrove/train/trainer.h"
#include "evergrove/trees/column_sample.h"
#include "evergrove/trees/histogram_block.h"
#include "evergrove/trees/tree_walk.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr ObjectiveKind kObjectives[] = {ObjectiveKind::binary, ObjectiveKind::multiclass,
                                         ObjectiveKind::regression};

std::string bytes_of(const MetricSummary& summary) {
  ByteWriter out;
  summary.encode(out);
  return out.take();
}

bool equal(const trees::Histogram& a, const trees::Histogram& b) {
  const size_t bins = a.packed ? a.words.size() : a.g.size();
  for (size_t bin = 0; bin < bins; ++bin) {
    if (!(a.at(bin) == b.at(bin))) return false;
  }
  return true;
}

std::unique_ptr<trees::Histogram> histogram_of(RowStore& store, uint32_t node,
                                               std::span<const uint32_t> columns) {
  std::vector<trees::HistogramPart> parts;
  store.add_histogram_parts(node, columns, parts);
  trees::HistogramPool pool(parts[0].input.bins->histogram_offsets().back());
  return trees::build_histogram(parts, pool);
}

// Stores over all rows of a run, and what is decided from their sums, one round after another.
class Stores {
 public:
  Stores(const TestingRun& run, const RunDescription& description, size_t store_count,
         uint64_t seed)
      : description_(description),
        options_(growth_options(description.header)),
        history_(description.header),
        last_wide_(output_count()) {
    const auto shards = make_shards(run.spec, header().parameters.seed, 70);
    for (const auto& hand : deal(shards, store_count, seed)) {
      stores_.emplace_back(header(), description_.weight_facts, run.read(header(), hand));
    }
  }

  const RunHeader& header() const { return description_.header; }
  size_t output_count() const { return header().base_margins.size(); }
  size_t bin_count() const { return offsets().back(); }
  std::vector<uint32_t> offsets() const {
    const bins::BinMatrix no_rows(0, header().features);
    return {no_rows.histogram_offsets().begin(), no_rows.histogram_offsets().end()};
  }
  const std::vector<bool>& last_wide() const { return last_wide_; }
  std::deque<RowStore>& all() { return stores_; }
  RowStore& operator[](size_t i) { return stores_[i]; }

  // Makes the gradients of all outputs, each narrow or wide as all rows' tallies say.
  std::vector<trees::GradientUnits> make_gradients();
  RoundingTally tally(uint32_t output, const GradientScale& scale) {
    RoundingTally total;
    for (RowStore& store : stores_) total = total + store.make_gradients(output, scale);
    return total;
  }
  trees::Histogram histogram(uint32_t node, std::span<const uint32_t> columns) {
    trees::Histogram sum = trees::wide_histogram(bin_count());
    for (RowStore& store : stores_) {
      trees::add_range(*histogram_of(store, node, columns), 0, sum);
    }
    return sum;
  }
  std::vector<MetricSummary> metrics() {
    std::vector<MetricSummary> sums(header().valid_names.size());
    for (RowStore& store : stores_) {
      const auto parts = store.metrics(history_.metric_names(), description_.weight_max_by_set);
      for (size_t i = 0; i < sums.size(); ++i) sums[i].merge(parts[i]);
    }
    return sums;
  }
  MetricSummary training_metrics() {
    MetricSummary sum;
    for (RowStore& store : stores_) {
      sum.merge(store.training_metrics(history_.metric_names(), description_.training_weight_max));
    }
    return sum;
  }
  // Grows a tree, several nodes at a time, and ends it: every store but each third by its rows'
  // leaves, those by the tree alone.
  model::Tree grow(uint32_t output, const trees::GradientUnits& units, size_t batch_size);
  Iteration next(size_t batch_size);
  // Between two trees: every store is cut in two, then, between two iterations, every second one is
  // joined to the one before it.
  void regroup(uint64_t seed, bool is_between_iterations);
  void apply(const Iteration& iteration) {
    for (RowStore& store : stores_) {
      const Status status = store.apply(std::span(&iteration.trees, 1));
      EXPECT_TRUE(status.ok()) << status.message();
    }
  }

 private:
  RunDescription description_;
  trees::GrowthOptions options_;
  RunHistory history_;  // for the names of metrics
  std::deque<RowStore> stores_;
  std::vector<bool> last_wide_;
};

std::vector<trees::GradientUnits> Stores::make_gradients() {
  const ObjectiveKind objective = header().parameters.objective;
  const WeightFacts& facts = description_.weight_facts;
  std::vector<trees::GradientUnits> units;
  for (uint32_t output = 0; output < output_count(); ++output) {
    double largest = 0;
    for (RowStore& store : stores_) largest = std::max(largest, store.largest_gradient());
    GradientScale scale = scale_to_try(objective, facts, largest, last_wide_[output]);
    const bool wide = should_be_wide(objective, facts, tally(output, scale));
    if (wide != scale.wide) {
      scale.wide = wide;
      tally(output, scale);
    }
    last_wide_[output] = wide;
    const trees::GradientUnits unit = gradient_units(objective, output_count(), facts, scale);
    units.push_back({unit.g, unit.h});
  }
  return units;
}

model::Tree Stores::grow(uint32_t output, const trees::GradientUnits& units, size_t batch_size) {
  const uint64_t tree_index = stores_[0].iteration_count() * output_count() + output;
  const auto columns = trees::tree_columns(header().features.size(), options_, tree_index);
  for (RowStore& store : stores_) store.start_tree(output);
  const std::vector<uint32_t> offsets = this->offsets();
  std::vector<trees::Histogram> histograms = {histogram(0, columns)};
  trees::Sums sums;
  for (uint32_t bin = offsets[columns[0]]; bin < offsets[columns[0] + 1]; ++bin) {
    sums = sums + histograms[0].at(bin);
  }
  trees::TreeWalk walk(options_, sums);
  const trees::SplitSearch search{offsets, header().features, units, &options_};
  const auto find_split = [&](uint32_t id) {
    const trees::TreeWalk::Node& node = walk.node(id);
    if (!walk.may_split(id)) return trees::Split{};
    return search.best(histograms[id], node.sums,
                       trees::node_columns(columns, options_, tree_index, node.depth, node.path));
  };
  walk.set_split(0, find_split(0));
  while (!walk.finished()) {
    for (uint32_t id : walk.next_batch(batch_size)) {
      const trees::TreeWalk::Node& node = walk.node(id);
      const auto left = static_cast<uint32_t>(node.left);
      const auto right = static_cast<uint32_t>(node.right);
      for (RowStore& store : stores_) {
        EXPECT_FALSE(store.knows(left));
        store.make_room(static_cast<uint32_t>(walk.node_count()));
        store.split(id, node.split, left, right);
        EXPECT_TRUE(store.knows(left) && store.knows(right));
      }
      histograms.resize(walk.node_count());
      histograms[left] = histogram(left, columns);
      histograms[right] = histogram(right, columns);
      trees::Histogram both = histograms[left];
      trees::add_range(histograms[right], 0, both);
      EXPECT_TRUE(equal(both, histograms[id]));
      walk.set_split(left, find_split(left));
      walk.set_split(right, find_split(right));
    }
  }
  std::vector<uint32_t> leaf_ids;
  model::Tree tree = walk.tree(header().features, units, &leaf_ids);
  tree.output = output;
  std::vector<RowStore::Leaf> leaves;
  for (uint32_t id : leaf_ids) {
    leaves.push_back({id, trees::leaf_value(walk.node(id).sums, units, options_)});
  }
  for (size_t i = 0; i < stores_.size(); ++i) {
    const Status status =
        i % 3 == 2 ? stores_[i].take_tree(tree) : stores_[i].finish_tree(leaves, tree);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  return tree;
}

void Stores::regroup(uint64_t seed, bool is_between_iterations) {
  std::vector<std::unique_ptr<RowStore>> pieces;
  for (RowStore& store : stores_) {
    const RowCounts all = store.row_counts();
    RowCounts first, second;
    for (size_t i = 0; i < all.size(); ++i) {
      first.push_back(mix64(seed + i) % (all[i] + 1));
      second.push_back(all[i] - first[i]);
    }
    for (auto& piece : store.divide(std::vector<RowCounts>{first, second})) {
      pieces.push_back(std::move(piece));
    }
  }
  stores_.clear();
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool is_joined = is_between_iterations && i % 3 == 1 && i + 1 < pieces.size();
    if (is_joined) {
      std::vector<std::unique_ptr<RowStore>> two;
      two.push_back(std::move(pieces[i]));
      two.push_back(std::move(pieces[++i]));
      stores_.push_back(std::move(*RowStore::join(std::move(two))));
    } else {
      stores_.push_back(std::move(*pieces[i]));
    }
  }
}

Iteration Stores::next(size_t batch_size) {
  Iteration iteration;
  iteration.index = stores_[0].iteration_count();
  const auto units = make_gradients();
  for (uint32_t output = 0; output < output_count(); ++output) {
    iteration.trees.push_back(grow(output, units[output], batch_size));
  }
  for (RowStore& store : stores_) store.end_iteration();
  const std::vector<MetricSummary> sums = metrics();
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto values = sums[i].values();
    EXPECT_TRUE(values.ok()) << values.status().message();
    for (size_t k = 0; k < values->size(); ++k) {
      iteration.metrics.push_back(
          {header().valid_names[i], std::string(history_.metric_names()[k]), (*values)[k]});
    }
  }
  return iteration;
}

// A run by the seed: sampled rows and columns or all, narrow gradients and wide.
TestingRun run_of(uint64_t seed) {
  TestingShape shape{.objective = kObjectives[seed % 3],
                     .row_count = 900 + seed * 37,
                     .block_rows = 30 + seed,
                     .weighted = seed % 4 < 2,
                     .valid_fraction = seed % 2 == 0 ? 0.2 : 0,
                     .seed = seed};
  TestingRun run(shape);
  run.parameters.subsample = seed % 5 < 2 ? 0.6 : 1;
  run.parameters.colsample_bytree = seed % 3 == 1 ? 0.7 : 1;
  run.parameters.colsample_bynode = seed % 4 == 1 ? 0.7 : 1;
  run.parameters.growth = seed % 6 < 3 ? Growth::leaf : Growth::depth;
  run.parameters.max_leaves = 12;
  run.parameters.max_depth = 5;
  if (shape.objective == ObjectiveKind::binary && seed % 4 == 3) {
    run.parameters.scale_pos_weight = 300;  // makes gradients wide
  }
  return run;
}

TEST(RowStore, ARunOverManyIsTheRunOfOneTrainer) {
  size_t grown = 0;
  std::set<bool> widths;
  for (uint64_t seed = 0; seed < 18; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run = run_of(seed);
    const RunDescription description = run.description();
    auto trainer = Trainer::create(description.header, run.prepared().data);
    ASSERT_TRUE(trainer.ok()) << trainer.status().message();
    Stores stores(run, description, 1 + seed % 6, seed);
    std::vector<Iteration> log;
    for (int i = 0; i < 3; ++i) {
      log.push_back(*(*trainer)->next());
      for (const model::Tree& tree : log.back().trees) grown += tree.nodes.size() > 9;
      const Iteration by_hand = stores.next(1 + seed % 4);
      ASSERT_EQ(encode_iteration(by_hand), encode_iteration(log.back())) << "iteration " << i;
      widths.insert(stores.last_wide().begin(), stores.last_wide().end());
    }
    const auto training = stores.training_metrics().values();
    ASSERT_TRUE(training.ok());
    const auto expected = *(*trainer)->training_metrics();
    ASSERT_EQ(training->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ((*training)[i], expected[i].value);

    // Others, with other rows each, that only read what was decided, go on as well.
    Stores late(run, description, 2 + seed % 3, seed + 100);
    for (const Iteration& iteration : log) late.apply(iteration);
    EXPECT_EQ(encode_iteration(late.next(3)), encode_iteration(*(*trainer)->next()));
  }
  EXPECT_GT(grown, 50u);  // or the runs above would show little
  EXPECT_EQ(widths.size(), 2u);
}

TEST(RowStore, RowsThatAreJoinedAndDividedGoOnAsTheyWere) {
  for (uint64_t seed = 0; seed < 18; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run = run_of(seed);
    const RunDescription description = run.description();
    auto trainer = Trainer::create(description.header, run.prepared().data);
    ASSERT_TRUE(trainer.ok()) << trainer.status().message();
    Stores stores(run, description, 1 + seed % 3, seed);
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(encode_iteration(stores.next(2)), encode_iteration(*(*trainer)->next())) << i;
      stores.regroup(seed + 50 * i, true);
    }
    const Iteration next = *(*trainer)->next();
    stores.make_gradients();  // of a tree that is begun, and forgotten
    for (RowStore& store : stores.all()) store.start_tree(0);
    for (const model::Tree& tree : next.trees) {
      for (RowStore& store : stores.all()) ASSERT_TRUE(store.take_tree(tree).ok());
      stores.regroup(seed, false);
    }
    if (seed % 2 == 0) {  // what was finished and not ended is taken back
      for (RowStore& store : stores.all()) store.drop_iteration();
      stores.apply(next);
    } else {
      for (RowStore& store : stores.all()) store.end_iteration();
    }
    EXPECT_EQ(encode_iteration(stores.next(3)), encode_iteration(*(*trainer)->next()));
  }
}

// As after a coordinator that had decided more than it had logged.
TEST(RowStore, TakesBackWhatWasDecidedAndDecidesItAgain) {
  for (uint64_t seed = 0; seed < 18; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run = run_of(seed);
    const RunDescription description = run.description();
    Stores stores(run, description, 1 + seed % 3, seed);
    std::vector<Iteration> log;
    for (int i = 0; i < 5; ++i) {
      log.push_back(stores.next(2));
      if (i == 1) stores.regroup(seed, true);
    }
    const uint64_t kept = seed % 5;
    if (seed % 2 == 0) {  // in the middle of an iteration
      stores.make_gradients();
      for (RowStore& store : stores.all()) {
        store.start_tree(0);
        ASSERT_TRUE(store.take_tree(log[0].trees[0]).ok());
      }
    }
    for (RowStore& store : stores.all()) {
      store.take_back_to(5);
      EXPECT_EQ(store.iteration_count(), 5u);
      store.take_back_to(kept);
      EXPECT_EQ(store.iteration_count(), kept);
    }
    for (uint64_t i = kept; i < 5; ++i) {
      ASSERT_EQ(encode_iteration(stores.next(3)), encode_iteration(log[i])) << i;
    }
  }
}

TEST(RowStore, PartsAddUpToTheWhole) {
  for (const ObjectiveKind objective : kObjectives) {
    for (const bool wide : {false, true}) {
      TestingRun run({.objective = objective, .row_count = 2000});
      run.parameters.subsample = wide ? 0.5 : 1;
      const RunDescription description = run.description();
      RowStore whole(description.header, description.weight_facts, run.prepared().data);
      Stores parts(run, description, 5, 9);
      uint64_t row_count = 0;
      double largest = 0;
      for (RowStore& store : parts.all()) {
        row_count += store.row_count();
        largest = std::max(largest, store.largest_gradient());
      }
      EXPECT_EQ(row_count, whole.row_count());
      EXPECT_EQ(largest, whole.largest_gradient());
      const GradientScale scale{.wide = wide, .g_max = largest > 0 ? largest : 1};
      const auto all_columns = std::vector<uint32_t>{0, 1, 2};
      for (uint32_t output = 0; output < parts.output_count(); ++output) {
        EXPECT_EQ(parts.tally(output, scale), whole.make_gradients(output, scale));
        for (RowStore& store : parts.all()) store.start_tree(output);
        whole.start_tree(output);
        EXPECT_TRUE(equal(*histogram_of(whole, 0, all_columns), parts.histogram(0, all_columns)));
      }
      const std::vector<std::string> names = default_metrics(objective);
      const auto sums = whole.metrics(names, description.weight_max_by_set);
      const auto sums_of_parts = parts.metrics();
      ASSERT_EQ(sums.size(), 2u);
      for (size_t i = 0; i < sums.size(); ++i) {
        EXPECT_EQ(bytes_of(sums[i]), bytes_of(sums_of_parts[i]));
      }
    }
  }
}

// The rest is of one store, with trees that were grown before.
class OneStore : public testing::TestWithParam<ObjectiveKind> {
 protected:
  OneStore()
      : run_({.objective = GetParam(), .row_count = 700}),
        description_(run_.description()),
        stores_(run_, description_, 1, 1) {}

  RowStore& store() { return stores_[0]; }
  std::string state() { return bytes_of(stores_.training_metrics()); }

  TestingRun run_;
  RunDescription description_;
  Stores stores_;
};

TEST_P(OneStore, WhatWasBegunAndDroppedLeavesNothing) {
  const std::string before = state();
  const auto units = stores_.make_gradients();
  stores_.grow(0, units[0], 2);
  store().drop_iteration();
  EXPECT_EQ(store().iteration_count(), 0u);
  EXPECT_EQ(state(), before);
  EXPECT_FALSE(store().knows(0));
  Stores fresh(run_, description_, 1, 1);
  EXPECT_EQ(encode_iteration(stores_.next(1)), encode_iteration(fresh.next(1)));
}

TEST_P(OneStore, IsAsNewAfterAReset) {
  Stores fresh(run_, description_, 1, 1);
  const std::string before = state();
  const Iteration first = stores_.next(1);
  stores_.next(1);
  const auto units = stores_.make_gradients();
  stores_.grow(0, units[0], 2);
  store().reset();
  EXPECT_EQ(store().iteration_count(), 0u);
  EXPECT_EQ(state(), before);
  EXPECT_EQ(bytes_of(stores_.metrics()[0]), bytes_of(fresh.metrics()[0]));
  stores_.apply(first);
  fresh.apply(first);
  EXPECT_EQ(state(), bytes_of(fresh.training_metrics()));
}

TEST_P(OneStore, AppliesInTheMiddleOfATreeOfItsOwn) {
  Stores other(run_, description_, 1, 1);
  const Iteration first = other.next(1);
  stores_.make_gradients();
  store().start_tree(0);
  stores_.apply(first);
  EXPECT_EQ(store().iteration_count(), 1u);
  EXPECT_EQ(state(), bytes_of(other.training_metrics()));
  EXPECT_EQ(encode_iteration(stores_.next(1)), encode_iteration(other.next(1)));
}

TEST_P(OneStore, RefusesIterationsThatDoNotFitAndStaysAsItWas) {
  Stores other(run_, description_, 1, 1);
  const Iteration first = other.next(1);
  const Iteration second = other.next(1);
  const std::string before = state();
  Iteration wrong = first;
  wrong.trees.pop_back();
  EXPECT_FALSE(store().apply(std::span(&wrong.trees, 1)).ok());
  wrong = first;
  wrong.trees.back().output = 1000;
  EXPECT_FALSE(store().apply(std::span(&wrong.trees, 1)).ok());
  wrong = first;
  model::Node& root = wrong.trees.back().nodes[0];
  ASSERT_GE(root.feature, 0);
  root.feature = 0;
  root.categories_left.clear();
  root.threshold = 0.123456789;  // is no cut
  EXPECT_FALSE(store().apply(std::span(&wrong.trees, 1)).ok());
  EXPECT_EQ(store().iteration_count(), 0u);
  EXPECT_EQ(state(), before);
  stores_.apply(first);
  stores_.apply(second);
  EXPECT_EQ(state(), bytes_of(other.training_metrics()));
}

// Who lost a sum may ask for it once more, when the node is in pieces.
TEST_P(OneStore, KnowsTheHistogramOfANodeThatWasSplit) {
  stores_.make_gradients();
  store().start_tree(0);
  store().make_room(7);
  const std::vector<uint32_t> columns = {0, 1};
  const auto root = histogram_of(store(), 0, columns);
  trees::Split split;
  split.feature = 0;
  split.bin_last = 1;
  split.missing_left = true;
  split.bins_left = {1};
  store().split(0, split, 1, 2);
  const auto left = histogram_of(store(), 1, columns);
  const auto right = histogram_of(store(), 2, columns);
  split.feature = 1;
  store().split(1, split, 3, 4);
  store().split(2, split, 5, 6);
  EXPECT_TRUE(equal(*histogram_of(store(), 0, columns), *root));
  EXPECT_TRUE(equal(*histogram_of(store(), 1, columns), *left));
  EXPECT_TRUE(equal(*histogram_of(store(), 2, columns), *right));
}

TEST_P(OneStore, WrongUseIsOurOwnBug) {
  const std::vector<uint32_t> columns = {0};
  EXPECT_DEATH(histogram_of(store(), 0, columns), "knows");
  stores_.make_gradients();
  store().start_tree(0);
  trees::Split split;
  split.feature = 0;
  split.bin_last = 10;
  EXPECT_DEATH(store().split(0, split, 1, 2), "nodes_.size");
  store().make_room(3);
  EXPECT_DEATH(store().split(3, split, 4, 5), "knows");
  store().split(0, split, 1, 2);
  EXPECT_DEATH(store().split(0, split, 1, 2), "knows");
  const std::vector<RowStore::Leaf> leaves = {{.node = 9, .value = 1}};
  EXPECT_DEATH(store().finish_tree(leaves, model::Tree{}).ok(), "knows");
  const std::vector<std::string> names = {};
  const std::vector<double> too_few = {};
  EXPECT_DEATH(store().metrics(names, too_few), "weight_max_by_set");
}

std::string name_of(const testing::TestParamInfo<ObjectiveKind>& test) {
  constexpr std::string_view kNames[] = {"binary", "multiclass", "regression"};
  return std::string(kNames[static_cast<size_t>(test.param)]);
}
INSTANTIATE_TEST_SUITE_P(Objectives, OneStore, testing::ValuesIn(kObjectives), name_of);

}  // namespace
}  // namespace evergrove::train
