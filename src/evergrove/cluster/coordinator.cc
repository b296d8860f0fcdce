// The order of things: every shard is held -> a view -> measure -> root -> expand ... -> measure.
// go_on() looks at where the run is and does what can be done next; whatever happens ends in it.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/coordinator.h"

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/cluster/mutation.h"

namespace evergrove::cluster {
Coordinator::Coordinator(CoordinatorOptions options, RunSetup setup, std::vector<ShardRows> shards,
                         std::vector<train::Iteration> past)
    : options_(options),
      setup_(std::move(setup)),
      shards_(std::move(shards)),
      history_(setup_.header),
      growth_(train::growth_options(setup_.header)),
      output_count_(setup_.header.base_margins.size()),
      joining_count_(options.joining_count),
      gains_left_(output_count_) {
  for (const model::Feature& feature : setup_.header.features) bin_count_ += feature.bin_count();
  std::sort(shards_.begin(), shards_.end(),
            [](const ShardRows& a, const ShardRows& b) { return a.id < b.id; });
  // Fewer iterations may be asked for now than were logged.
  for (train::Iteration& iteration : past) {
    if (history_.finished()) break;
    if (setup_.header.valid_names.empty()) iteration.metrics.clear();
    if (given_.empty() && history_.has_metrics_of_now(iteration)) {
      history_.keep(std::move(iteration));
    } else {
      given_.push_back(std::move(iteration));
    }
  }
  state_.iteration = history_.iterations().size();
  was_finished_ = history_.finished();
  is_measured_ = !needs_largest();
}

Coordinator::~Coordinator() = default;

void Coordinator::tell(const std::string& worker, Body body) {
  actions_.emplace_back(TellAction{worker, Message{options_.epoch, std::move(body)}});
}

std::vector<CoordinatorAction> Coordinator::receive(const std::string& worker,
                                                    const Message& message, Time now) {
  now_ = now;
  if (message.epoch > options_.epoch) {
    is_finished_ = true;
    return {OvertakenAction{message.epoch}};
  }
  if (is_finished_) {
    if (is_logged_) tell(worker, Goodbye{});
    return std::exchange(actions_, {});
  }
  if (const auto* hello = std::get_if<Join>(&message.body)) {
    join(worker, *hello, now);
  } else if (const auto known = workers_.find(worker); known == workers_.end()) {
    tell(worker, Rejoin{});
  } else {
    WorkerState& state = known->second;
    state.heard = now;
    if (state.is_straggler) {
      // It was quicker than those who read for it.
      state.is_straggler = false;
      ++strikes_[worker];
      is_placement_due_ = true;
    }
    if (message.epoch != options_.epoch) {
      tell(worker, Rejoin{});
    } else if (const auto* loaded = std::get_if<Loaded>(&message.body)) {
      for (uint32_t id : loaded->shards) add_held(worker, id);
      place_soon();
      progress_ = now;
    } else if (const auto* failed = std::get_if<LoadFailed>(&message.body)) {
      for (uint32_t id : failed->shards) state.asked.erase(id);
      is_placement_due_ = true;
      actions_.emplace_back(FailedAction{storage_error(
          "A worker cannot read its part of the data: " + failed->reason, {{"worker", worker}})});
    } else if (const auto* facts = std::get_if<Facts>(&message.body)) {
      add_facts(worker, *facts);
      if (facts->view == view_.number) state.iterations_known = state_.iteration;
      progress_ = now;
    } else if (const auto* splits = std::get_if<Splits>(&message.body)) {
      add_splits(worker, *splits);
      if (splits->view == view_.number) state.iterations_known = state_.iteration;
      progress_ = now;
    } else if (const auto* beat = std::get_if<Heartbeat>(&message.body)) {
      const Member* is = beat->view == view_.number ? member(worker) : nullptr;
      state.speed.hear(*beat, is != nullptr ? rows_counted(*is) : 0);
    } else if (std::holds_alternative<Leave>(message.body)) {
      if (!state.is_leaving) note(RunEvent::leaving, worker);
      state.is_leaving = true;
      is_placement_due_ = true;
    }
  }
  go_on();
  return std::exchange(actions_, {});
}

void Coordinator::join(const std::string& name, const Join& hello, Time now) {
  std::set<uint32_t> held;
  for (uint32_t id : hello.shards) {
    if (shard(id) != nullptr) held.insert(id);
  }
  const bool is_known = workers_.contains(name);
  bool is_new = !is_known;
  const Member* const was = is_new ? nullptr : member(name);
  if (was != nullptr && !is_view_lost_) {
    const bool has_all = std::all_of(was->shards.begin(), was->shards.end(),
                                     [&](uint32_t id) { return held.contains(id); });
    if (!has_all) {
      is_view_lost_ = true;
      ++lost_count_;
      note(RunEvent::lost, name);
      ledger_.lose(name, rounds_.size(), now);
      is_new = true;
    }
  }
  if (is_new) {
    if (overtaken_.erase(name) == 0) ++joined_count_;
    note(RunEvent::joined, name);
  }
  WorkerState& state = workers_[name];
  const bool is_leaving = state.is_leaving;
  state = {hello.address,
           std::max(1u, hello.threads),
           hello.memory_bytes,
           std::move(held),
           {},
           now,
           0,
           is_leaving,
           false,
           {},
           0};
  if (is_known) {
    is_placement_due_ = true;  // it may hold less now
  } else {
    joining_count_ -= std::min<size_t>(joining_count_, 1);
    place_soon();
  }
  // Also while there is no view, for what was decided: the rows that it is to read are led through
  // that before others wait for them.
  if (view_.number > 0 && (!is_view_lost_ || member(name) == nullptr)) say_plan(name);
}

std::vector<CoordinatorAction> Coordinator::lost(const std::string& worker, Time now) {
  now_ = now;
  if (overtaken_.contains(worker)) give_up_overtaken(worker);
  lose(worker, RunEvent::lost, now);
  go_on();
  return std::exchange(actions_, {});
}

void Coordinator::lose(const std::string& name, RunEvent::Kind how, Time now) {
  const auto worker = workers_.find(name);
  if (worker == workers_.end()) return;
  const Time heard = worker->second.heard;
  workers_.erase(worker);
  if (how == RunEvent::overtaken) {
    overtaken_[name] = heard;
    ++overtaken_count_;
    ++strikes_[name];
    tell(name, Rejoin{});
  } else {
    ++lost_count_;
    strikes_.erase(name);
  }
  is_placement_due_ = true;
  progress_ = now;
  const bool is_member = member(name) != nullptr;
  note(how, name);
  ledger_.lose(name, is_member ? rounds_.size() : 0, now);
  if (is_member && !is_broken(Mutation::wait_for_lost_member)) is_view_lost_ = true;
}

const Member* Coordinator::member(const std::string& name) const {
  const auto found = member_places_.find(name);
  return found == member_places_.end() ? nullptr : &view_.members[found->second];
}

std::vector<CoordinatorAction> Coordinator::tick(Time now) {
  now_ = now;
  if (is_finished_) return {};
  std::vector<std::string> silent;
  for (const auto& [name, state] : workers_) {
    const bool is_silent =
        now - state.heard > options_.lease && !is_broken(Mutation::never_declare_lost);
    if (is_silent) silent.push_back(name);
  }
  for (const std::string& name : silent) lose(name, RunEvent::lost, now);
  silent.clear();
  for (const auto& [name, heard] : overtaken_) {
    if (now - heard > options_.lease) silent.push_back(name);
  }
  for (const std::string& name : silent) give_up_overtaken(name);
  if (std::exchange(is_more_to_place_, false)) {
    is_placement_due_ = true;
    joining_count_ = 0;
  }
  find_stragglers();
  if (now - weighed_ > options_.weigh_every) {
    weighed_ = now;
    weigh();
  }
  go_on();
  if (now - progress_ > options_.say_again_after && !is_broken(Mutation::never_say_again)) {
    progress_ = now;
    for (const auto& [name, state] : workers_) {
      if (!state.asked.empty()) say_load(name);
    }
    if (view_.number > 0 && !is_view_lost_) say_plans();
  }
  return std::exchange(actions_, {});
}

void Coordinator::issue(Round round) {
  round.number = ++round_number_;
  OpenRound& open = rounds_.emplace_back();
  open.round = std::move(round);
  if (rounds_.size() == 1) front_since_ = now_;
  ledger_.begin_round(now_);
  for (const Member& member : view_.members) {
    if (workers_.contains(member.name)) tell(member.name, NextRound{view_.number, open.round});
  }
}

void Coordinator::go_on() {
  if (is_finished_) return;
  // Nobody need read rows for a run that is over.
  if (was_finished_) return finish_run();
  // Not at each message of a round: it looks at every worker and shard.
  if (is_placement_due_) {
    is_placement_due_ = false;
    is_view_due_ = true;
    place_shards();
    is_all_held_ = all_held();
    if (is_all_held_) overtake();
  }
  if (!is_all_held_) return;
  while (!is_finished_) {
    if (view_.number == 0 || is_view_lost_) {
      begin_view(next_view());
    } else if (rounds_.empty() && is_view_due_) {
      is_view_due_ = walk_.has_value();  // blocks may move when the tree is done
      View next = next_view();
      const bool same = next.block_owners == view_.block_owners &&
                        next.members.size() == view_.members.size() &&
                        std::equal(next.members.begin(), next.members.end(), view_.members.begin(),
                                   [](const Member& a, const Member& b) {
                                     return a.name == b.name && a.shards == b.shards;
                                   });
      if (same) {
        let_leavers_go();  // who holds nothing that counts changes no view
      } else {
        begin_view(std::move(next));
      }
    }
    if (rounds_.empty()) {
      if (history_.finished()) {
        start_appraisal();
      } else if (finish_) {
        start_next();
      } else if (walk_) {
        grow();
        if (finish_) continue;  // nothing was left to grow
      } else if (!given_.empty()) {
        start_given();
      } else if (!is_measured_) {
        start_measure({});
      } else {
        start_root({});
      }
      if (rounds_.empty()) return;
    }
    if (!is_complete(rounds_.front())) return;
    OpenRound open = std::move(rounds_.front());
    rounds_.pop_front();
    longest_round_ = std::max(now_ - front_since_, longest_round_ * 31 / 32);
    front_since_ = now_;
    ++rounds_timed_;
    ledger_.finish_round(open.round.kind == RoundKind::rebuild, now_);
    done(open);
  }
}

// Whether the owner of a block has something to tell, and has not told it.
bool Coordinator::is_awaited(const OpenRound& open, uint32_t block) {
  return open.round.builds(block) && !open.by_block.contains(block);
}

uint32_t Coordinator::awaited_members() const {
  if (rounds_.empty()) return 0;
  // Whoever has read lost rows may have been the last one.
  if (!is_all_held_ || is_view_lost_) return 1;
  const OpenRound& open = rounds_.front();
  std::vector<uint8_t> are_awaited(view_.members.size(), 0);
  for (size_t i = 0; has_facts(open.round.kind) && i < view_.members.size(); ++i) {
    are_awaited[i] = open.facts_from.contains(view_.members[i].name) ? 0 : 1;
  }
  for (uint32_t block = 0; block < view_.block_owners.size(); ++block) {
    const bool is_one_more =
        is_broken(Mutation::await_owners_of_kept_blocks) && open.round.kind == RoundKind::rebuild;
    if (is_one_more || is_awaited(open, block)) are_awaited[view_.block_owners[block]] = 1;
  }
  return static_cast<uint32_t>(std::count(are_awaited.begin(), are_awaited.end(), 1));
}

bool Coordinator::is_complete(const OpenRound& open) const {
  if (has_facts(open.round.kind)) {
    if (open.facts_from.size() < view_.members.size()) return false;
    for (const Member& member : view_.members) {
      if (!open.facts_from.contains(member.name)) return false;
    }
  }
  for (uint32_t block = 0; block < block_count(); ++block) {
    if (is_awaited(open, block)) return false;
  }
  return true;
}

void Coordinator::add_facts(const std::string& worker, const Facts& facts) {
  if (facts.view != view_.number && !is_broken(Mutation::count_facts_of_old_view)) return;
  for (OpenRound& open : rounds_) {
    if (open.round.number != facts.round) continue;
    const bool is_first = open.facts_from.insert(worker).second;
    if (!is_first && !is_broken(Mutation::count_facts_twice)) continue;
    open.facts.largest_gradient = std::max(open.facts.largest_gradient, facts.largest_gradient);
    open.facts.tally = open.facts.tally + facts.tally;
    if (open.facts.metrics.size() < facts.metrics.size()) {
      open.facts.metrics.resize(facts.metrics.size());
    }
    for (size_t i = 0; i < facts.metrics.size(); ++i) {
      open.facts.metrics[i].merge(facts.metrics[i]);
    }
  }
}

void Coordinator::add_splits(const std::string& worker, const Splits& splits) {
  if (splits.block >= block_count()) return;
  if (splits.view != view_.number && !is_broken(Mutation::take_splits_of_old_view)) return;
  if (view_.members[view_.block_owners[splits.block]].name != worker &&
      !is_broken(Mutation::take_splits_of_anyone)) {
    return;
  }
  for (OpenRound& open : rounds_) {
    if (open.round.number == splits.round) open.by_block.try_emplace(splits.block, splits);
  }
}

void Coordinator::done(OpenRound& open) {
  const Round& round = open.round;
  if (round.finish) {
    state_.finished.push_back(round.finish->tree);
    state_.begun = 0;
    state_.expansions.clear();
    if (state_.finished.size() == output_count_) {
      state_.finished.clear();
      ++state_.iteration;
    }
  }
  state_.expansions.insert(state_.expansions.end(), round.expansions.begin(),
                           round.expansions.end());
  switch (round.kind) {
    case RoundKind::measure:
      return measured(open);
    case RoundKind::root:
      return rooted(open);
    case RoundKind::expand:
      return expanded(open);
    case RoundKind::rebuild:
      for (uint32_t block : round.blocks) blocks_lost_.erase(block);
      return;
    case RoundKind::appraise:
      return appraised(open);
  }
}

// Not before: if the last records are lost with this coordinator, another one needs the workers.
std::vector<CoordinatorAction> Coordinator::logged() {
  CHECK(is_finished_);
  is_logged_ = true;
  for (const auto& [name, state] : workers_) tell(name, Goodbye{});
  return std::exchange(actions_, {});
}

CoordinatorStatus Coordinator::status() const {
  CoordinatorStatus status;
  for (const auto& [name, state] : workers_) {
    CoordinatorStatus::WorkerStatus worker{
        name,  state.address,    state.threads,      state.held.size(),     0,
        false, state.is_leaving, state.is_straggler, memory_planned(state), state.memory_bytes_max};
    if (const Member* is = member(name)) {
      worker.is_member = true;
      worker.shards_active = is->shards.size();
      worker.active = is->shards;
    }
    worker.held.assign(state.held.begin(), state.held.end());
    worker.asked.assign(state.asked.begin(), state.asked.end());
    worker.heard = state.heard;
    worker.rows_a_second = state.speed.rows_a_second();
    status.workers.push_back(std::move(worker));
  }
  status.view = view_.number;
  status.iterations = history_.iterations().size();
  std::set<uint32_t> held;
  for (const auto& [name, state] : workers_) held.insert(state.held.begin(), state.held.end());
  status.shards_missing = shards_.size() - held.size();
  status.memory_bytes_missing = memory_bytes_missing_;
  status.joined_count = joined_count_;
  status.lost_count = lost_count_;
  status.left_count = left_count_;
  status.overtaken_count = overtaken_count_;
  status.weighed_count = weighed_count_;
  status.is_finished = is_finished_;
  status.waits_for = waits_for();
  return status;
}

std::string Coordinator::waits_for() const {
  if (is_finished_) return "";
  if (workers_.empty()) return "a worker";
  if (!all_held() && memory_bytes_missing_ > 0) {
    return "workers with memory: " + std::to_string(memory_bytes_missing_) +
           " more bytes of worker memory needed";
  }
  if (!all_held()) return "shards to be read";
  if (rounds_.empty()) return "";
  const OpenRound& open = rounds_.front();
  std::string text = "round " + std::to_string(open.round.number);
  if (has_facts(open.round.kind)) {
    for (const Member& member : view_.members) {
      if (!open.facts_from.contains(member.name)) text += ", facts of " + member.name;
    }
  }
  for (uint32_t block = 0; block < block_count() && has_histograms(open.round.kind); ++block) {
    const auto& asked = open.round.blocks;
    if (open.by_block.contains(block)) continue;
    if (!asked.empty() && std::count(asked.begin(), asked.end(), block) == 0) continue;
    text +=
        ", block " + std::to_string(block) + " of " + view_.members[view_.block_owners[block]].name;
  }
  return text;
}

}  // namespace evergrove::cluster
