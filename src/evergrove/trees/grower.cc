// A TreeWalk says which nodes to expand; each is an Item here, with its rows and its histogram.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/grower.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <deque>
#include <tuple>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/column_sample.h"

namespace evergrove::trees {

// What the rows know of a node of the walk.
struct Grower::Item {
  RowRun run;                            // until expanded
  std::unique_ptr<Histogram> histogram;  // until expanded
};

struct Grower::Growth {
  const Gradients& gradients;
  uint64_t tree_index;
  std::vector<uint32_t> columns;  // of this tree
  SplitSearch search;
  TreeWalk walk;
  std::deque<Item> items;  // by the walk's ids
  uint64_t round_count = 0;
};

Grower::Grower(const bins::BinMatrix& bins, std::span<const model::Feature> features,
               const GrowthOptions& options)
    : bins_(bins), features_(features), options_(options), pool_(bins.histogram_offsets().back()) {
  CHECK(features.size() == bins.feature_count());
}

Grower::~Grower() = default;

Split Grower::find_split(const Growth& growth, uint32_t id) const {
  const TreeWalk::Node& node = growth.walk.node(id);
  const std::vector<uint32_t> columns =
      node_columns(growth.columns, options_, growth.tree_index, node.depth, node.path);
  return growth.search.best(*growth.items[id].histogram, node.sums, columns);
}

// Splits a node's rows, and makes the children's histograms: the smaller one built, the larger
// one what is left of the parent's. Says the children's splits, unless growth is symmetric.
void Grower::expand(Growth& growth, uint32_t id) {
  const TreeWalk::Node& node = growth.walk.node(id);
  const auto left_id = static_cast<uint32_t>(node.left);
  const auto right_id = static_cast<uint32_t>(node.right);
  Item& item = growth.items[id];
  Item& left = growth.items[left_id];
  Item& right = growth.items[right_id];
  const bool numeric = features_[node.split.feature].kind == table::ColumnKind::numeric;
  std::tie(left.run, right.run) = partition_.split(item.run, node.split, bins_, numeric);
  CHECK(left.run.count == static_cast<size_t>(node.split.left.count));
  if (!growth.walk.may_split(left_id) && !growth.walk.may_split(right_id)) {
    pool_.give_back(std::move(item.histogram));
    return;
  }
  Item& small = left.run.count <= right.run.count ? left : right;
  Item& large = &small == &left ? right : left;
  const HistogramInput input{&bins_, &growth.gradients, growth.columns};
  small.histogram = build_histogram(input, partition_.rows(small.run), false, pool_);
  large.histogram = subtract(std::move(item.histogram), *small.histogram, large.run.count,
                             !growth.gradients.wide, pool_);
  for (uint32_t child : {left_id, right_id}) {
    if (growth.walk.may_split(child)) {
      if (options_.order == GrowthOrder::symmetric) continue;
      growth.walk.node(child).split = find_split(growth, child);
      if (growth.walk.node(child).split.found()) continue;
    }
    pool_.give_back(std::move(growth.items[child].histogram));
  }
}

void Grower::expand_batch(Growth& growth, std::vector<uint32_t>& batch) {
  growth.items.resize(growth.walk.node_count());
  // Large ones first, so that no thread is left with one when the others are done.
  std::sort(batch.begin(), batch.end(), [&](uint32_t a, uint32_t b) {
    const size_t rows_a = growth.items[a].run.count;
    const size_t rows_b = growth.items[b].run.count;
    return rows_a != rows_b ? rows_a > rows_b : a < b;
  });
  tbb::parallel_for(size_t{0}, batch.size(), [&](size_t i) { expand(growth, batch[i]); });
  ++growth.round_count;
}

void Grower::grow_ordered(Growth& growth) {
  const auto threads = static_cast<size_t>(tbb::this_task_arena::max_concurrency());
  TreeWalk& walk = growth.walk;
  walk.set_split(0, walk.may_split(0) ? find_split(growth, 0) : Split{});
  while (!walk.finished()) {
    std::vector<uint32_t> batch = walk.next_batch(threads);
    CHECK(!batch.empty());
    expand_batch(growth, batch);
    for (uint32_t id : batch) {
      for (int32_t child : {walk.node(id).left, walk.node(id).right}) {
        walk.set_split(child, std::move(walk.node(child).split));
      }
    }
  }
}

void Grower::grow_symmetric(Growth& growth) {
  TreeWalk& walk = growth.walk;
  std::vector<uint32_t> level;
  if (walk.may_split(0)) level.push_back(0);
  for (uint32_t depth = 0; depth < options_.symmetric_depth() && !level.empty(); ++depth) {
    std::vector<const Histogram*> histograms;
    std::vector<Sums> sums;
    for (uint32_t id : level) {
      histograms.push_back(growth.items[id].histogram.get());
      sums.push_back(walk.node(id).sums);
    }
    const std::vector<uint32_t> columns =
        level_columns(growth.columns, options_, growth.tree_index, depth);
    const Split shared = growth.search.best_shared(histograms, sums, columns);
    if (!shared.found()) break;
    std::vector<Split> splits;
    for (size_t i = 0; i < level.size(); ++i) {
      splits.push_back(growth.search.apply(shared, *histograms[i], sums[i]));
    }
    std::vector<uint32_t> batch = walk.take_level(level, std::move(splits));
    if (batch.empty()) break;
    level = walk.next_level(level);
    expand_batch(growth, batch);
  }
}

// The rows of a node that is a leaf, of the walk or of what was read off it.
void Grower::take_rows(Growth& growth, uint32_t id, int64_t value, GrownTree& grown) {
  const TreeWalk::Node& node = growth.walk.node(id);
  if (node.left < 0) {
    grown.leaves.push_back({value, partition_.listed(growth.items[id].run)});
    return;
  }
  take_rows(growth, static_cast<uint32_t>(node.left), value, grown);
  take_rows(growth, static_cast<uint32_t>(node.right), value, grown);
}

GrownTree Grower::read_off(Growth& growth) {
  GrownTree grown;
  grown.expanded_count = growth.walk.expanded_count();
  grown.round_count = growth.round_count;
  std::vector<uint32_t> leaf_ids;
  grown.tree = growth.walk.tree(features_, growth.search.units, &leaf_ids);
  for (uint32_t id : leaf_ids) {
    const int64_t value = leaf_value(growth.walk.node(id).sums, growth.search.units, options_);
    take_rows(growth, id, value, grown);
  }
  for (Item& item : growth.items) pool_.give_back(std::move(item.histogram));
  return grown;
}

GrownTree Grower::grow(const Gradients& gradients, uint64_t tree_index,
                       std::span<const uint32_t> sampled_rows) {
  std::vector<uint32_t> columns = tree_columns(features_.size(), options_, tree_index);
  const bool all_rows = sampled_rows.empty();
  Item root;
  root.run = all_rows ? partition_.start_all(bins_.row_count(), gradients)
                      : partition_.start(sampled_rows, gradients);
  const std::span<const TreeRow> listed =
      all_rows ? std::span<const TreeRow>() : partition_.rows(root.run);
  root.histogram = build_histogram({&bins_, &gradients, columns}, listed, all_rows, pool_);
  const auto offsets = bins_.histogram_offsets();
  Sums sums;
  for (uint32_t bin = offsets[columns[0]]; bin < offsets[columns[0] + 1]; ++bin) {
    sums = sums + root.histogram->at(bin);
  }
  Growth growth{gradients,
                tree_index,
                std::move(columns),
                {offsets, features_, {gradients.g_unit, gradients.h_unit}, &options_},
                TreeWalk(options_, sums),
                {},
                0};
  growth.items.push_back(std::move(root));
  if (options_.order == GrowthOrder::symmetric) {
    grow_symmetric(growth);
  } else {
    grow_ordered(growth);
  }
  return read_off(growth);
}

void Grower::for_each_leaf(
    const GrownTree& grown,
    const std::function<void(int64_t, std::span<const TreeRow>)>& visit) const {
  tbb::parallel_for(size_t{0}, grown.leaves.size(), [&](size_t i) {
    const PhaseScope scope(Phase::leaves);
    const GrownTree::LeafRows& leaf = grown.leaves[i];
    visit(leaf.value, partition_.rows(leaf.run));
  });
}

}  // namespace evergrove::trees
