// Symmetric trees: all nodes of a level have one split, which the owner of a block seeks over the
// histograms of all of them. A level takes one round: what is decided of it is expanded, and the
// next is searched (trees/grower.cc has the same on one machine).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/cluster/coordinator.h"

namespace evergrove::cluster {

// Takes the level's split, and says which nodes are divided by it; the tree is finished if none is.
void Coordinator::choose_level(const OpenRound& open) {
  level_batch_.clear();
  const Splits* best = nullptr;
  for (const auto& [block, splits] : open.by_block) {
    if (splits.shared_gain > (best == nullptr ? 0 : best->shared_gain)) best = &splits;
  }
  if (best == nullptr || level_.nodes.empty()) return finish_tree();
  std::vector<trees::Split> splits;
  for (size_t i = 0; i < level_.nodes.size(); ++i) {
    if (i >= best->splits.size() || best->splits[i].node != level_.nodes[i].node) {
      actions_.emplace_back(FailedAction{corrupt("A worker has sent splits of other nodes")});
      is_finished_ = true;
      return;
    }
    splits.push_back(best->splits[i].split);
  }
  level_batch_ = walk_->take_level(level_nodes(), std::move(splits));
  if (level_batch_.empty()) finish_tree();
}

std::vector<uint32_t> Coordinator::level_nodes() const {
  std::vector<uint32_t> nodes;
  for (const Level::Node& each : level_.nodes) nodes.push_back(each.node);
  return nodes;
}

void Coordinator::grow_level() {
  if (!rounds_.empty()) return;
  Round round;
  round.kind = RoundKind::expand;
  round.level.depth = level_.depth + 1;
  const bool is_last = round.level.depth >= growth_.symmetric_depth();
  for (uint32_t id : level_batch_) {
    Expansion& expansion = round.expansions.emplace_back(expansion_of(id));
    if (is_last) expansion.left.is_searched = expansion.right.is_searched = false;
  }
  if (!is_last) {
    for (uint32_t id : walk_->next_level(level_nodes())) {
      round.level.nodes.push_back({id, walk_->node(id).sums});
    }
  }
  issue(std::move(round));
}

}  // namespace evergrove::cluster
