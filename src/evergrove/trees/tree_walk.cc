// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/tree_walk.h"

#include <algorithm>
#include <limits>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

// Nodes that the order has beyond those taken, about: finding a node's place takes time by it.
constexpr size_t kOrderMax = 2048;

}  // namespace

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
  if (id == 0) {
    if (node.split.found()) come_later(id);
  } else if (knows_children(nodes_[node.parent])) {
    join(node.parent);
  }
}

void TreeWalk::come_later(uint32_t id) {
  later_.push_back(id);
  std::push_heap(later_.begin(), later_.end(),
                 [this](uint32_t a, uint32_t b) { return after(a, b); });
}

// Puts the children of a node, now that both are known, where the walk comes to them: before the
// first one after their parent that is worse.
void TreeWalk::join(uint32_t parent) {
  const auto place =
      std::find(order_.begin() + static_cast<ptrdiff_t>(taken_count_), order_.end(), parent);
  if (place == order_.end()) return;  // it comes later itself, and they with it
  const ptrdiff_t first = place - order_.begin() + 1;
  for (const int32_t child : {nodes_[parent].left, nodes_[parent].right}) {
    const auto id = static_cast<uint32_t>(child);
    if (!nodes_[id].split.found()) continue;
    const auto worse = std::find_if(order_.begin() + first, order_.end(),
                                    [&](uint32_t other) { return after(other, id); });
    if (worse == order_.end()) {
      come_later(id);
    } else {
      order_.insert(worse, id);
    }
  }
  while (order_.size() > taken_count_ + kOrderMax && !knows_children(nodes_[order_.back()])) {
    come_later(order_.back());
    order_.pop_back();
  }
}

// Whether the order has a node at that place, which it comes to before the tree is full.
bool TreeWalk::comes_to(size_t place) {
  if (place + 1 >= options_.leaves_max) return false;
  while (order_.size() <= place && !later_.empty()) {
    std::pop_heap(later_.begin(), later_.end(),
                  [this](uint32_t a, uint32_t b) { return after(a, b); });
    const uint32_t best = later_.back();
    later_.pop_back();
    order_.push_back(best);
    if (!knows_children(nodes_[best])) continue;
    for (const int32_t child : {nodes_[best].left, nodes_[best].right}) {
      if (nodes_[child].split.found()) come_later(static_cast<uint32_t>(child));
    }
  }
  return place < order_.size();
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
  left.parent = right.parent = id;
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
  while (comes_to(taken_count_)) {
    Node& node = nodes_[order_[taken_count_]];
    if (!knows_children(node)) return;
    node.taken = true;
    ++taken_count_;
  }
}

bool TreeWalk::finished() {
  advance();
  return nodes_[0].is_known && !comes_to(taken_count_);
}

// A node that the order does not come to before the tree is full may still be wanted when others
// are known better, but whether it is has nothing to do with how large its own gain is: a large one
// under a small one waits for the small one's turn.
TreeWalk::Ahead TreeWalk::ahead(size_t count, double gain_left, double gain_min) {
  Ahead ahead;
  bool is_sure = true;
  for (size_t i = taken_count_; comes_to(i); ++i) {
    const Node& node = nodes_[order_[i]];
    is_sure = is_sure && (options_.order == GrowthOrder::by_level || node.split.gain > gain_left);
    if (node.in_batch() || node.split.gain < gain_min) continue;
    ahead.nodes.push_back(order_[i]);
    if (is_sure) ahead.sure_count = ahead.nodes.size();
    if (ahead.nodes.size() == count) break;
  }
  return ahead;
}

double TreeWalk::least_gain() const {
  double least = taken_count_ == 0 ? 0 : nodes_[order_[0]].split.gain;
  for (size_t i = 0; i < taken_count_; ++i) least = std::min(least, nodes_[order_[i]].split.gain);
  return least;
}

double TreeWalk::gain_left() const {
  if (order_.size() > taken_count_) return nodes_[order_[taken_count_]].split.gain;
  return later_.empty() ? 0 : nodes_[later_.front()].split.gain;
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
    ++taken_count_;
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
  nodes.resize(1 + 2 * taken_count_);
  for (const uint32_t id : std::span(order_).first(taken_count_)) {
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
