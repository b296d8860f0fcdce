// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/tree_walk.h"

#include <algorithm>
#include <limits>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"

namespace evergrove::trees {

TreeWalk::TreeWalk(const GrowthOptions& options, const Sums& root) : options_(options) {
  nodes_.emplace_back().sums = root;
}

bool TreeWalk::may_split(uint32_t id) const {
  const Node& node = nodes_[id];
  const uint64_t rows_min = 2 * std::max<uint64_t>(1, options_.leaf_rows_min);
  return static_cast<uint64_t>(node.sums.count) >= rows_min &&
         (options_.depth_max == 0 || node.depth < options_.depth_max);
}

// Whether a comes after b. The path decides between equal gains: unlike an index it does not
// depend on what else was expanded.
bool TreeWalk::after(uint32_t a, uint32_t b) const {
  const Node& x = nodes_[a];
  const Node& y = nodes_[b];
  if (options_.order == GrowthOrder::by_level && x.depth != y.depth) return x.depth > y.depth;
  if (x.split.gain != y.split.gain) return x.split.gain < y.split.gain;
  return x.path > y.path;
}

void TreeWalk::set_split(uint32_t id, Split split) {
  Node& node = nodes_[id];
  CHECK(!node.is_known);
  node.is_known = true;
  node.split = std::move(split);
  if (id == 0 && node.split.found()) queue_.push_back(id);
}

void TreeWalk::add_children(uint32_t id) {
  const auto first = static_cast<int32_t>(nodes_.size());
  nodes_.resize(nodes_.size() + 2);
  Node& node = nodes_[id];
  node.left = first;
  node.right = first + 1;
  Node& left = nodes_[first];
  Node& right = nodes_[first + 1];
  left.sums = node.split.left;
  right.sums = node.sums - node.split.left;
  left.depth = right.depth = node.depth + 1;
  left.path = mix64(2 * node.path + RandomKey::kGamma);
  right.path = mix64(2 * node.path + 1 + RandomKey::kGamma);
  ++expanded_count_;
}

bool TreeWalk::knows_children(const Node& node) const {
  return node.in_batch() && nodes_[node.left].is_known && nodes_[node.right].is_known;
}

// Walks as far as both children of every node on the way are known.
void TreeWalk::advance() {
  const auto order = [this](uint32_t a, uint32_t b) { return after(a, b); };
  while (leaf_count() < options_.leaves_max && !queue_.empty()) {
    const uint32_t best = queue_.front();
    Node& node = nodes_[best];
    if (!knows_children(node)) return;
    std::pop_heap(queue_.begin(), queue_.end(), order);
    queue_.pop_back();
    node.taken = true;
    order_.push_back(best);
    for (int32_t child : {node.left, node.right}) {
      if (!nodes_[child].split.found()) continue;
      queue_.push_back(static_cast<uint32_t>(child));
      std::push_heap(queue_.begin(), queue_.end(), order);
    }
  }
}

bool TreeWalk::finished() {
  advance();
  return nodes_[0].is_known && (queue_.empty() || leaf_count() >= options_.leaves_max);
}

// Walks on as if the nodes whose children are not known had none, to the end of the tree. A node
// that is not come to may still be wanted when others are known better, but whether it is has
// nothing to do with how large its own gain is: a large one under a small one waits for the small
// one's turn.
TreeWalk::Ahead TreeWalk::ahead(size_t count, double least_gain, double gain_min) const {
  const auto order = [this](uint32_t a, uint32_t b) { return after(a, b); };
  Ahead ahead;
  bool is_sure = true;
  std::vector<uint32_t> queue = queue_;
  for (size_t leaves = leaf_count(); leaves < options_.leaves_max && !queue.empty(); ++leaves) {
    const uint32_t best = queue.front();
    const Node& node = nodes_[best];
    std::pop_heap(queue.begin(), queue.end(), order);
    queue.pop_back();
    is_sure = is_sure && (options_.order == GrowthOrder::by_level || node.split.gain >= least_gain);
    if (!node.in_batch() && node.split.gain >= gain_min) {
      ahead.nodes.push_back(best);
      if (is_sure) ahead.sure_count = ahead.nodes.size();
      if (ahead.nodes.size() == count) break;
    }
    if (!knows_children(node)) continue;
    for (int32_t child : {node.left, node.right}) {
      if (!nodes_[child].split.found()) continue;
      queue.push_back(static_cast<uint32_t>(child));
      std::push_heap(queue.begin(), queue.end(), order);
    }
  }
  return ahead;
}

double TreeWalk::least_gain() const {
  double least = order_.empty() ? 0 : nodes_[order_[0]].split.gain;
  for (const uint32_t id : order_) least = std::min(least, nodes_[id].split.gain);
  return least;
}

std::vector<uint32_t> TreeWalk::next_batch(size_t parallel, size_t window, double gain_min) {
  if (finished()) return {};
  const size_t leaves_left = options_.leaves_max - leaf_count();
  const size_t wanted = std::min(std::max(leaves_left / (10 * window), parallel), leaves_left);
  std::vector<uint32_t> batch = ahead(std::max<size_t>(wanted, 1), 0, gain_min).nodes;
  expand(batch);
  return batch;
}

void TreeWalk::expand(std::span<const uint32_t> ids) {
  for (uint32_t id : ids) add_children(id);
}

std::vector<uint32_t> TreeWalk::take_level(std::span<const uint32_t> nodes,
                                           std::vector<Split> splits) {
  std::vector<uint32_t> taken;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!splits[i].found() || leaf_count() + taken.size() >= options_.leaves_max) continue;
    nodes_[nodes[i]].split = std::move(splits[i]);
    taken.push_back(nodes[i]);
  }
  // The children's order is the order in which the next level adds up gains: larger nodes' first.
  std::vector<uint32_t> by_size = taken;
  std::sort(by_size.begin(), by_size.end(), [&](uint32_t a, uint32_t b) {
    const int64_t rows_a = nodes_[a].sums.count;
    const int64_t rows_b = nodes_[b].sums.count;
    return rows_a != rows_b ? rows_a > rows_b : a < b;
  });
  for (uint32_t id : by_size) add_children(id);
  for (uint32_t id : taken) {
    CHECK(!nodes_[id].taken);
    nodes_[id].taken = true;
    order_.push_back(id);
  }
  return taken;
}

std::vector<uint32_t> TreeWalk::next_level(std::span<const uint32_t> nodes) const {
  std::vector<uint32_t> next;
  for (uint32_t id : nodes) {
    if (!nodes_[id].taken) {
      next.push_back(id);
      continue;
    }
    for (int32_t child : {nodes_[id].left, nodes_[id].right}) {
      if (may_split(static_cast<uint32_t>(child))) next.push_back(static_cast<uint32_t>(child));
    }
  }
  std::sort(next.begin(), next.end());
  return next;
}

model::Tree TreeWalk::tree(std::span<const model::Feature> features, const GradientUnits& units,
                           std::vector<uint32_t>* leaf_ids) const {
  model::Tree tree;
  std::vector<model::Node>& nodes = tree.nodes;
  std::vector<uint32_t> ids = {0};                 // of each node of the tree
  std::vector<int32_t> places(nodes_.size(), -1);  // in the tree of each node
  places[0] = 0;
  nodes.resize(1 + 2 * order_.size());
  for (uint32_t id : order_) {
    const Node& from = nodes_[id];
    const model::Feature& feature = features[from.split.feature];
    model::Node& node = nodes[places[id]];
    node.feature = from.split.feature;
    node.missing_left = from.split.missing_left;
    node.gain = from.split.gain;
    if (feature.kind == table::ColumnKind::numeric) {
      const size_t cut = from.split.bin_last - 1;
      node.threshold =
          cut < feature.cuts.size() ? feature.cuts[cut] : std::numeric_limits<double>::infinity();
    } else {
      for (uint32_t bin : from.split.bins_left) node.categories_left.push_back(bin - 1);
    }
    node.left = static_cast<int32_t>(ids.size());
    node.right = node.left + 1;
    for (int32_t child : {from.left, from.right}) {
      places[child] = static_cast<int32_t>(ids.size());
      ids.push_back(static_cast<uint32_t>(child));
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& from = nodes_[ids[i]];
    nodes[i].cover = static_cast<uint64_t>(from.sums.count);
    if (from.taken) continue;
    nodes[i].value = leaf_value(from.sums, units, options_);
    if (leaf_ids != nullptr) leaf_ids->push_back(ids[i]);
  }
  return tree;
}

}  // namespace evergrove::trees
