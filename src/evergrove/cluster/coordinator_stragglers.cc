// Members that keep the others waiting: their shards are read by others while they may still
// answer, and whoever is first counts. A straggler that speaks is one no more; one whose shards all
// lie elsewhere is overtaken, which is a loss without the wait, and is asked to join again.
//
// Nobody is overtaken again and again: each time, and each time it answers before the others are
// there, the next one takes twice as long.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/cluster/coordinator.h"

namespace evergrove::cluster {
namespace {

constexpr uint64_t kRoundsKnown = 8;  // before it is known how long a round takes
constexpr uint32_t kStrikesMax = 20;

}  // namespace

// How long a member may be silent while the others wait for it.
Time Coordinator::patience(const std::string& name) const {
  const auto found = strikes_.find(name);
  const uint32_t strikes = found == strikes_.end() ? 0 : std::min(found->second, kStrikesMax);
  return std::max(options_.straggler_after, longest_round_ * options_.straggler_rounds) *
         (int64_t{1} << strikes);
}

void Coordinator::find_stragglers() {
  const bool is_known = rounds_timed_ >= kRoundsKnown && options_.straggler_after > Time{0};
  if (rounds_.empty() || is_view_lost_ || !is_known) return;
  std::vector<WorkerState*> found;
  for (const Member& member : view_.members) {
    const auto worker = workers_.find(member.name);
    if (worker == workers_.end() || !worker->second.stays()) continue;
    const Time waited = now_ - std::max(front_since_, worker->second.heard);
    if (waited > patience(member.name)) found.push_back(&worker->second);
  }
  // If most are silent it is the network, or this machine that was stopped.
  if (2 * found.size() > view_.members.size()) return;
  for (WorkerState* worker : found) {
    worker->is_straggler = true;
    is_placement_due_ = true;
  }
}

// Goes on without stragglers whose shards are all held by others.
void Coordinator::overtake() {
  if (is_view_lost_) return;
  std::vector<std::string> overtaken;
  for (const auto& [name, state] : workers_) {
    const Member* is = member(name);
    if (!state.is_straggler || is == nullptr) continue;
    const auto is_elsewhere = [&, name = name](uint32_t id) {
      return std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
        return other.first != name && other.second.stays() && other.second.held.contains(id);
      });
    };
    if (std::all_of(is->shards.begin(), is->shards.end(), is_elsewhere)) overtaken.push_back(name);
  }
  for (const std::string& name : overtaken) lose(name, RunEvent::overtaken, now_);
}

// One that was overtaken and did not come back in time is lost. The name is a copy, for it may be
// that of the entry that is erased.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
void Coordinator::give_up_overtaken(std::string name) {
  overtaken_.erase(name);
  strikes_.erase(name);
  ++lost_count_;
  note(RunEvent::lost, name);
}

}  // namespace evergrove::cluster
