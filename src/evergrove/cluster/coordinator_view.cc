// Who holds and does what: where shards are read, who counts which, who owns which block, and what
// a member has to be told to be where the others are.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include "evergrove/base/check.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/mutation.h"

namespace evergrove::cluster {

const Coordinator::WorkerState* Coordinator::holder_of(uint32_t shard) const {
  for (const auto& [name, state] : workers_) {
    if (state.held.contains(shard)) return &state;
  }
  return nullptr;
}

bool Coordinator::all_held() const {
  return std::all_of(shards_.begin(), shards_.end(),
                     [&](const ShardRows& shard) { return holder_of(shard.id) != nullptr; });
}

const ShardRows* Coordinator::shard(uint32_t id) const {
  const auto found = std::find_if(shards_.begin(), shards_.end(),
                                  [&](const ShardRows& each) { return each.id == id; });
  return found == shards_.end() ? nullptr : &*found;
}

double Coordinator::weight(const WorkerState& worker) const {
  return worker.weight > 0 ? worker.weight : worker.threads * thread_weight_;
}

// Whether the member that takes longest over its rows takes much longer than it would if all had
// rows by their speed; then shares are by speed from now on. A speed that is known roughly, or a
// hiccup, moves nothing.
void Coordinator::weigh() {
  constexpr double kMuchLonger = 1.25;
  constexpr double kWeightMin = 0.05;  // of the mean: who has no row cannot show that it is faster
  uint64_t all_rows = 0, threads = 0;
  double speed = 0, slowest = 0;
  for (const Member& is : view_.members) {
    const auto found = workers_.find(is.name);
    if (found == workers_.end() || found->second.is_leaving || is.shards.empty()) continue;
    const WorkerState& worker = found->second;
    uint64_t rows = 0;
    for (uint32_t id : is.shards) rows += shard(id)->row_count;
    if (worker.speed.rows_a_second() <= 0) return;
    all_rows += rows;
    threads += worker.threads;
    speed += worker.speed.rows_a_second();
    slowest = std::max(slowest, double(rows) / worker.speed.rows_a_second());
  }
  if (threads == 0 || slowest <= kMuchLonger * double(all_rows) / speed) return;
  thread_weight_ = speed / double(threads);
  for (auto& [name, worker] : workers_) {
    const Member* is = member(name);
    if (is == nullptr || is->shards.empty()) {
      // What it was when it had rows may be long ago.
      worker.speed.forget();
      worker.weight = 0;
    } else {
      worker.weight =
          std::max(worker.speed.rows_a_second(), kWeightMin * worker.threads * thread_weight_);
    }
  }
  ++weighed_count_;
  is_placement_due_ = true;
}

uint64_t Coordinator::rows_planned(const WorkerState& worker) const {
  uint64_t rows = 0;
  for (const ShardRows& shard : shards_) {
    if (worker.has(shard.id)) rows += shard.row_count;
  }
  return rows;
}

uint64_t Coordinator::memory_planned(const WorkerState& worker) const {
  uint64_t bytes = 0;
  for (const ShardRows& shard : shards_) {
    if (worker.has(shard.id)) bytes += shard.memory_bytes;
  }
  return bytes;
}

bool Coordinator::has_room(const WorkerState& worker, uint64_t bytes) const {
  if (is_broken(Mutation::ignore_memory_limit)) return true;
  const uint64_t taken = memory_planned(worker);
  return taken <= worker.memory_bytes_max && bytes <= worker.memory_bytes_max - taken;
}

// Shards that a worker holds without counting them, and that somebody else holds who stays.
std::set<uint32_t> Coordinator::spare_copies(const std::string& name) const {
  std::set<uint32_t> spare = workers_.at(name).held;
  if (const Member* is = member(name)) {
    for (uint32_t id : is->shards) spare.erase(id);
  }
  std::erase_if(spare, [&](uint32_t id) {
    return std::none_of(workers_.begin(), workers_.end(), [&](const auto& other) {
      return other.first != name && !other.second.is_leaving && other.second.held.contains(id);
    });
  });
  return spare;
}

// Has a worker give back spare copies until there is room for so many bytes.
void Coordinator::give_back(const std::string& name, uint64_t bytes) {
  for (uint32_t id : spare_copies(name)) {
    if (has_room(workers_.at(name), bytes)) return;
    workers_.at(name).held.erase(id);
  }
}

// The worker that is furthest below its share, of those that may have the shard.
std::string Coordinator::neediest(const std::function<bool(const std::string&)>& may) const {
  std::pair<double, std::string> best{2e300, ""};
  for (const auto& [name, state] : workers_) {
    if (state.is_leaving || !may(name)) continue;
    best = std::min(best, {double(rows_planned(state)) / weight(state), name});
  }
  return best.second;
}

void Coordinator::say_load(const std::string& name) {
  const WorkerState& worker = workers_.at(name);
  tell(name, LoadShards{{worker.asked.begin(), worker.asked.end()},
                        {worker.held.begin(), worker.held.end()},
                        ++load_number_});
}

// A shard that was asked for before something else was may be one too many now.
void Coordinator::add_held(const std::string& name, uint32_t shard) {
  WorkerState& worker = workers_.at(name);
  const ShardRows* is = this->shard(shard);
  if (is == nullptr) return;
  if (worker.has(shard) || has_room(worker, is->memory_bytes)) {
    worker.asked.erase(shard);
    worker.held.insert(shard);
  } else {
    say_load(name);
  }
}

// Has shards read that nobody holds, and as many more by workers with less than their share; none
// has more than its memory holds, and spare copies make way for what nobody holds.
void Coordinator::place_shards() {
  uint64_t all_rows = 0;
  double all_weight = 0;
  for (const ShardRows& shard : shards_) all_rows += shard.row_count;
  for (const auto& [name, state] : workers_) {
    if (!state.is_leaving) all_weight += weight(state);
  }
  memory_bytes_missing_ = 0;
  if (all_weight <= 0) return;
  std::set<std::string> told;
  for (const ShardRows& shard : shards_) {
    const bool is_placed = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
      return !entry.second.is_leaving && entry.second.has(shard.id);
    });
    if (is_placed) continue;
    std::string name = neediest(
        [&](const std::string& each) { return has_room(workers_.at(each), shard.memory_bytes); });
    if (name.empty()) {
      name = neediest([&](const std::string& each) {
        WorkerState without = workers_.at(each);
        for (uint32_t id : spare_copies(each)) without.held.erase(id);
        return has_room(without, shard.memory_bytes);
      });
      if (name.empty()) {
        memory_bytes_missing_ += shard.memory_bytes;
        continue;
      }
      give_back(name, shard.memory_bytes);
    }
    workers_[name].asked.insert(shard.id);
    if (is_broken(Mutation::assign_before_held)) workers_[name].held.insert(shard.id);
    told.insert(name);
  }
  for (auto& [name, state] : workers_) {
    if (state.is_leaving) continue;
    const double share = double(all_rows) * weight(state) / all_weight;
    for (const ShardRows& shard : shards_) {
      if (double(rows_planned(state)) + double(shard.row_count) / 2 > share) break;
      if (state.has(shard.id) || !has_room(state, shard.memory_bytes)) continue;
      // From who has more than its share, counting what is active only.
      const auto owner =
          std::find_if(view_.members.begin(), view_.members.end(), [&](const Member& member) {
            return std::count(member.shards.begin(), member.shards.end(), shard.id) > 0;
          });
      if (owner == view_.members.end() || !workers_.contains(owner->name)) continue;
      const WorkerState& giver = workers_[owner->name];
      const double givers_share = double(all_rows) * weight(giver) / all_weight;
      uint64_t active = 0, asked_of_it = 0;
      for (const ShardRows& other : shards_) {
        if (std::count(owner->shards.begin(), owner->shards.end(), other.id) == 0) continue;
        active += other.row_count;
        for (const auto& [other_name, other_state] : workers_) {
          if (other_name != owner->name && other_state.has(other.id)) {
            asked_of_it += other.row_count;
            break;
          }
        }
      }
      if (double(active) - double(asked_of_it) <= givers_share) continue;
      state.asked.insert(shard.id);
      told.insert(name);
    }
  }
  for (const std::string& name : told) say_load(name);
}

// Who would do what now: each shard with the holder that has the least to do, those with the
// fewest holders first; the owners of blocks stay while a tree is at hand.
View Coordinator::next_view() const {
  View view;
  view.number = view_.number;
  std::map<std::string, std::pair<Member, uint64_t>> members;
  for (const auto& [name, state] : workers_) {
    if (!state.held.empty()) members[name] = {{name, state.address, {}}, 0};
  }
  const auto is_stayer = [&](const std::string& name) { return !workers_.at(name).is_leaving; };
  std::vector<std::pair<size_t, ShardRows>> by_holders;
  for (const ShardRows& shard : shards_) {
    size_t holders = 0;
    for (const auto& [name, state] : workers_) holders += state.held.contains(shard.id);
    by_holders.emplace_back(holders, shard);
  }
  std::stable_sort(by_holders.begin(), by_holders.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [holders, shard] : by_holders) {
    std::pair<Member, uint64_t>* best = nullptr;
    auto key = std::tuple(true, 0.0);
    for (auto& [name, member] : members) {
      if (!workers_.at(name).held.contains(shard.id)) continue;
      const auto here = std::tuple(
          !is_stayer(name), double(member.second + shard.row_count) / weight(workers_.at(name)));
      if (best != nullptr && here >= key) continue;
      best = &member;
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
  for (size_t block = 0; block < block_count_; ++block) {
    int64_t owner = -1;
    if (walk_ && !view_.block_owners.empty()) {
      owner = place_of(view_.members[view_.block_owners[block]].name);
    }
    if (owner < 0) owner = static_cast<int64_t>(block * view.members.size() / block_count_);
    view.block_owners.push_back(static_cast<uint32_t>(owner));
  }
  return view;
}

void Coordinator::begin_view(View view) {
  if (walk_) {
    for (size_t block = 0; block < block_count_; ++block) {
      const std::string& then = view_.members[view_.block_owners[block]].name;
      const std::string& now = view.members[view.block_owners[block]].name;
      if (then != now) blocks_lost_.insert(static_cast<uint32_t>(block));
    }
  } else {
    blocks_lost_.clear();
  }
  view.number = view_.number + 1;
  view_ = std::move(view);
  is_view_lost_ = false;
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
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    if (worker->second.is_leaving && member(worker->first) == nullptr) {
      tell(worker->first, Goodbye{"It was asked to leave, and has handed over"});
      ++left_count_;
      ledger_.note(RunEvent::left, worker->first, now_);
      worker = workers_.erase(worker);
    } else {
      ++worker;
    }
  }
}

// The nodes whose histograms are still needed: those that may be expanded, or are being.
std::vector<uint32_t> Coordinator::open_nodes() const {
  std::vector<uint32_t> nodes;
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
