// Who reads and holds which shards: shares by speed, within each worker's memory; spare copies; and
// whose shards others read because it is not heard.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/mutation.h"

namespace evergrove::cluster {

// For what adds to what is held or wanted, and takes nothing away. A placement looks at every
// worker and shard; where workers are many, those of a while are placed together, at the next tick:
// a thousand that come and read one by one would else have the coordinator busy for minutes. So are
// those that come together.
void Coordinator::place_soon() {
  constexpr size_t kPlacedAtOnce = 16;
  if (joining_count_ == 0 && workers_.size() <= kPlacedAtOnce) {
    is_placement_due_ = true;
  } else {
    is_more_to_place_ = true;
  }
}

bool Coordinator::all_held() const {
  std::set<uint32_t> held;
  for (const auto& [name, state] : workers_) held.insert(state.held.begin(), state.held.end());
  return std::all_of(shards_.begin(), shards_.end(),
                     [&](const ShardRows& shard) { return held.contains(shard.id); });
}

const ShardRows* Coordinator::shard(uint32_t id) const {
  const auto found = std::lower_bound(shards_.begin(), shards_.end(), id,
                                      [](const ShardRows& a, uint32_t b) { return a.id < b; });
  return found == shards_.end() || found->id != id ? nullptr : &*found;
}

uint64_t Coordinator::rows_counted(const Member& member) const {
  uint64_t rows = 0;
  for (uint32_t id : member.shards) rows += shard(id)->row_count;
  return rows;
}

double Coordinator::weight(const WorkerState& worker) const {
  return worker.weight > 0 ? worker.weight : worker.threads * thread_weight_;
}

// Whether the member that takes longest over its rows takes much longer than it would if all had
// rows by their speed; then shares are by speed from now on. A hiccup moves nothing. Who has much
// less than its share spends its time on what does not depend on rows, and would look slow for it:
// it is taken for as fast as others of its threads.
void Coordinator::weigh() {
  constexpr double kMuchLonger = 1.5;
  constexpr double kWeightMin = 0.05;  // of the mean: who has no row cannot show that it is faster
  uint64_t all_rows = 0;
  double all_weight = 0;
  std::map<std::string, uint64_t> rows;
  for (const Member& is : view_.members) {
    const auto found = workers_.find(is.name);
    if (found == workers_.end() || !found->second.stays()) continue;
    rows[is.name] = rows_counted(is);
    all_rows += rows[is.name];
    all_weight += weight(found->second);
  }
  uint64_t threads = 0;
  double speed = 0;
  std::set<std::string> measured;
  for (const auto& [name, own] : rows) {
    const WorkerState& worker = workers_.at(name);
    if (double(own) < double(all_rows) * weight(worker) / all_weight / 2) continue;
    if (worker.speed.rows_a_second() <= 0) return;  // it will be known soon
    measured.insert(name);
    threads += worker.threads;
    speed += worker.speed.rows_a_second();
  }
  if (threads == 0) return;
  const double thread_speed = speed / double(threads);
  double slowest = 0;
  for (const auto& [name, own] : rows) {
    const WorkerState& worker = workers_.at(name);
    if (measured.contains(name)) {
      slowest = std::max(slowest, double(own) / worker.speed.rows_a_second());
    } else {
      speed += thread_speed * worker.threads;
    }
  }
  if (slowest <= kMuchLonger * double(all_rows) / speed) return;
  thread_weight_ = thread_speed;
  for (auto& [name, worker] : workers_) {
    worker.weight = 0;
    if (!measured.contains(name)) continue;
    worker.weight =
        std::max(worker.speed.rows_a_second(), kWeightMin * worker.threads * thread_speed);
  }
  ++weighed_count_;
  is_placement_due_ = true;
}

// Of the shards that it has or will have.
uint64_t Coordinator::planned(const WorkerState& worker, uint64_t ShardRows::*what) const {
  uint64_t sum = 0;
  const auto add = [&](uint32_t id) {
    const ShardRows* const rows = shard(id);
    CHECK(rows != nullptr);
    sum += rows->*what;
  };
  for (uint32_t id : worker.held) add(id);
  for (uint32_t id : worker.asked) {
    if (!worker.held.contains(id)) add(id);
  }
  return sum;
}

uint64_t Coordinator::rows_planned(const WorkerState& worker) const {
  return planned(worker, &ShardRows::row_count);
}

uint64_t Coordinator::memory_planned(const WorkerState& worker) const {
  return planned(worker, &ShardRows::memory_bytes);
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
      return other.first != name && other.second.stays() && other.second.held.contains(id);
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
    if (!state.stays() || !may(name)) continue;
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

// One that it is no longer asked for it has given back when it hears that, or will: it is not held,
// however lately it was read.
void Coordinator::add_held(const std::string& name, uint32_t shard) {
  WorkerState& worker = workers_.at(name);
  if (this->shard(shard) == nullptr || worker.held.contains(shard)) return;
  if (worker.asked.erase(shard) > 0) {
    worker.held.insert(shard);
  } else {
    say_load(name);
  }
}

// The first worker to come is asked for all there is; what it has not read yet is for those who
// come after it.
void Coordinator::share_reading(uint64_t all_rows, double all_weight, std::set<std::string>& told) {
  std::set<uint32_t> held;
  for (const auto& [name, state] : workers_) held.insert(state.held.begin(), state.held.end());
  const auto share = [&](const WorkerState& worker) {
    return double(all_rows) * weight(worker) / all_weight;
  };
  for (auto& [name, from] : workers_) {
    std::vector<uint32_t> unread;
    for (uint32_t id : from.asked) {
      if (!held.contains(id)) unread.push_back(id);
    }
    uint64_t rows = rows_planned(from);
    // It reads in their order, so the last ones are the farthest from being read.
    for (; !unread.empty(); unread.pop_back()) {
      const ShardRows& last = *shard(unread.back());
      if (double(rows) - double(last.row_count) / 2 < share(from)) break;
      const std::string to = neediest([&, name = name](const std::string& each) {
        const WorkerState& worker = workers_.at(each);
        return each != name && !worker.has(last.id) && has_room(worker, last.memory_bytes) &&
               double(rows_planned(worker)) + double(last.row_count) / 2 <= share(worker);
      });
      if (to.empty()) break;
      from.asked.erase(last.id);
      workers_.at(to).asked.insert(last.id);
      rows -= last.row_count;
      told.insert(name);
      told.insert(to);
    }
  }
}

// Has shards read that nobody holds who stays; none has more than its memory holds, and spare
// copies make way for what nobody holds.
void Coordinator::place_missing(std::set<std::string>& told) {
  std::set<uint32_t> placed, held_by_stragglers;
  for (const auto& [name, state] : workers_) {
    if (state.is_straggler) held_by_stragglers.insert(state.held.begin(), state.held.end());
    if (!state.stays()) continue;
    placed.insert(state.held.begin(), state.held.end());
    placed.insert(state.asked.begin(), state.asked.end());
  }
  for (const ShardRows& shard : shards_) {
    if (placed.contains(shard.id)) continue;
    std::string name = neediest(
        [&](const std::string& each) { return has_room(workers_.at(each), shard.memory_bytes); });
    if (name.empty()) {
      name = neediest([&](const std::string& each) {
        WorkerState without = workers_.at(each);
        for (uint32_t id : spare_copies(each)) without.held.erase(id);
        return has_room(without, shard.memory_bytes);
      });
      if (name.empty()) {
        if (!held_by_stragglers.contains(shard.id)) memory_bytes_missing_ += shard.memory_bytes;
        continue;
      }
      give_back(name, shard.memory_bytes);
    }
    workers_[name].asked.insert(shard.id);
    if (is_broken(Mutation::assign_before_held)) workers_[name].held.insert(shard.id);
    told.insert(name);
  }
}

// Has workers with less than their share read shards of those who have more, counting what is
// active only.
void Coordinator::move_to_the_needy(uint64_t all_rows, double all_weight,
                                    std::set<std::string>& told) {
  struct Giver {
    const WorkerState* worker = nullptr;
    double share = 0;
    uint64_t active = 0, asked_of_it = 0;

    bool has_too_much() const { return double(active) - double(asked_of_it) > share; }
  };
  // Of a shard with replicas there are copies that nobody is to count; only one on its way is.
  std::map<uint32_t, size_t> copies;
  for (const auto& [name, state] : workers_) {
    if (options_.replicas == 0) {
      for (uint32_t id : state.held) ++copies[id];
    }
    for (uint32_t id : state.asked) copies[id] += !state.held.contains(id);
  }
  const auto is_asked_of = [&](const Giver& giver, uint32_t id) {
    return copies[id] > size_t{options_.replicas == 0 && giver.worker->has(id)};
  };
  std::vector<Giver> givers(view_.members.size());
  std::vector<std::pair<const ShardRows*, Giver*>> movable;
  for (size_t i = 0; i < givers.size(); ++i) {
    Giver& giver = givers[i];
    const auto found = workers_.find(view_.members[i].name);
    if (found == workers_.end()) continue;
    giver.worker = &found->second;
    giver.share = double(all_rows) * weight(*giver.worker) / all_weight;
    for (uint32_t id : view_.members[i].shards) {
      giver.active += shard(id)->row_count;
      if (is_asked_of(giver, id)) giver.asked_of_it += shard(id)->row_count;
    }
    if (!giver.has_too_much()) continue;
    for (uint32_t id : view_.members[i].shards) movable.emplace_back(shard(id), &giver);
  }
  std::sort(movable.begin(), movable.end(),
            [](const auto& a, const auto& b) { return a.first->id < b.first->id; });
  for (auto& [name, state] : workers_) {
    if (!state.stays() || movable.empty()) continue;
    const double share = double(all_rows) * weight(state) / all_weight;
    uint64_t rows = rows_planned(state);
    for (const auto& [shard, giver] : movable) {
      if (double(rows) + double(shard->row_count) / 2 > share) break;
      if (!giver->has_too_much() || state.has(shard->id)) continue;
      if (!has_room(state, shard->memory_bytes)) continue;
      const bool was_asked = is_asked_of(*giver, shard->id);
      state.asked.insert(shard->id);
      ++copies[shard->id];
      rows += shard->row_count;
      if (!was_asked && is_asked_of(*giver, shard->id)) giver->asked_of_it += shard->row_count;
      told.insert(name);
    }
  }
}

// Keeps so many spare copies of each shard as are wanted, where there is room for them. Of more
// than that those go that nobody counts, but only when it was just settled who does: until then one
// may be there to be counted.
void Coordinator::place_replicas(std::set<std::string>& told) {
  const size_t wanted = 1 + size_t{options_.replicas};
  for (const ShardRows& shard : shards_) {
    size_t copies = 0;
    for (const auto& [name, state] : workers_) copies += state.stays() && state.has(shard.id);
    for (; copies < wanted; ++copies) {
      const std::string name = neediest([&](const std::string& each) {
        const WorkerState& worker = workers_.at(each);
        return !worker.has(shard.id) && has_room(worker, shard.memory_bytes);
      });
      if (name.empty()) break;
      workers_.at(name).asked.insert(shard.id);
      told.insert(name);
    }
    for (auto& [name, state] : workers_) {
      if (copies <= wanted || !is_view_new_) break;
      const Member* is = member(name);
      const bool is_counted =
          is != nullptr && std::count(is->shards.begin(), is->shards.end(), shard.id) > 0;
      if (!state.stays() || (is_counted && !is_broken(Mutation::drop_counted_copy)) ||
          !state.held.contains(shard.id))
        continue;
      state.held.erase(shard.id);
      --copies;
      told.insert(name);
    }
  }
}

void Coordinator::place_shards() {
  uint64_t all_rows = 0;
  double all_weight = 0;
  for (const ShardRows& shard : shards_) all_rows += shard.row_count;
  for (const auto& [name, state] : workers_) {
    if (state.stays()) all_weight += weight(state);
  }
  memory_bytes_missing_ = 0;
  if (all_weight <= 0) return;
  std::set<std::string> told;
  place_missing(told);
  share_reading(all_rows, all_weight, told);
  move_to_the_needy(all_rows, all_weight, told);
  if (options_.replicas > 0 && view_.number > 0 && all_held()) place_replicas(told);
  is_view_new_ = false;
  for (const std::string& name : told) say_load(name);
}

}  // namespace evergrove::cluster
