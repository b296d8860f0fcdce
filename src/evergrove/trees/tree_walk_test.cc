// The tree is a function of the nodes' splits alone: whatever is expanded, in batches of whatever
// size and with whatever is still under way, the walk takes the same nodes in the same order.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/tree_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <tuple>

#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

// A node's split follows from its path: gain and the share that goes left are hashes of it.
Split split_of(const TreeWalk& walk, uint32_t id) {
  const TreeWalk::Node& node = walk.node(id);
  if (!walk.may_split(id)) return {};
  const uint64_t bits = mix64(node.path);
  Split split;
  split.feature = 0;
  split.bin_last = 1 + static_cast<uint32_t>(bits % 3);
  split.gain = double(bits % 64) + 1;  // with ties
  const auto left = static_cast<int64_t>(1 + (bits >> 8) % uint64_t(node.sums.count - 1));
  split.left = {node.sums.g * left / node.sums.count, left, left};
  return split;
}

GrowthOptions options_with(GrowthOrder order, uint32_t leaves) {
  GrowthOptions options;
  options.order = order;
  options.leaves_max = leaves;
  options.leaf_rows_min = 2;
  return options;
}

std::vector<model::Feature> one_feature() {
  model::Feature feature;
  feature.name = "x";
  feature.cuts = {1, 2, 3, 4};
  return {feature};
}

using SplitOf = Split (*)(const TreeWalk& walk, uint32_t id);

// Grows with batches of `parallel`, of which `window` are under way before the first is answered.
model::Tree grow(const GrowthOptions& options, size_t parallel, size_t window,
                 SplitOf split_of_node = split_of, uint64_t* expanded_count = nullptr,
                 int64_t rows = 50'000, double* gain_left = nullptr) {
  TreeWalk walk(options, {1000, rows, rows});
  walk.set_split(0, split_of_node(walk, 0));
  std::deque<std::vector<uint32_t>> under_way;
  while (!walk.finished()) {
    while (under_way.size() < window) {
      std::vector<uint32_t> batch = walk.next_batch(parallel);
      if (batch.empty()) break;
      under_way.push_back(std::move(batch));
    }
    EXPECT_FALSE(under_way.empty()) << "the walk waits for nothing";
    if (under_way.empty()) break;
    for (uint32_t id : under_way.front()) {
      for (int32_t child : {walk.node(id).left, walk.node(id).right}) {
        walk.set_split(child, split_of_node(walk, child));
      }
    }
    under_way.pop_front();
  }
  if (expanded_count != nullptr) *expanded_count = walk.expanded_count();
  if (gain_left != nullptr) *gain_left = walk.gain_left();
  return walk.tree(one_feature(), {});
}

bool same(const model::Tree& a, const model::Tree& b) {
  if (a.nodes.size() != b.nodes.size()) return false;
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const model::Node& x = a.nodes[i];
    const model::Node& y = b.nodes[i];
    if (x.left != y.left || x.gain != y.gain || x.cover != y.cover || x.value != y.value ||
        x.threshold != y.threshold) {
      return false;
    }
  }
  return true;
}

TEST(TreeWalk, TakesTheSameTreeWhateverIsExpanded) {
  for (const GrowthOrder order : {GrowthOrder::best_first, GrowthOrder::by_level}) {
    for (const uint32_t leaves : {1u, 2u, 7u, 64u, 255u}) {
      const GrowthOptions options = options_with(order, leaves);
      const model::Tree one_by_one = grow(options, 1, 1);
      EXPECT_LE(one_by_one.nodes.size(), 2 * leaves - 1);
      for (const size_t parallel : {1, 3, 16, 1000}) {
        for (const size_t window : {1, 2, 5}) {
          EXPECT_TRUE(same(one_by_one, grow(options, parallel, window)))
              << leaves << " leaves, batches of " << parallel << ", " << window << " under way";
        }
      }
    }
  }
}

// Walks from the root as if nodes that are not known had no children, and returns the leaves on the
// way that are in no batch.
std::vector<uint32_t> walked_ahead(const TreeWalk& walk, const GrowthOptions& options) {
  const auto key = [&](uint32_t id) {
    const TreeWalk::Node& node = walk.node(id);
    const bool by_level = options.order == GrowthOrder::by_level;
    return std::tuple(by_level ? node.depth : 0, -node.split.gain, node.path, id);
  };
  std::set<decltype(key(0))> leaves = {key(0)};
  std::vector<uint32_t> open;
  for (uint32_t count = 1; count < options.leaves_max && !leaves.empty(); ++count) {
    const uint32_t id = std::get<3>(*leaves.begin());
    leaves.erase(leaves.begin());
    const TreeWalk::Node& node = walk.node(id);
    if (!node.in_batch()) open.push_back(id);
    if (!node.in_batch() || !walk.node(node.left).is_known || !walk.node(node.right).is_known) {
      continue;
    }
    for (const int32_t child : {node.left, node.right}) {
      if (walk.node(child).split.found()) leaves.insert(key(child));
    }
  }
  return open;
}

TEST(TreeWalk, KnowsWhatItWouldComeTo) {
  for (const GrowthOrder order : {GrowthOrder::best_first, GrowthOrder::by_level}) {
    for (const uint32_t leaves : {2u, 7u, 64u, 255u, 6000u}) {
      const GrowthOptions options = options_with(order, leaves);
      std::mt19937 random(leaves);
      const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
      TreeWalk walk(options, {1000, 500'000, 500'000});
      walk.set_split(0, split_of(walk, 0));
      std::vector<uint32_t> under_way;
      for (size_t step = 0; !walk.finished(); ++step) {
        if (step % (leaves / 50 + 1) == 0) {
          const std::vector<uint32_t> expected = walked_ahead(walk, options);
          ASSERT_EQ(walk.ahead(10'000, 0).nodes, expected) << leaves << " leaves, " << step;
        }
        // Most often the first ones, of late also others that the tree may never come to.
        std::vector<uint32_t> open = walk.ahead(1 + below(8), 0).nodes;
        if (below(10) == 0) open = walk.ahead(3000, 0).nodes;
        if (!open.empty() && (under_way.empty() || below(2) == 0)) {
          const uint32_t id = open[below(open.size())];
          walk.expand({&id, 1});
          under_way.push_back(id);
        } else if (!under_way.empty()) {
          std::swap(under_way[below(under_way.size())], under_way.back());
          const TreeWalk::Node& node = walk.node(under_way.back());
          under_way.pop_back();
          for (const int32_t child : {node.right, node.left}) {
            walk.set_split(child, split_of(walk, child));
          }
        }
      }
      EXPECT_TRUE(
          same(walk.tree(one_feature(), {}), grow(options, 1, 1, split_of, nullptr, 500'000)));
    }
  }
}

// Late trees are like this: what is left is noise, and the fewer rows, the louder. Large gains lie
// under small ones, and who goes by the gain alone expands what the walk never comes to.
TEST(TreeWalk, ExpandsLittleInVainWhereSmallNodesPromiseMost) {
  const SplitOf noise = [](const TreeWalk& walk, uint32_t id) {
    Split split = split_of(walk, id);
    if (split.found()) split.gain = 1 + double(mix64(walk.node(id).path) >> 40) / 1e6;
    if (split.found()) split.gain *= 1 + walk.node(id).depth;
    return split;
  };
  const GrowthOptions options = options_with(GrowthOrder::best_first, 255);
  uint64_t expanded_count = 0;
  const model::Tree one_by_one = grow(options, 1, 1, noise);
  for (const size_t window : {1, 2}) {
    const model::Tree tree = grow(options, 4, window, noise, &expanded_count);
    EXPECT_TRUE(same(one_by_one, tree));
    EXPECT_EQ(tree.nodes.size(), 509u);
    EXPECT_LE(expanded_count, 254 * (1 + window)) << window;
  }
}

// A tree like the one before is foreseen: nothing in vain, and nothing left for a round of its own.
TEST(TreeWalk, IsSureOfWhatTheTreeBeforeHad) {
  for (const GrowthOrder order : {GrowthOrder::best_first, GrowthOrder::by_level}) {
    const GrowthOptions options = options_with(order, 64);
    double gain_left = 0;
    const model::Tree one_by_one = grow(options, 1, 1, split_of, nullptr, 50'000, &gain_left);
    ASSERT_GT(gain_left, 0);
    TreeWalk walk(options, {1000, 50'000, 50'000});
    walk.set_split(0, split_of(walk, 0));
    std::vector<uint32_t> sure;
    while (!walk.finished()) {
      TreeWalk::Ahead ahead = walk.ahead(1000, gain_left);
      ASSERT_LE(ahead.sure_count, ahead.nodes.size());
      EXPECT_EQ(walk.ahead(1, gain_left).nodes.size(), 1u);
      EXPECT_EQ(walk.ahead(1000, 1e300).sure_count,
                order == GrowthOrder::by_level ? ahead.nodes.size() : 0);
      sure.insert(sure.end(), ahead.nodes.begin(),
                  ahead.nodes.begin() + static_cast<ptrdiff_t>(ahead.sure_count));
      // Small gains are wanted where large ones lie under them.
      ahead.nodes.resize(std::max<size_t>(ahead.sure_count, 1));
      walk.expand(ahead.nodes);
      for (uint32_t id : ahead.nodes) {
        for (int32_t child : {walk.node(id).left, walk.node(id).right}) {
          walk.set_split(child, split_of(walk, child));
        }
      }
    }
    EXPECT_TRUE(same(one_by_one, walk.tree(one_feature(), {})));
    EXPECT_GE(sure.size(), 20u);
    const uint64_t vain_max = order == GrowthOrder::best_first ? 20 : 63;
    EXPECT_LE(walk.expanded_count(), 63 + vain_max);
    for (const uint32_t id : sure) {
      EXPECT_TRUE(walk.node(id).taken || order == GrowthOrder::by_level) << id;
    }
  }
}

TEST(TreeWalk, LeavesALeafWhereNothingWasFound) {
  TreeWalk walk(options_with(GrowthOrder::best_first, 31), {0, 100, 100});
  walk.set_split(0, {});
  EXPECT_TRUE(walk.finished());
  EXPECT_TRUE(walk.next_batch(8).empty());
  EXPECT_EQ(walk.tree(one_feature(), {}).nodes.size(), 1u);
}

}  // namespace
}  // namespace evergrove::trees
