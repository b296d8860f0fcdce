// The nodes that were expanded, needed or not, are Items in one deque. A tree in best-first order
// is a walk over them with a priority queue: the best leaf is taken off; if it is expanded already
// its children join the queue, if not, a batch of leaves is expanded first, this one among them.
// Level-wise growth is the same walk with depth before gain. What the walk took is the tree.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/grower.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <queue>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/trees/column_sample.h"

namespace evergrove::trees {

// A node that exists, whether or not the tree will have it.
struct Grower::Item {
  size_t begin = 0, end = 0;  // its run in the partition
  Sums sums;
  uint32_t depth = 0;
  uint64_t path = 1;  // hash of the way from the root; the same in whatever order nodes are made
  Split split;
  std::unique_ptr<Histogram> histogram;  // until expanded
  int32_t left = -1, right = -1;         // children, once expanded
  bool taken = false;                    // split in the tree

  size_t row_count() const { return end - begin; }
  bool expanded() const { return left >= 0; }
};

struct Grower::Growth {
  const Gradients& gradients;
  uint64_t tree_index;
  std::vector<uint32_t> columns;  // of this tree
  bool all_rows;
  SplitSearch search;
  std::deque<Item> items;
  std::vector<uint32_t> order;  // of the items taken, as the walk took them
  uint64_t expanded_count = 0;
  uint64_t round_count = 0;
};

Grower::Grower(const bins::BinMatrix& bins, std::span<const model::Feature> features,
               const GrowthOptions& options)
    : bins_(bins), features_(features), options_(options), pool_(bins.histogram_offsets().back()) {
  CHECK(features.size() == bins.feature_count());
}

Grower::~Grower() = default;

bool Grower::may_split(const Item& item) const {
  return item.row_count() >= 2 * std::max<uint64_t>(1, options_.leaf_rows_min) &&
         (options_.depth_max == 0 || item.depth < options_.depth_max);
}

void Grower::find_split(Growth& growth, Item& item) {
  std::vector<uint32_t> sampled;
  std::span<const uint32_t> columns = growth.columns;
  if (options_.columns_by_level < 1) {
    const RandomKey key(options_.seed, "colsample_bylevel", mix64(growth.tree_index) + item.depth);
    sampled = sample_columns(columns, options_.columns_by_level, key);
    columns = sampled;
  }
  if (options_.columns_by_node < 1) {
    const RandomKey key(options_.seed, "colsample_bynode", mix64(growth.tree_index) + item.path);
    sampled = sample_columns(columns, options_.columns_by_node, key);
    columns = sampled;
  }
  item.split = growth.search.best(*item.histogram, item.sums, columns);
}

// Splits an item's rows, and makes the children's histograms: the smaller one built, the larger
// one what is left of the parent's.
void Grower::expand(Growth& growth, Item& item, Item& left, Item& right) {
  const bool numeric = features_[item.split.feature].kind == table::ColumnKind::numeric;
  const size_t left_count = partition_.split(item.begin, item.end, item.split, bins_, numeric);
  CHECK(left_count == static_cast<size_t>(item.split.left.count));
  left.begin = item.begin;
  left.end = right.begin = item.begin + left_count;
  right.end = item.end;
  left.sums = item.split.left;
  right.sums = item.sums - item.split.left;
  left.depth = right.depth = item.depth + 1;
  left.path = mix64(2 * item.path + RandomKey::kGamma);
  right.path = mix64(2 * item.path + 1 + RandomKey::kGamma);
  const bool symmetric = options_.order == GrowthOrder::symmetric;
  if (!may_split(left) && !may_split(right)) {
    pool_.give_back(std::move(item.histogram));
    return;
  }
  Item& small = left.row_count() <= right.row_count() ? left : right;
  Item& large = &small == &left ? right : left;
  const HistogramInput input{&bins_, &growth.gradients, growth.columns};
  small.histogram = build_histogram(input, partition_.rows(small.begin, small.end), false, pool_);
  large.histogram = subtract(std::move(item.histogram), *small.histogram, large.row_count(),
                             !growth.gradients.wide, pool_);
  for (Item* child : {&small, &large}) {
    if (may_split(*child)) {
      if (symmetric) continue;
      find_split(growth, *child);
      if (child->split.found()) continue;
    }
    pool_.give_back(std::move(child->histogram));
  }
}

void Grower::expand_batch(Growth& growth, std::vector<uint32_t>& batch) {
  const size_t first = growth.items.size();
  growth.items.resize(first + 2 * batch.size());
  // Large ones first, so that no thread is left with one when the others are done.
  std::sort(batch.begin(), batch.end(), [&](uint32_t a, uint32_t b) {
    const size_t rows_a = growth.items[a].row_count();
    const size_t rows_b = growth.items[b].row_count();
    return rows_a != rows_b ? rows_a > rows_b : a < b;
  });
  tbb::parallel_for(size_t{0}, batch.size(), [&](size_t i) {
    expand(growth, growth.items[batch[i]], growth.items[first + 2 * i],
           growth.items[first + 2 * i + 1]);
  });
  for (size_t i = 0; i < batch.size(); ++i) {
    growth.items[batch[i]].left = static_cast<int32_t>(first + 2 * i);
    growth.items[batch[i]].right = static_cast<int32_t>(first + 2 * i + 1);
  }
  growth.expanded_count += batch.size();
  ++growth.round_count;
}

void Grower::grow_ordered(Growth& growth) {
  const bool by_level = options_.order == GrowthOrder::by_level;
  // Returns whether a comes after b. The path decides between equal gains: unlike an index it
  // does not depend on what else was expanded.
  const auto after = [&](uint32_t a, uint32_t b) {
    const Item& x = growth.items[a];
    const Item& y = growth.items[b];
    if (by_level && x.depth != y.depth) return x.depth > y.depth;
    if (x.split.gain != y.split.gain) return x.split.gain < y.split.gain;
    return x.path > y.path;
  };
  std::priority_queue<uint32_t, std::vector<uint32_t>, decltype(after)> queue(after);
  std::vector<uint32_t> open;  // items that could be expanded and are not
  const auto threads = static_cast<size_t>(tbb::this_task_arena::max_concurrency());
  if (growth.items[0].split.found()) {
    queue.push(0);
    open.push_back(0);
  }
  size_t leaf_count = 1;
  while (leaf_count < options_.leaves_max && !queue.empty()) {
    const uint32_t best = queue.top();
    queue.pop();
    if (!growth.items[best].expanded()) {
      const size_t leaves_left = options_.leaves_max - leaf_count;
      const size_t wanted = std::min(std::max(leaves_left / 10, threads), leaves_left);
      const size_t size = std::min(std::max<size_t>(wanted, 1), open.size());
      // The one that is needed comes first; children of leaves that were expanded early, and that
      // the walk has not reached, may promise more than it does.
      std::iter_swap(open.begin(), std::find(open.begin(), open.end(), best));
      std::partial_sort(open.begin() + 1, open.begin() + static_cast<long>(size), open.end(),
                        [&](uint32_t a, uint32_t b) { return after(b, a); });
      std::vector<uint32_t> batch(open.begin(), open.begin() + size);
      open.erase(open.begin(), open.begin() + size);
      expand_batch(growth, batch);
      CHECK(growth.items[best].expanded());
      for (uint32_t item : batch) {
        for (int32_t child : {growth.items[item].left, growth.items[item].right}) {
          if (growth.items[child].split.found()) open.push_back(static_cast<uint32_t>(child));
        }
      }
    }
    Item& item = growth.items[best];
    item.taken = true;
    growth.order.push_back(best);
    ++leaf_count;
    for (int32_t child : {item.left, item.right}) {
      if (growth.items[child].split.found()) queue.push(static_cast<uint32_t>(child));
    }
  }
}

void Grower::grow_symmetric(Growth& growth) {
  std::vector<uint32_t> level = {0};
  size_t leaf_count = 1;
  const uint32_t depth_max = options_.depth_max == 0 ? 6 : options_.depth_max;
  for (uint32_t depth = 0; depth < depth_max && !level.empty(); ++depth) {
    std::vector<const Histogram*> histograms;
    std::vector<Sums> sums;
    std::vector<uint32_t> nodes;
    for (uint32_t index : level) {
      if (!may_split(growth.items[index]) || !growth.items[index].histogram) continue;
      nodes.push_back(index);
      histograms.push_back(growth.items[index].histogram.get());
      sums.push_back(growth.items[index].sums);
    }
    if (nodes.empty()) break;
    const RandomKey key(options_.seed, "colsample_bylevel", mix64(growth.tree_index) + depth);
    const std::vector<uint32_t> columns =
        sample_columns(growth.columns, options_.columns_by_level * options_.columns_by_node, key);
    const Split shared = growth.search.best_shared(histograms, sums, columns);
    if (!shared.found()) break;
    std::vector<uint32_t> batch;
    std::vector<uint32_t> next;
    for (uint32_t index : nodes) {
      Item& item = growth.items[index];
      item.split = growth.search.apply(shared, *item.histogram, item.sums);
      if (item.split.found() && leaf_count + batch.size() < options_.leaves_max) {
        batch.push_back(index);
      } else {
        next.push_back(index);  // stays a leaf on this level; the next may divide it
      }
    }
    if (batch.empty()) break;
    expand_batch(growth, batch);
    std::sort(batch.begin(), batch.end());
    for (uint32_t index : batch) {
      growth.items[index].taken = true;
      growth.order.push_back(index);
      next.push_back(static_cast<uint32_t>(growth.items[index].left));
      next.push_back(static_cast<uint32_t>(growth.items[index].right));
    }
    leaf_count += batch.size();
    std::sort(next.begin(), next.end());
    level = std::move(next);
  }
}

GrownTree Grower::read_off(Growth& growth) {
  GrownTree grown;
  grown.expanded_count = growth.expanded_count;
  grown.round_count = growth.round_count;
  std::vector<model::Node>& nodes = grown.tree.nodes;
  std::vector<uint32_t> item_of_node = {0};
  std::vector<int32_t> node_of_item(growth.items.size(), -1);
  node_of_item[0] = 0;
  nodes.resize(1 + 2 * growth.order.size());
  for (uint32_t index : growth.order) {
    const Item& item = growth.items[index];
    const model::Feature& feature = features_[item.split.feature];
    model::Node& node = nodes[node_of_item[index]];
    node.feature = item.split.feature;
    node.missing_left = item.split.missing_left;
    node.gain = item.split.gain;
    if (feature.kind == table::ColumnKind::numeric) {
      const size_t cut = item.split.bin_last - 1;
      node.threshold =
          cut < feature.cuts.size() ? feature.cuts[cut] : std::numeric_limits<double>::infinity();
    } else {
      for (uint32_t bin : item.split.bins_left) node.categories_left.push_back(bin - 1);
    }
    node.left = static_cast<int32_t>(item_of_node.size());
    node.right = node.left + 1;
    for (int32_t child : {item.left, item.right}) {
      node_of_item[child] = static_cast<int32_t>(item_of_node.size());
      item_of_node.push_back(static_cast<uint32_t>(child));
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Item& item = growth.items[item_of_node[i]];
    nodes[i].cover = static_cast<uint64_t>(item.sums.count);
    if (item.taken) continue;
    nodes[i].value = leaf_value(item.sums, growth.search.units, options_);
    grown.leaves.push_back({nodes[i].value, item.begin, item.end});
  }
  for (Item& item : growth.items) pool_.give_back(std::move(item.histogram));
  return grown;
}

GrownTree Grower::grow(const Gradients& gradients, uint64_t tree_index,
                       std::span<const uint32_t> sampled_rows) {
  std::vector<uint32_t> all(features_.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  const RandomKey key(options_.seed, "colsample_bytree", tree_index);
  Growth growth{gradients,
                tree_index,
                sample_columns(all, options_.columns_by_tree, key),
                sampled_rows.empty(),
                {&bins_, features_, {gradients.g_unit, gradients.h_unit}, &options_},
                {},
                {},
                0,
                0};
  if (growth.all_rows) {
    partition_.start_all(bins_.row_count());
  } else {
    partition_.start(sampled_rows);
  }
  Item& root = growth.items.emplace_back();
  root.end = partition_.size();
  root.histogram = build_histogram({&bins_, &gradients, growth.columns},
                                   partition_.rows(root.begin, root.end), growth.all_rows, pool_);
  const uint32_t first = growth.columns[0];
  for (uint32_t bin = 0; bin < bins_.bin_count(first); ++bin) {
    root.sums = root.sums + root.histogram->at(bins_.histogram_offsets()[first] + bin);
  }
  if (options_.order == GrowthOrder::symmetric) {
    grow_symmetric(growth);
  } else {
    if (may_split(root)) find_split(growth, root);
    grow_ordered(growth);
  }
  return read_off(growth);
}

void Grower::for_each_leaf(
    const GrownTree& grown,
    const std::function<void(int64_t, std::span<const uint32_t>)>& visit) const {
  tbb::parallel_for(size_t{0}, grown.leaves.size(), [&](size_t i) {
    const GrownTree::LeafRows& leaf = grown.leaves[i];
    visit(leaf.value, partition_.rows(leaf.begin, leaf.end));
  });
}

}  // namespace evergrove::trees
