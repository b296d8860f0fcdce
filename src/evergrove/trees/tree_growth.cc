// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/tree_growth.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/column_sample.h"

namespace evergrove::trees {
namespace {

constexpr uint32_t kBinsAtOnce = 1024;  // of a node that are made and searched

// By feature that was built, the bin with the most rows.
std::vector<uint32_t> fullest_bins(const Histogram& histogram, std::span<const uint32_t> offsets,
                                   std::span<const uint32_t> columns) {
  std::vector<uint32_t> fullest(offsets.size() - 1, 0);
  for (const uint32_t feature : columns) {
    int64_t most = -1;
    for (uint32_t bin = offsets[feature]; bin < offsets[feature + 1]; ++bin) {
      const int64_t count = histogram.at(bin).count;
      if (count > most) fullest[feature] = bin - offsets[feature];
      most = std::max(most, count);
    }
  }
  return fullest;
}

}  // namespace

TreeGrowth::TreeGrowth(const Place& place, uint64_t tree_index, std::vector<uint32_t> columns,
                       bool wide, const GradientUnits& units, Item root, HistogramPool& pool)
    : tree_index_(tree_index),
      columns_(std::move(columns)),
      wide_(wide),
      usual_bins_(fullest_bins(*root.histogram, place.offsets, columns_)),
      search_{place.offsets, place.features, units, place.options, usual_bins_},
      // Any feature's bins have the sums of all rows.
      walk_(*place.options, root.histogram->total(place.offsets[columns_.front()],
                                                  search_.bin_count(columns_.front()))),
      pool_(pool) {
  items_.push_back(std::move(root));
}

TreeGrowth::~TreeGrowth() {
  for (Item& item : items_) pool_.give_back(std::move(item.histogram));
}

std::vector<uint32_t> TreeGrowth::columns_of(const TreeWalk::Node& node) const {
  return node_columns(columns_, *search_.options, tree_index_, node.depth, node.path);
}

void TreeGrowth::find_root_split() {
  Split split;
  if (walk_.may_split(0)) {
    const TreeWalk::Node& root = walk_.node(0);
    split = search_.best(*items_[0].histogram, root.sums, columns_of(root));
  }
  walk_.set_split(0, std::move(split));
}

// A child whose split is sought, and what was found so far, by parts of the features.
struct TreeGrowth::Sought {
  TreeWalk::Node* node;
  const Histogram* histogram;
  std::vector<uint32_t> columns;
  std::vector<Split> splits;
};

// Features that a task searches in a node's children: fewer where threads have nothing else to do,
// since the next node may depend on what is found, but so many that a task is worth it.
size_t TreeGrowth::features_of_part(size_t threads) const {
  const size_t feature_count = search_.features.size();
  const size_t share = (feature_count + threads - 1) / threads;
  const size_t least = std::max<size_t>(kBinsAtOnce * feature_count / search_.offsets.back(), 1);
  return std::min(std::max(share, least), kSearchedFeatures);
}

// Some bins of the larger child are made, and then searched in both children while they are in the
// cache.
void TreeGrowth::search_part(Subtraction& large, std::span<Sought> sought, size_t part,
                             size_t part_features) const {
  const size_t first_feature = part * part_features;
  const size_t last_feature = std::min(first_feature + part_features, search_.features.size());
  for (size_t first = first_feature, last = first; first < last_feature; first = last) {
    while (last < last_feature && search_.offsets[last] - search_.offsets[first] < kBinsAtOnce) {
      ++last;
    }
    {
      const PhaseScope scope(Phase::subtract);
      large.run(search_.offsets[first], search_.offsets[last]);
    }
    for (Sought& each : sought) {
      const auto begin = std::lower_bound(each.columns.begin(), each.columns.end(), first);
      const auto end = std::lower_bound(begin, each.columns.end(), last);
      if (begin == end) continue;
      Split split = search_.best_here(*each.histogram, each.node->sums, {begin, end});
      if (is_better(split, each.splits[part])) each.splits[part] = std::move(split);
    }
  }
}

void TreeGrowth::take(const Expansion& expansion, std::unique_ptr<Histogram> small) {
  const bool is_left = expansion.is_small_left();
  Item& small_item = is_left ? *expansion.left_item : *expansion.right_item;
  Item& large_item = is_left ? *expansion.right_item : *expansion.left_item;
  const TreeWalk::Node& large = is_left ? *expansion.right : *expansion.left;
  const size_t part_features = features_of_part(expansion.threads);
  const size_t part_count = (search_.features.size() + part_features - 1) / part_features;
  Subtraction subtraction(std::move(expansion.item->histogram), *small,
                          static_cast<size_t>(large.sums.count), !wide_, pool_);
  const bool is_symmetric = search_.options->order == GrowthOrder::symmetric;
  std::vector<Sought> sought;
  const auto seek = [&](TreeWalk::Node& node, bool may_split, bool is_small) {
    if (!may_split || is_symmetric) return;
    sought.push_back({&node, is_small ? small.get() : &subtraction.result(), columns_of(node),
                      std::vector<Split>(part_count)});
  };
  seek(*expansion.left, expansion.may_split_left, is_left);
  seek(*expansion.right, expansion.may_split_right, !is_left);
  const auto search = [&](size_t part) { search_part(subtraction, sought, part, part_features); };
  if (part_count == 1) {
    search(0);
  } else {
    tbb::parallel_for(size_t{0}, part_count, search);
  }
  for (Sought& each : sought) {
    for (Split& split : each.splits) {
      if (is_better(split, each.node->split)) each.node->split = std::move(split);
    }
  }
  large_item.histogram = subtraction.finish();
  small_item.histogram = std::move(small);
  const auto keep = [&](const TreeWalk::Node& node, bool may_split, Item& item) {
    if (may_split && (is_symmetric || node.split.found())) return;
    pool_.give_back(std::move(item.histogram));
  };
  keep(*expansion.left, expansion.may_split_left, *expansion.left_item);
  keep(*expansion.right, expansion.may_split_right, *expansion.right_item);
}

void TreeGrowth::take_none(const Expansion& expansion) {
  pool_.give_back(std::move(expansion.item->histogram));
}

// Requires: the items of the children are there.
TreeGrowth::Expansion TreeGrowth::expansion_of(uint32_t id) {
  Expansion expansion;
  TreeWalk::Node& node = walk_.node(id);
  expansion.id = id;
  expansion.left_id = static_cast<uint32_t>(node.left);
  expansion.right_id = static_cast<uint32_t>(node.right);
  expansion.node = &node;
  expansion.left = &walk_.node(expansion.left_id);
  expansion.right = &walk_.node(expansion.right_id);
  expansion.item = &items_[id];
  expansion.left_item = &items_[expansion.left_id];
  expansion.right_item = &items_[expansion.right_id];
  expansion.may_split_left = walk_.may_split(expansion.left_id);
  expansion.may_split_right = walk_.may_split(expansion.right_id);
  return expansion;
}

std::vector<TreeGrowth::Expansion> TreeGrowth::expansions_of(std::span<const uint32_t> ids) {
  items_.resize(walk_.node_count());
  std::vector<Expansion> expansions;
  for (const uint32_t id : ids) expansions.push_back(expansion_of(id));
  // Large ones first, so that no thread is left with one when the others are done.
  std::sort(expansions.begin(), expansions.end(), [](const Expansion& a, const Expansion& b) {
    const int64_t rows_a = a.node->sums.count;
    const int64_t rows_b = b.node->sums.count;
    return rows_a != rows_b ? rows_a > rows_b : a.id < b.id;
  });
  ++round_count_;
  return expansions;
}

void TreeGrowth::tell_walk(const Expansion& expansion) {
  walk_.set_split(expansion.left_id, std::move(expansion.left->split));
  walk_.set_split(expansion.right_id, std::move(expansion.right->split));
}

Status TreeGrowth::grow_ordered(size_t nodes_min, const ExpandBatch& expand) {
  find_root_split();
  while (!walk_.finished()) {
    const std::vector<uint32_t> batch = walk_.next_batch(nodes_min);
    CHECK(!batch.empty());
    const std::vector<Expansion> expansions = expansions_of(batch);
    EVERGROVE_RETURN_IF_ERROR(expand(expansions));
    for (const Expansion& expansion : expansions) tell_walk(expansion);
  }
  return {};
}

Status TreeGrowth::grow_symmetric(const ExpandBatch& expand) {
  std::vector<uint32_t> level;
  if (walk_.may_split(0)) level.push_back(0);
  for (uint32_t depth = 0; depth < search_.options->symmetric_depth() && !level.empty(); ++depth) {
    std::vector<const Histogram*> histograms;
    std::vector<Sums> sums;
    for (const uint32_t id : level) {
      histograms.push_back(items_[id].histogram.get());
      sums.push_back(walk_.node(id).sums);
    }
    const std::vector<uint32_t> columns =
        level_columns(columns_, *search_.options, tree_index_, depth);
    const Split shared = search_.best_shared(histograms, sums, columns);
    if (!shared.found()) break;
    std::vector<Split> splits;
    for (size_t i = 0; i < level.size(); ++i) {
      splits.push_back(search_.apply(shared, *histograms[i], sums[i]));
    }
    const std::vector<uint32_t> batch = walk_.take_level(level, std::move(splits));
    if (batch.empty()) break;
    level = walk_.next_level(level);
    EVERGROVE_RETURN_IF_ERROR(expand(expansions_of(batch)));
  }
  return {};
}

Status TreeGrowth::grow_by_batch(size_t nodes_min, const ExpandBatch& expand) {
  return search_.options->order == GrowthOrder::symmetric ? grow_symmetric(expand)
                                                          : grow_ordered(nodes_min, expand);
}

// A task a node; each starts as many as are missing when it ends. The walk is its mutex's: nodes
// and items that a task has are its own.
class TreeGrowth::NodeByNode {
 public:
  NodeByNode(TreeGrowth& growth, size_t under_way_max, double gain_min, const ExpandNode& expand)
      : growth_(growth), under_way_max_(under_way_max), gain_min_(gain_min), expand_(expand) {}

  void run() {
    growth_.find_root_split();
    {
      const std::lock_guard lock(mutex_);
      start_more();
    }
    tasks_.wait();
  }

 private:
  void start_more() {
    while (under_way_ < under_way_max_) {
      const double gain_min = under_way_ == 0 ? 0 : gain_min_;
      const std::vector<uint32_t> next = growth_.walk_.next_batch(1, kNoneInVain, gain_min);
      if (next.empty()) return;
      const Expansion expansion = growth_.expansions_of(next).front();
      ++under_way_;
      tasks_.run([this, expansion] { expand(expansion); });
    }
  }
  void expand(Expansion expansion) {
    // Twice as many as there are for it: they are not ready all at once.
    const size_t under_way = under_way_;
    expansion.threads = 1 + 2 * (under_way_max_ - under_way) / under_way;
    // A thread that waits for others in here must not take up another node: this one's children may
    // be what all wait for.
    tbb::this_task_arena::isolate([&] { expand_(expansion); });
    const std::lock_guard lock(mutex_);
    growth_.tell_walk(expansion);
    --under_way_;
    start_more();
  }

  // So large a window that a batch has no more nodes than are asked for.
  static constexpr size_t kNoneInVain = size_t{1} << 32;

  TreeGrowth& growth_;
  size_t under_way_max_;
  double gain_min_;
  const ExpandNode& expand_;
  std::mutex mutex_;
  std::atomic<size_t> under_way_ = 0;  // changed under the mutex
  tbb::task_group tasks_;
};

void TreeGrowth::grow_by_node(size_t under_way, double gain_min, const ExpandNode& expand) {
  if (search_.options->order != GrowthOrder::symmetric) {
    NodeByNode(*this, under_way, gain_min, expand).run();
    return;
  }
  const Status status = grow_symmetric([&](std::span<const Expansion> level) -> Status {
    tbb::parallel_for(size_t{0}, level.size(), [&](size_t i) { expand(level[i]); });
    return {};
  });
  CHECK(status.ok());
}

}  // namespace evergrove::trees
