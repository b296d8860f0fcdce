// Who does what: who counts which shard, who owns which block, and what a member has to be told to
// be where the others are.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include "evergrove/base/check.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/mutation.h"

namespace evergrove::cluster {

// Who would do what now: each shard with the holder that has the least to do, those with the
// fewest holders first, but with whom it is now up to this one's share; the owners of blocks stay
// while a tree is at hand.
View Coordinator::next_view() const {
  View view;
  view.number = view_.number;
  view.fan_in = options_.fan_in;
  std::map<std::string, std::pair<Member, uint64_t>> members;
  for (const auto& [name, state] : workers_) {
    if (!state.held.empty()) members[name] = {{name, state.address, {}}, 0};
  }
  const auto is_stayer = [&](const std::string& name) { return workers_.at(name).stays(); };
  std::map<uint32_t, std::vector<std::pair<Member, uint64_t>*>> holders_of;
  for (auto& [name, member] : members) {
    for (uint32_t id : workers_.at(name).held) holders_of[id].push_back(&member);
  }
  std::vector<std::pair<size_t, ShardRows>> by_holders;
  for (const ShardRows& shard : shards_) {
    by_holders.emplace_back(holders_of[shard.id].size(), shard);
  }
  std::stable_sort(by_holders.begin(), by_holders.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  uint64_t all_rows = 0;
  double all_weight = 0;
  for (const ShardRows& shard : shards_) all_rows += shard.row_count;
  for (const auto& [name, member] : members) {
    if (is_stayer(name)) all_weight += weight(workers_.at(name));
  }
  std::unordered_map<uint32_t, const std::string*> counted_by;
  for (const Member& member : view_.members) {
    for (uint32_t id : member.shards) counted_by[id] = &member.name;
  }
  // Rows that are led along are dear to move: they are divided, and others are brought up. In the
  // midst of a tree all wait for that, and a little more than a share is kept until it is done.
  const auto keeps = [&](const std::pair<Member, uint64_t>& member, const ShardRows& shard) {
    const auto found = counted_by.find(shard.id);
    if (found == counted_by.end() || *found->second != member.first.name) return false;
    const double share = double(all_rows) * weight(workers_.at(member.first.name)) / all_weight;
    const double more = walk_ ? share / 8 : 0;
    return is_stayer(member.first.name) &&
           double(member.second) + double(shard.row_count) / 2 <= share + more;
  };
  for (const auto& [holders, shard] : by_holders) {
    std::pair<Member, uint64_t>* best = nullptr;
    auto key = std::tuple(true, true, 0.0);
    for (std::pair<Member, uint64_t>* member : holders_of[shard.id]) {
      const WorkerState& worker = workers_.at(member->first.name);
      const auto here = std::tuple(!worker.stays(), !keeps(*member, shard),
                                   double(member->second + shard.row_count) / weight(worker));
      if (best != nullptr && here >= key) continue;
      best = member;
      key = here;
    }
    CHECK(best != nullptr);
    if (is_broken(Mutation::forget_shard_on_drain) && !is_stayer(best->first.name)) continue;
    best->first.shards.push_back(shard.id);
    best->second += shard.row_count;
  }
  for (auto& [name, member] : members) {
    if (!is_stayer(name) && member.first.shards.empty()) continue;
    std::sort(member.first.shards.begin(), member.first.shards.end());
    view.members.push_back(std::move(member.first));
  }
  const auto place_of = [&](const std::string& name) -> int64_t {
    for (size_t i = 0; i < view.members.size(); ++i) {
      if (view.members[i].name == name) return static_cast<int64_t>(i);
    }
    return -1;
  };
  // Histograms of a tree are of its blocks.
  const size_t most = std::min(kBlocksMax, setup_.header.features.size());
  const size_t count = walk_ ? block_count() : std::clamp(view.members.size(), size_t{1}, most);
  for (size_t block = 0; block < count; ++block) {
    int64_t owner = -1;
    if (walk_) owner = place_of(view_.members[view_.block_owners[block]].name);
    if (owner < 0) owner = static_cast<int64_t>(block * view.members.size() / count);
    view.block_owners.push_back(static_cast<uint32_t>(owner));
  }
  return view;
}

void Coordinator::begin_view(View view) {
  if (walk_) {
    for (size_t block = 0; block < block_count(); ++block) {
      const std::string& then = view_.members[view_.block_owners[block]].name;
      const std::string& now = view.members[view.block_owners[block]].name;
      if (then != now) blocks_lost_.insert(static_cast<uint32_t>(block));
    }
  } else {
    blocks_lost_.clear();
  }
  view.number = view_.number + 1;
  for (const Member& is : view.members) {
    const Member* was = member(is.name);
    if (!is.shards.empty() && (was == nullptr || was->shards.empty())) {
      note(RunEvent::active, is.name);
    }
  }
  view_ = std::move(view);
  member_places_.clear();
  threads_most_ = 1;
  threads_all_ = 0;
  for (size_t i = 0; i < view_.members.size(); ++i) {
    const std::string& name = view_.members[i].name;
    member_places_[name] = i;
    const auto worker = workers_.find(name);
    const uint32_t threads = worker == workers_.end() ? 1 : worker->second.threads;
    threads_most_ = std::max(threads_most_, threads);
    threads_all_ += threads;
  }
  is_view_lost_ = false;
  is_view_new_ = true;
  is_placement_due_ = true;
  std::erase_if(rounds_,
                [](const OpenRound& open) { return open.round.kind == RoundKind::rebuild; });
  for (OpenRound& open : rounds_) {
    if (!is_broken(Mutation::keep_facts_over_view)) {
      open.facts_from.clear();
      open.facts = {};
    }
    std::erase_if(open.by_block, [&](const auto& entry) {
      const bool is_root =
          open.round.kind == RoundKind::root && !is_broken(Mutation::keep_root_splits_over_view);
      return is_root || blocks_lost_.contains(entry.first);
    });
  }
  if (!blocks_lost_.empty() && !is_broken(Mutation::skip_rebuild)) {
    OpenRound rebuild;
    rebuild.round.number = ++round_number_;
    rebuild.round.kind = RoundKind::rebuild;
    rebuild.round.nodes = open_nodes();
    if (is_broken(Mutation::rebuild_one_node_short)) rebuild.round.nodes.pop_back();
    rebuild.round.blocks.assign(blocks_lost_.begin(), blocks_lost_.end());
    if (is_broken(Mutation::rebuild_one_block_short)) rebuild.round.blocks.pop_back();
    rounds_.push_front(std::move(rebuild));
  }
  ledger_.begin_view(view_.members.size(), rounds_.size(), now_);
  say_plans();
  let_leavers_go();
}

// All rows are counted by the members of a view: who is asked to leave and is none of them may.
void Coordinator::let_leavers_go() {
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    if (worker->second.is_leaving && member(worker->first) == nullptr) {
      tell(worker->first, Goodbye{"It was asked to leave, and has handed over"});
      ++left_count_;
      note(RunEvent::left, worker->first);
      strikes_.erase(worker->first);
      worker = workers_.erase(worker);
    } else {
      ++worker;
    }
  }
}

// The nodes whose histograms are still needed: those that may be expanded, or are being.
std::vector<uint32_t> Coordinator::open_nodes() const {
  std::vector<uint32_t> nodes;
  if (is_symmetric()) return level_nodes();
  for (uint32_t id = 0; id < walk_->node_count(); ++id) {
    const trees::TreeWalk::Node& node = walk_->node(id);
    if (!node.is_known || !node.split.found()) continue;
    if (node.in_batch() && walk_->node(node.left).is_known) continue;
    nodes.push_back(id);
  }
  return nodes;
}

void Coordinator::say_plan(const std::string& name) {
  WorkerState& worker = workers_.at(name);
  Plan plan;
  plan.view = view_;
  plan.state = state_;
  plan.first_iteration = std::min(worker.iterations_known, state_.iteration);
  for (uint64_t i = plan.first_iteration; i < state_.iteration; ++i) {
    plan.iterations.push_back(history_.iterations()[i].trees);
  }
  plan.last_round = round_number_;
  for (const OpenRound& open : rounds_) plan.rounds.push_back(open.round);
  tell(name, std::move(plan));
}

void Coordinator::say_plans() {
  for (const Member& member : view_.members) {
    if (workers_.contains(member.name)) say_plan(member.name);
  }
}

}  // namespace evergrove::cluster
