// Symmetric trees: all nodes of a level have one split, which the owner of a block seeks over the
// histograms of all of them. A level takes one round: what is decided of it is expanded, and the
// next is searched (trees/grower.cc has the same on one machine).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/cluster/coordinator.h"

namespace evergrove::cluster {

namespace {

constexpr uint32_t kDepthUsual = 6;  // where no depth is said

}  // namespace

// Takes the level's split, and says which nodes are divided by it; the tree is finished if none is.
void Coordinator::choose_level(const OpenRound& open) {
  level_batch_.clear();
  const Splits* best = nullptr;
  for (const auto& [block, splits] : open.by_block) {
    if (splits.shared_gain > (best == nullptr ? 0 : best->shared_gain)) best = &splits;
  }
  if (best == nullptr || level_.nodes.empty()) return finish_tree();
  for (size_t i = 0; i < level_.nodes.size(); ++i) {
    if (i >= best->splits.size() || best->splits[i].node != level_.nodes[i].node) {
      actions_.emplace_back(FailedAction{corrupt("A worker has sent splits of other nodes")});
      is_finished_ = true;
      return;
    }
    const NodeSplit& found = best->splits[i];
    const bool is_divided =
        found.split.found() && walk_->leaf_count() + level_batch_.size() < growth_.leaves_max;
    if (!is_divided) continue;  // stays a leaf on this level; the next may divide it
    walk_->node(found.node).split = found.split;
    level_batch_.push_back(found.node);
  }
  if (level_batch_.empty()) finish_tree();
}

void Coordinator::grow_level() {
  if (!rounds_.empty()) return;
  walk_->take_level(level_batch_);
  Round round;
  round.kind = RoundKind::expand;
  std::vector<uint32_t> next;
  for (uint32_t id : level_nodes_) {
    if (!walk_->node(id).taken) next.push_back(id);
  }
  const uint32_t depth_max = growth_.depth_max == 0 ? kDepthUsual : growth_.depth_max;
  const bool is_last = level_.depth + 1 >= depth_max;
  for (uint32_t id : level_batch_) {
    Expansion& expansion = round.expansions.emplace_back(expansion_of(id));
    if (is_last) expansion.left.is_searched = expansion.right.is_searched = false;
    next.push_back(expansion.left.node);
    next.push_back(expansion.right.node);
  }
  std::sort(next.begin(), next.end());
  level_nodes_ = std::move(next);
  round.level.depth = level_.depth + 1;
  for (uint32_t id : level_nodes_) {
    if (!is_last && walk_->may_split(id)) round.level.nodes.push_back({id, walk_->node(id).sums});
  }
  issue(std::move(round));
}

}  // namespace evergrove::cluster
