// What a Case adds to the simulation: its workers, its events in their order, what it expects.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/simulation.h"

namespace evergrove::sim {

Simulation::Simulation(const Case& scenario, uint64_t seed, std::ostream* story)
    : case_(scenario),
      given_iterations_(0),
      shards_(scenario.problem),
      shard_rows_(shards_.rows()),
      expected_(train_on_one_machine(scenario.problem)),
      key_(seed, "simulated case"),
      story_(story) {
  faults_.workers = scenario.workers.size();
  for (const cluster::ShardRows& shard : shard_rows_) {
    shard_bytes_max_ = std::max(shard_bytes_max_, shard.memory_bytes);
  }
  tell("world", scenario.about);
  tell("world", scenario.problem.text());
  replace_coordinator();
  for (const CaseWorker& worker : scenario.workers) add_worker(worker);
}

// One of several threads is as much faster. Names are places in the order of starting, from 1.
void Simulation::add_worker(const CaseWorker& given) {
  const std::string name = "w" + std::to_string(++outcome_.workers);
  WorkerProcess& worker = workers_[name];
  worker.threads = given.threads;
  worker.row_us = std::max<uint64_t>(1, 400 / given.threads);
  if (given.memory > 0) {
    double bytes = 0;
    for (const cluster::ShardRows& shard : shard_rows_) bytes += double(shard.memory_bytes);
    worker.memory_bytes = uint64_t(given.memory * bytes);
  }
  start_worker(name);
}

bool Simulation::all_take_part() const {
  const auto process = coordinators_.find(epoch_);
  if (process == coordinators_.end()) return false;
  const auto known = process->second.machine->status().workers;
  return std::all_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.is_leaving || entry.second.stopped_until > now_ ||
           std::any_of(known.begin(), known.end(), [&](const auto& worker) {
             return worker.name == entry.first && worker.is_member && worker.shards_active > 0;
           });
  });
}

void Simulation::look_at_case() {
  if (!coordinators_.contains(epoch_) && now_ >= no_coordinator_until_) replace_coordinator();
  while (events_done_ < case_->events.size()) {
    const CaseEvent& event = case_->events[events_done_];
    if (event.is_simulated) {
      if (log_.size() < event.iteration || now_ < last_event_ + event.after) return;
      if (!all_take_part()) return;
    }
    ++events_done_;
    last_event_ = now_;
    if (event.is_simulated) happen(event);
  }
}

void Simulation::happen(const CaseEvent& event) {
  const std::string name = "w" + std::to_string(event.worker);
  const Time until = now_ + event.lasts;
  tell("case", "event " + std::to_string(events_done_) + ": " + std::string(name_of(event.deed)));
  const auto worker = workers_.find(name);
  if (event.worker > 0 && worker == workers_.end()) return;  // it has ended by itself
  switch (event.deed) {
    case Deed::add_worker:
      return add_worker(event.added);
    case Deed::kill_worker:
      return kill_worker(name);
    case Deed::stop_worker:
      worker->second.stopped_until = until;
      return;
    case Deed::drain_worker:
      worker->second.is_leaving = true;
      return act(name, worker->second.machine->leave());
    case Deed::cut_worker:
      if (event.is_deaf) worker->second.deaf_until = until;
      if (event.is_mute) worker->second.mute_until = until;
      return;
    case Deed::kill_coordinator:
      no_coordinator_until_ = until;
      return end_coordinator(epoch_, "is killed");
    case Deed::stop_coordinator:
      coordinators_.at(epoch_).stopped_until = until;
      return;
    case Deed::second_coordinator:
      return replace_coordinator();
    case Deed::slow_log:
      slow_log_until_ = until;
      return;
  }
}

void Simulation::check_expectations(const cluster::CoordinatorStatus& status) {
  const auto check = [&](const char* what, std::optional<uint64_t> wanted, uint64_t count) {
    if (!wanted || *wanted == count) return;
    violate(std::to_string(count) + " workers " + what + ", the case expects " +
            std::to_string(*wanted));
  };
  check("joined", case_->joined, status.joined_count);
  check("were lost", case_->lost, status.lost_count);
  check("left", case_->left, status.left_count);
  check("were overtaken", case_->overtaken, status.overtaken_count);
  for (size_t i = events_done_; i < case_->events.size(); ++i) {
    if (!case_->events[i].is_simulated) continue;
    violate("the run has ended before event " + std::to_string(i + 1) + " of the case");
  }
  if (case_->ended_by && now_ > *case_->ended_by) {
    violate("the run took " + std::to_string(now_.count()) + " ms, the case gives it " +
            std::to_string(case_->ended_by->count()));
  }
  const auto iterations = size_t(case_->problem.parameters.n_estimators);
  if (case_->stops_early != (log_.size() < iterations)) {
    violate(case_->stops_early ? "the run did not stop early" : "the run stopped early");
  }
}

}  // namespace evergrove::sim
