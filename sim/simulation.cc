// SPDX-License-Identifier: Apache-2.0
#include "sim/simulation.h"

#include <algorithm>
#include <iomanip>

#include "evergrove/train/run_history.h"
#include "sim/story.h"

namespace evergrove::sim {

using cluster::Coordinator;
using cluster::CoordinatorAction;
using cluster::CoordinatorOptions;
using cluster::FailedAction;
using cluster::FinishedAction;
using cluster::Heartbeat;
using cluster::LoadAction;
using cluster::LogAction;
using cluster::Member;
using cluster::Message;
using cluster::NextRound;
using cluster::OvertakenAction;
using cluster::SendAction;
using cluster::ShardRows;
using cluster::StopAction;
using cluster::TellAction;
using cluster::Worker;
using cluster::WorkerAction;
using cluster::WorkerHoldings;

namespace {

constexpr Time kTick{250};
constexpr Time kQuietFrom{120'000};  // no faults from then on
constexpr Time kEnd{600'000};        // by which every run has ended
constexpr uint64_t kStepsMax = 2'000'000;
constexpr size_t kWorkersMax = 6;
// Several times what trees of a dozen leaves and four blocks need.
constexpr WorkerHoldings kHoldingsMax{512, 64, 64, 256, 256};

bool says_next_round(const cluster::CoordinatorAction& action) {
  const auto* said = std::get_if<cluster::TellAction>(&action);
  return said != nullptr && std::holds_alternative<NextRound>(said->message.body);
}

std::string name_of(uint64_t epoch) { return "coordinator " + std::to_string(epoch); }

}  // namespace

Simulation::Simulation(const Problem& problem, const Faults& faults, uint64_t seed,
                       std::ostream* story)
    : faults_(faults),
      given_iterations_(problem.given_iterations),
      shards_(problem),
      shard_rows_(shards_.rows()),
      expected_(train_on_one_machine(problem)),
      key_(seed, "simulation"),
      story_(story) {
  for (const ShardRows& shard : shard_rows_) {
    shard_bytes_max_ = std::max(shard_bytes_max_, shard.memory_bytes);
  }
  tell("world", problem.text());
  tell("world", faults.text());
  replace_coordinator();
  for (size_t i = 0; i < faults.workers; ++i) add_worker();
}

void Simulation::tell(const std::string& who, const std::string& what) {
  if (story_ == nullptr) return;
  *story_ << std::setw(7) << now_.count() << " ms  " << std::left << std::setw(15) << who
          << std::right << what << "\n";
}

void Simulation::violate(const std::string& what) {
  tell("checker", what);
  if (outcome_.violation.empty()) outcome_.violation = what;
}

void Simulation::at(Time when, std::function<void()> happen) {
  events_.push({when, order_++, std::move(happen)});
}

Outcome Simulation::run() {
  while (!is_ended_ && outcome_.violation.empty()) {
    if (now_ > kEnd || outcome_.steps > kStepsMax) {
      std::string waits = "no coordinator";
      if (!coordinators_.empty()) {
        const auto status = coordinators_.rbegin()->second.machine->status();
        waits = std::to_string(status.iterations) + " iterations, view " +
                std::to_string(status.view) + ", waits for " + status.waits_for;
      }
      violate("no end in " + std::to_string(now_.count()) + " ms: " + waits);
      break;
    }
    if (outcome_.steps++ % 8 == 0) look();
    if (events_.empty() || events_.top().at > next_tick_) {
      now_ = std::max(now_, next_tick_);
      next_tick_ += kTick;
      tick();
      continue;
    }
    const Event event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);
    event.happen();
  }
  outcome_.ended = now_;
  outcome_.coordinators = epoch_;
  return outcome_;
}

// ---- the world

void Simulation::tick() {
  std::vector<uint64_t> epochs;
  for (const auto& [epoch, process] : coordinators_) {
    if (process.stopped_until <= now_) epochs.push_back(epoch);
  }
  for (uint64_t epoch : epochs) {
    const auto process = coordinators_.find(epoch);
    if (process != coordinators_.end())
      act(epoch, process->second.machine->tick(local(process->second)));
  }
  for (auto& [name, worker] : workers_) {
    if (worker.stopped_until > now_) continue;
    // Sooner or later it hears that there is another coordinator, and goes there; at times back.
    const bool is_there = coordinators_.contains(worker.coordinator);
    if (!is_there || (worker.coordinator != epoch_ && dice(6) == 0)) {
      worker.coordinator = dice(4) == 0 ? some_coordinator() : epoch_;
      worker.has_joined = false;
    }
    if (!worker.has_joined || worker.machine->epoch() == 0) {
      join(name);
    } else {
      to_coordinator(name, {worker.machine->epoch(), worker.machine->heartbeat(worker.busy_us)});
    }
    for (uint64_t idle = dice(4); idle > 0 && worker.machine->keep_up();) --idle;
    check_holdings(worker);
  }
}

// A worker's state is bounded by the tree at hand, whatever the network does.
void Simulation::check_holdings(const WorkerProcess& worker) {
  const WorkerHoldings held = worker.machine->holdings();
  WorkerHoldings& most = outcome_.most;
  most.early_parts = std::max(most.early_parts, held.early_parts);
  most.open_rounds = std::max(most.open_rounds, held.open_rounds);
  most.sums = std::max(most.sums, held.sums);
  most.told_splits = std::max(most.told_splits, held.told_splits);
  most.histograms = std::max(most.histograms, held.histograms);
  const auto check = [&](const char* what, size_t count, size_t limit) {
    if (count <= limit) return;
    violate("a worker holds " + std::to_string(count) + " " + what + ", " + std::to_string(limit) +
            " is the limit");
  };
  check("early parts", held.early_parts, kHoldingsMax.early_parts);
  check("open rounds", held.open_rounds, kHoldingsMax.open_rounds);
  check("sums", held.sums, kHoldingsMax.sums);
  check("told splits", held.told_splits, kHoldingsMax.told_splits);
  check("histograms", held.histograms, kHoldingsMax.histograms);
}

// No worker has been asked for more than it said it will hold.
void Simulation::check_memory(const std::string& name) {
  const auto worker = workers_.find(name);
  if (worker == workers_.end()) return;
  std::set<uint32_t> shards = worker->second.machine->loading();
  for (uint32_t id : worker->second.machine->shards()) shards.insert(id);
  uint64_t bytes = 0;
  for (uint32_t id : shards) bytes += shard_rows_[id].memory_bytes;
  if (bytes <= worker->second.memory_bytes) return;
  violate(name + " holds, or reads, shards of " + std::to_string(bytes) + " bytes, " +
          std::to_string(worker->second.memory_bytes) + " is its memory");
}

// Whether those who stay have room for all shards, however they are cut.
bool Simulation::has_memory_for_all() const {
  uint64_t room = 0;
  for (const auto& [name, worker] : workers_) {
    if (!worker.is_leaving) {
      room += std::min(worker.memory_bytes / shard_bytes_max_, uint64_t{shard_rows_.size()});
    }
  }
  return room >= shard_rows_.size();
}

std::string Simulation::some_worker() {
  if (workers_.empty()) return "";
  auto worker = workers_.begin();
  std::advance(worker, long(dice(workers_.size())));
  return worker->first;
}

uint64_t Simulation::some_coordinator() {
  if (coordinators_.empty()) return 0;
  auto process = coordinators_.begin();
  std::advance(process, long(dice(coordinators_.size())));
  return process->first;
}

// What must be there is put there again, and what may happen happens.
void Simulation::look() {
  if (case_) return look_at_case();
  if (!coordinators_.contains(epoch_)) replace_coordinator();
  // Who is asked to leave hands over, so there have to be some who stay, with memory enough.
  const bool somebody_stays = std::any_of(
      workers_.begin(), workers_.end(), [](const auto& entry) { return !entry.second.is_leaving; });
  if (!somebody_stays || (!has_memory_for_all() && dice(50) == 0)) add_worker();
  if (now_ < kQuietFrom) happen();
}

void Simulation::happen() {
  const std::string name = some_worker();
  WorkerProcess& worker = workers_.at(name);
  const Time until = now_ + Time(dice(8000));
  if (chance(faults_.kill)) return kill_worker(name);
  if (chance(faults_.join) && workers_.size() < kWorkersMax) return add_worker();
  if (chance(faults_.drain) && workers_.size() > 1) {
    tell(name, "is asked to leave");
    worker.is_leaving = true;
    return act(name, worker.machine->leave());
  }
  if (chance(faults_.stop)) {
    worker.stopped_until = until;
    tell(name, "stops until " + std::to_string(until.count()));
  }
  if (chance(faults_.cut)) {
    const uint64_t ways = 1 + dice(3);
    if (ways & 1) worker.deaf_until = until;
    if (ways & 2) worker.mute_until = until;
    constexpr const char* kWays[] = {"", "hears", "is heard by", "hears and is heard by"};
    tell(name, std::string(kWays[ways]) + " nobody until " + std::to_string(until.count()));
  }
  if (chance(faults_.stop_coordinator) && !coordinators_.empty()) {
    const uint64_t epoch = some_coordinator();
    coordinators_.at(epoch).stopped_until = until;
    tell(name_of(epoch), "stops until " + std::to_string(until.count()));
  }
  if (chance(faults_.replace)) {
    // The one before may be dead, or may only seem so.
    if (dice(2) == 0 && coordinators_.contains(epoch_)) end_coordinator(epoch_, "is killed");
    replace_coordinator();
  }
}

uint64_t Simulation::counted_rows(const Worker& worker, const std::string& name) const {
  uint64_t rows = 0;
  for (const Member& member : worker.view().members) {
    if (member.name != name) continue;
    for (uint32_t id : member.shards) rows += shard_rows_[id].row_count;
  }
  return rows;
}

void Simulation::add_worker() {
  const std::string name = "w" + std::to_string(outcome_.workers++);
  WorkerProcess& worker = workers_[name];
  worker.threads = static_cast<uint32_t>(1 + dice(3));
  worker.row_us = 100 << dice(6);
  if (chance(faults_.little_memory)) {
    worker.memory_bytes = shard_bytes_max_ * (1 + dice(shard_rows_.size()));
  }
  start_worker(name);
}

void Simulation::start_worker(const std::string& name) {
  WorkerProcess& worker = workers_.at(name);
  worker.machine = std::make_unique<Worker>(name, name, shards_.setup(), worker.memory_bytes);
  // Some have memory in common with others.
  worker.machine->set_near([=](const std::string& to) { return hash_name(name + to) % 2 == 0; });
  worker.coordinator = epoch_;
  tell(name, "starts with " + std::to_string(worker.threads) + " threads");
  at(now_ + Time(dice(50)), [=, this] {
    if (workers_.contains(name)) join(name);
  });
}

void Simulation::kill_worker(const std::string& name) {
  const uint64_t epoch = workers_.at(name).coordinator;
  workers_.erase(name);
  // Its connection breaks at once, or nobody hears of it.
  const bool is_heard = dice(2) == 0 && coordinators_.contains(epoch);
  tell(name, is_heard ? "is killed" : "is killed, and nobody hears of it");
  if (!is_heard) return;
  CoordinatorProcess& process = coordinators_.at(epoch);
  act(epoch, process.machine->lost(name, local(process)));
}

// What is logged, and then what was given and is not logged yet; that has no metrics of this run.
std::vector<train::Iteration> Simulation::past() const {
  std::vector<train::Iteration> past = log_;
  const size_t given = std::min(given_iterations_, expected_.iterations.size());
  for (size_t i = past.size(); i < given; ++i) {
    past.push_back(train::decode_iteration(expected_.iterations[i]).value());
    past.back().metrics.clear();
  }
  return past;
}

void Simulation::replace_coordinator() {
  CoordinatorOptions options;
  options.epoch = ++epoch_;
  if (!case_) {
    options.rounds_max = 1 + dice(3);
    options.round_nodes = 1 + dice(4);
    options.latency_us = static_cast<uint32_t>(options.round_nodes * 100);
    options.fan_in = dice(2) == 0 ? 2 : 16;  // of few members only the smallest makes a tree
    options.lease = Time(3000);
    options.say_again_after = Time(800);
    options.weigh_every = Time(300 + dice(1000));
    options.straggler_after = Time(dice(4) == 0 ? 0 : 300 + dice(1000));
    options.straggler_rounds = static_cast<uint32_t>(dice(3));
    options.replicas = static_cast<uint32_t>(dice(3) / 2);
    options.joining_count = dice(4);
  }
  CoordinatorProcess& process = coordinators_[epoch_];
  process.machine = std::make_unique<Coordinator>(options, shards_.setup(), shard_rows_, past());
  process.begins_finished = log_.size() == expected_.iterations.size();
  process.clock_offset = Time(dice(100'000));
  process.clock_rate = 900 + dice(200);
  tell(name_of(epoch_), "starts with " + std::to_string(log_.size()) + " records of the log");
}

void Simulation::end_coordinator(uint64_t epoch, const std::string& why) {
  outcome_.views += coordinators_.at(epoch).machine->status().view;
  outcome_.weighed += coordinators_.at(epoch).machine->status().weighed_count;
  outcome_.overtaken += coordinators_.at(epoch).machine->status().overtaken_count;
  tell(name_of(epoch), why);
  coordinators_.erase(epoch);
}

Time Simulation::local(const CoordinatorProcess& coordinator) const {
  return coordinator.clock_offset + Time(now_.count() * long(coordinator.clock_rate) / 1000);
}

// ---- the network

template <class Arrive>
void Simulation::deliver(const Message& message, Arrive arrive) {
  ++outcome_.messages;
  const bool is_quiet = now_ >= kQuietFrom;
  if (!is_quiet && chance(faults_.lose)) return;
  const std::string bytes = encode(message);
  const int copies = !is_quiet && chance(faults_.twice) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    const bool is_late = !is_quiet && chance(faults_.late);
    const Time delay(1 + dice(5) + (is_late ? dice(4000) : 0));
    at(now_ + delay, [=] { arrive(bytes); });
  }
}

void Simulation::to_coordinator(const std::string& worker, const Message& message) {
  const WorkerProcess& process = workers_.at(worker);
  if (process.mute_until > now_) return;
  const uint64_t epoch = process.coordinator;
  deliver(message, [=, this](const std::string& bytes) { arrive(worker, epoch, bytes); });
}

void Simulation::to_worker(const std::string& from, const std::string& to, const Message& message) {
  deliver(message, [=, this](const std::string& bytes) { arrive(from, to, bytes); });
}

bool Simulation::read(const std::string& bytes, Message& message) {
  Result<Message> decoded = cluster::decode(bytes);
  if (!decoded.ok()) {
    violate("a message was refused: " + std::string(decoded.status().message()));
  } else if (encode(*decoded) != bytes) {
    violate("a message was not read as it was written");
  } else {
    message = std::move(decoded).value();
    return true;
  }
  return false;
}

void Simulation::arrive(const std::string& worker, uint64_t epoch, const std::string& bytes) {
  const auto process = coordinators_.find(epoch);
  if (process == coordinators_.end()) return;
  if (process->second.stopped_until > now_) {
    return at(process->second.stopped_until, [=, this] { arrive(worker, epoch, bytes); });
  }
  Message message;
  if (!read(bytes, message)) return;
  if (story_ != nullptr && !std::holds_alternative<Heartbeat>(message.body)) {
    tell(name_of(epoch), "hears from " + worker + ", " + describe(message));
  }
  cluster::Coordinator& machine = *process->second.machine;
  const uint32_t awaited = machine.awaited_members();
  auto actions = machine.receive(worker, message, local(process->second));
  if (awaited > 1 && std::any_of(actions.begin(), actions.end(), says_next_round)) {
    violate("a message lets the run go on whose coordinator would wait for " +
            std::to_string(awaited));
  }
  act(epoch, std::move(actions));
}

void Simulation::arrive(const std::string& from, const std::string& to, const std::string& bytes) {
  const auto worker = workers_.find(to);
  if (worker == workers_.end() || worker->second.deaf_until > now_) return;
  if (worker->second.stopped_until > now_) {
    return at(worker->second.stopped_until, [=, this] { arrive(from, to, bytes); });
  }
  Message message;
  if (!read(bytes, message)) return;
  if (story_ != nullptr) tell(to, "hears from " + from + ", " + describe(message));
  if (std::holds_alternative<NextRound>(message.body)) {
    worker->second.busy_us += worker->second.row_us * counted_rows(*worker->second.machine, to);
  }
  act(to, worker->second.machine->receive(message));
  check_memory(to);
}

// ---- what the machines want

void Simulation::act(uint64_t epoch, std::vector<CoordinatorAction> actions) {
  for (CoordinatorAction& action : actions) {
    const auto process = coordinators_.find(epoch);
    if (process == coordinators_.end()) return;
    if (auto* said = std::get_if<TellAction>(&action)) {
      to_worker(name_of(epoch), said->worker, said->message);
    } else if (auto* log = std::get_if<LogAction>(&action)) {
      const uint64_t index = log->iteration.index;
      tell(name_of(epoch), "decides iteration " + std::to_string(index));
      if (const std::string wrong = difference(log->iteration); !wrong.empty()) {
        return violate("iteration " + std::to_string(index) +
                       " is not that of one machine: " + wrong);
      }
      process->second.to_log.push_back(std::move(log->iteration));
      if (process->second.to_log.size() == 1) write_next(epoch);
    } else if (std::holds_alternative<FinishedAction>(action)) {
      tell(name_of(epoch), "is finished");
      process->second.is_finished = true;
      check_end(epoch);
    } else if (auto* overtaken = std::get_if<OvertakenAction>(&action)) {
      end_coordinator(epoch, "hears of epoch " + std::to_string(overtaken->epoch) + " and stops");
    } else if (auto* failed = std::get_if<FailedAction>(&action)) {
      violate("the run failed: " + std::string(failed->status.message()));
    }
  }
}

void Simulation::act(const std::string& name, std::vector<WorkerAction> actions) {
  for (WorkerAction& action : actions) {
    if (auto* send = std::get_if<SendAction>(&action)) {
      if (send->to.empty()) {
        to_coordinator(name, send->message);
      } else if (workers_.at(name).mute_until <= now_) {
        to_worker(name, send->to, send->message);
      }
    } else if (auto* wanted = std::get_if<LoadAction>(&action)) {
      const size_t at_once = dice(2) == 0 ? 1 : wanted->shards.size();
      for (size_t first = 0; first < wanted->shards.size(); first += at_once) {
        const Time delay(20 + dice(200) + (chance(faults_.slow_load) ? dice(6000) : 0));
        const auto some = std::span(wanted->shards).subspan(first, at_once);
        at(now_ + delay, [=, this, ids = std::vector(some.begin(), some.end()),
                          decided = wanted->decided] { load(name, ids, *decided); });
      }
    } else if (auto* stop = std::get_if<StopAction>(&action)) {
      if (stop->status.kind() == StatusKind::corrupt) {
        violate(name + " was sent what it cannot read: " + std::string(stop->status.message()));
      }
      at(now_, [=, this] {
        if (workers_.erase(name) > 0) tell(name, "ends");
      });
    }
  }
}

void Simulation::load(const std::string& name, const std::vector<uint32_t>& shards,
                      const cluster::DecidedTrees& decided) {
  const auto worker = workers_.find(name);
  if (worker == workers_.end()) return;
  if (worker->second.stopped_until > now_) {
    return at(worker->second.stopped_until, [=, this] { load(name, shards, decided); });
  }
  for (const uint32_t shard : shards) tell(name, "has read shard " + std::to_string(shard));
  std::vector<cluster::ShardPiece> pieces;
  auto rows = shards_.load(shards, pieces);
  if (dice(2) == 0) cluster::catch_up(decided, *rows);
  act(name, worker->second.machine->loaded(std::move(pieces), std::move(rows)));
}

void Simulation::join(const std::string& name) {
  WorkerProcess& worker = workers_.at(name);
  worker.has_joined = true;
  act(name, worker.machine->join(worker.threads));
}

// Returns what is not as one machine has it, if anything.
std::string Simulation::difference(const train::Iteration& iteration) const {
  if (iteration.index >= expected_.iterations.size()) return "it has fewer";
  const std::string& wanted = expected_.iterations[iteration.index];
  if (train::encode_iteration(iteration) == wanted) return "";
  train::Iteration other = train::decode_iteration(wanted).value();
  if (iteration.trees.size() != other.trees.size()) return "the number of trees";
  other.metrics = iteration.metrics;
  return train::encode_iteration(other) == train::encode_iteration(iteration) ? "metrics" : "trees";
}

// What the training rows come to, as one machine has it; a run that was over is not looked at
// again.
bool Simulation::has_training_metrics(const CoordinatorProcess& process) const {
  const auto bytes = [](std::span<const model::MetricValue> metrics) {
    train::Iteration iteration;
    iteration.metrics.assign(metrics.begin(), metrics.end());
    return train::encode_iteration(iteration);
  };
  const auto metrics = process.machine->training_metrics();
  if (!metrics.ok()) return false;
  if (process.begins_finished) return metrics->empty();
  return bytes(*metrics) == bytes(expected_.training_metrics);
}

// ---- the log

void Simulation::write_next(uint64_t epoch) {
  Time delay(1 + dice(60) + (chance(faults_.slow_log) ? dice(5000) : 0));
  if (now_ < slow_log_until_) delay += Time(dice(2000));
  at(now_ + delay, [=, this] { written(epoch); });
}

// A record is durable now, unless the one who wrote it is gone or overtaken.
void Simulation::written(uint64_t epoch) {
  const auto found = coordinators_.find(epoch);
  if (found == coordinators_.end()) return;
  CoordinatorProcess& process = found->second;
  if (process.stopped_until > now_) {
    return at(process.stopped_until, [=, this] { written(epoch); });
  }
  if (epoch < epoch_) return end_coordinator(epoch, "is refused by the log and stops");
  train::Iteration& iteration = process.to_log.front();
  if (iteration.index != log_.size()) {
    return violate("record " + std::to_string(iteration.index) + " is written after " +
                   std::to_string(log_.size()) + " records");
  }
  tell("log", "has iteration " + std::to_string(iteration.index));
  log_.push_back(std::move(iteration));
  process.to_log.pop_front();
  if (!process.to_log.empty()) return write_next(epoch);
  check_end(epoch);
}

void Simulation::check_end(uint64_t epoch) {
  const CoordinatorProcess& process = coordinators_.at(epoch);
  if (!process.is_finished || !process.to_log.empty()) return;
  if (epoch < epoch_) return end_coordinator(epoch, "finds the log taken and stops");
  train::RunHistory history(shards_.setup().header);
  for (const train::Iteration& iteration : log_) history.keep(iteration);
  outcome_.digest = model::digest(process.machine->history().model());
  if (outcome_.digest != expected_.digest) violate("the digest is not that of one machine");
  if (model::digest(history.model()) != expected_.digest) {
    violate("the digest of the log is not that of one machine");
  }
  if (!has_training_metrics(process))
    violate("the metrics of training are not those of one machine");
  if (log_.size() != expected_.iterations.size()) violate("the log is not whole");
  if (case_) check_expectations(process.machine->status());
  outcome_.views += process.machine->status().view;
  outcome_.weighed += process.machine->status().weighed_count;
  outcome_.overtaken += process.machine->status().overtaken_count;
  act(epoch, coordinators_.at(epoch).machine->logged());
  is_ended_ = true;
}

}  // namespace evergrove::sim
