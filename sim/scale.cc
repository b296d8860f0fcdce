// A machine does one thing after the other, in the order in which things arrive: when a message is
// there, the state machine runs at once, and what it says leaves when the work would be done.
// SPDX-License-Identifier: Apache-2.0
#include "sim/scale.h"

#include <malloc.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "evergrove/base/check.h"

namespace evergrove::sim {

using cluster::Coordinator;
using cluster::CoordinatorAction;
using cluster::Expansion;
using cluster::Join;
using cluster::Member;
using cluster::Message;
using cluster::NextRound;
using cluster::Part;
using cluster::Plan;
using cluster::Round;
using cluster::RoundKind;
using cluster::Splits;
using cluster::Worker;
using cluster::WorkerAction;

namespace {

constexpr double kBeatEvery = 0.5;
constexpr double kTickEvery = 0.25;
constexpr double kReadShard = 0.01;  // reading is not what is modelled
constexpr double kPartBytes = 60;    // a message with a part, and the frame around it
constexpr double kNodeBytes = 8;     // of it, a node
constexpr size_t kHopsOfARound = 3;  // to the members, to the owners, to the coordinator
constexpr size_t kRoundsUnderWay = 2;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

uint64_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string name_of(size_t worker) { return "w" + std::to_string(worker); }

cluster::CoordinatorOptions coordinator_options(uint32_t fan_in) {
  cluster::CoordinatorOptions options;
  options.fan_in = fan_in;
  options.lease = cluster::Time(3'600'000);  // nobody is lost here
  return options;
}

}  // namespace

const char* ScaleFigures::bound() const {
  const std::pair<double, const char*> all[] = {{compute_seconds, "compute"},
                                                {link_seconds, "busiest link"},
                                                {latency_seconds, "latency"},
                                                {coordinator_seconds, "coordinator"}};
  return std::max_element(std::begin(all), std::end(all))->second;
}

Scale::Scale(const ScaleRows& rows, const ScaleCosts& costs, const ScaleOptions& options)
    : rows_(rows),
      costs_(costs),
      options_(options),
      machines_(options.workers + 1),
      coordinator_(std::make_unique<Coordinator>(coordinator_options(options_.fan_in), rows.setup(),
                                                 rows.shards(), std::vector<train::Iteration>{})) {
  node_rows_[0] = int64_t{ScaleRows::kRows};
}

void Scale::at(Seconds when, std::function<void()> happen) {
  events_.push({when, order_++, std::move(happen)});
}

ScaleFigures Scale::run() {
  start();
  while (!coordinator_->finished()) {
    CHECK(!events_.empty());
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    event.happen();
  }
  note_figures();
  machines_.clear();
  coordinator_.reset();
  measure_coordinator();
  return figures_;
}

std::vector<WorkerAction> Scale::load_shard(Machine& machine, uint32_t shard) const {
  auto rows = rows_.load(shard);
  cluster::ShardPiece piece{shard, rows->row_counts()};
  return machine.worker->loaded({std::move(piece)}, std::move(rows));
}

// Each worker has read its share before it joins.
void Scale::start() {
  const uint64_t shards = rows_.shards().size();
  for (size_t i = 0; i < options_.workers; ++i) {
    Machine& machine = machines_[i];
    machine.worker = std::make_unique<Worker>(name_of(i), name_of(i), rows_.setup());
    cluster::LoadShards load;
    for (uint64_t id = i * shards / options_.workers; id < (i + 1) * shards / options_.workers;
         ++id) {
      load.shards.push_back(static_cast<uint32_t>(id));
    }
    machine.worker->receive({1, load});
    for (uint32_t id : load.shards) load_shard(machine, id);
    act(i, 0, machine.worker->join(options_.threads));
    at(kBeatEvery * double(i) / double(options_.workers), [=, this] { beat(i); });
  }
  at(kTickEvery, [this] { tick(); });
}

void Scale::beat(size_t index) {
  const Machine& machine = machines_[index];
  const auto busy_us = static_cast<uint64_t>(1e6 * machine.totals.busy);
  send(index, options_.workers, now_,
       {std::make_shared<Message>(
           Message{machine.worker->epoch(), machine.worker->heartbeat(busy_us)})});
  at(now_ + kBeatEvery, [=, this] { beat(index); });
}

void Scale::tick() {
  told_.push_back({"", nullptr, time(now_)});
  const double begin = cpu_seconds();
  std::vector<CoordinatorAction> actions = coordinator_->tick(time(now_));
  const double took = cpu_seconds() - begin;
  coordinator_machine_ += took;
  act(work(machines_.back(), took), std::move(actions));
  at(now_ + kTickEvery, [this] { tick(); });
}

Scale::Seconds Scale::work(Machine& machine, Seconds seconds) {
  machine.cpu_free_at = std::max(machine.cpu_free_at, now_) + seconds;
  machine.totals.busy += seconds;
  return machine.cpu_free_at;
}

// ---- the network

void Scale::travel(size_t from, size_t to, Seconds when, double bytes,
                   std::function<void()> arrive) {
  Machine& sender = machines_[from];
  Machine& receiver = machines_[to];
  const Seconds on_the_wire = bytes / options_.bytes_a_second;
  sender.out_free_at = std::max(sender.out_free_at, when) + on_the_wire;
  sender.totals.out_bytes += bytes;
  ++messages_;
  const Seconds there = sender.out_free_at + options_.latency;
  at(there - on_the_wire, [=, this, &receiver, arrive = std::move(arrive)] {
    // The first of it is here; the link may still be taken by others.
    receiver.in_free_at = std::max(receiver.in_free_at, now_) + on_the_wire;
    receiver.totals.in_bytes += bytes;
    at(receiver.in_free_at, arrive);
  });
}

void Scale::send(size_t from, size_t to, Seconds when, Messages messages) {
  double bytes = 0;
  for (const auto& message : messages) bytes += bytes_of(*message, from);
  travel(from, to, when, bytes, [=, this, messages = std::move(messages)] {
    for (const auto& message : messages) {
      const auto* part = std::get_if<Part>(&message->body);
      if (part != nullptr) summed_[key_of(*part, to)] += members_of(*part, from);
    }
    arrive(to, from, messages);
  });
}

std::array<uint64_t, 4> Scale::key_of(const Part& part, size_t at) {
  return {part.view, part.round, part.block, at};
}

// Whose rows are in what a member sends: those of all that it has heard of, and its own.
double Scale::members_of(const Part& part, size_t from) const {
  const auto heard = summed_.find(key_of(part, from));
  return heard == summed_.end() ? 1 : 1 + heard->second;
}

// As the worker's view has them.
const cluster::Block& Scale::block_of(size_t worker, uint32_t block) {
  const size_t count = std::max<size_t>(1, machines_[worker].worker->view().block_owners.size());
  std::vector<cluster::Block>& blocks = blocks_[count];
  if (blocks.empty()) blocks = cluster::make_blocks(rows_.setup().header.features, count);
  return blocks[std::min<size_t>(block, blocks.size() - 1)];
}

double Scale::bytes_of(const Message& message, size_t from) {
  const auto* part = std::get_if<Part>(&message.body);
  if (part == nullptr) return double(encode(message).size());
  const cluster::Block& block = block_of(from, part->block);
  double bytes = kPartBytes;
  for (const Part::Node& node : part->nodes) {
    bytes += kNodeBytes + block_bytes(rows_of(node_rows_.at(node.node)) * members_of(*part, from) /
                                          double(options_.workers),
                                      block.bin_end - block.bin_begin,
                                      block.feature_end - block.feature_begin);
  }
  return bytes;
}

// ---- what arrives, and how long it takes

// From is the coordinator's place or a worker's; so is `at`.
void Scale::arrive(size_t at, size_t from, const Messages& messages) {
  Machine& machine = machines_[at];
  work(machine, costs_.message / options_.threads);
  for (const auto& message : messages) {
    if (machine.worker == nullptr) {
      told_.push_back({name_of(from), message, time(now_)});
      const double begin = cpu_seconds();
      std::vector<CoordinatorAction> actions =
          coordinator_->receive(name_of(from), *message, time(now_));
      const double took = cpu_seconds() - begin;
      coordinator_machine_ += took;
      act(work(machine, took), std::move(actions));
      continue;
    }
    Seconds seconds = 0;
    if (const auto* next = std::get_if<NextRound>(&message->body)) {
      note_nodes(next->round);
      seconds += seconds_of(next->round);
    } else if (const auto* plan = std::get_if<Plan>(&message->body)) {
      for (const Round& round : plan->rounds) {
        note_nodes(round);
        seconds += seconds_of(round);
      }
    } else if (const auto* part = std::get_if<Part>(&message->body)) {
      seconds += seconds_to_add(at, *part);
    }
    std::vector<WorkerAction> actions = machine.worker->receive(*message);
    for (const WorkerAction& action : actions) {
      const auto* send = std::get_if<cluster::SendAction>(&action);
      const auto* on = send ? std::get_if<Part>(&send->message.body) : nullptr;
      if (on != nullptr && std::holds_alternative<Part>(message->body)) {  // a sum of others' too
        const cluster::Block& block = block_of(at, on->block);
        seconds += costs_.make_bin * double(on->nodes.size()) *
                   double(block.bin_end - block.bin_begin) / options_.threads;
      }
      const auto* splits = send ? std::get_if<Splits>(&send->message.body) : nullptr;
      if (splits == nullptr) continue;
      const cluster::Block& block = block_of(at, splits->block);
      seconds += costs_.search_bin * double(block.bin_end - block.bin_begin) *
                 double(splits->splits.size() + 1) / 2 / options_.threads;
    }
    act(at, work(machine, seconds), std::move(actions));
  }
}

void Scale::note_nodes(const Round& round) {
  for (const Expansion& expansion : round.expansions) {
    node_rows_[expansion.left.node] = expansion.left.sums.count;
    node_rows_[expansion.right.node] = expansion.right.sums.count;
  }
}

// Of a worker with its even share of the rows, on all its cores.
Scale::Seconds Scale::seconds_of(const Round& round) const {
  const auto& features = rows_.setup().header.features;
  const double share = 1 / double(options_.workers);
  const double all = options_.rows * share;
  uint64_t all_bins = 0;
  for (const model::Feature& feature : features) all_bins += feature.bin_count();
  Seconds seconds = 0;
  size_t histograms = cluster::built_nodes(round).size();
  if (round.finish) seconds += costs_.finish_row * all;
  if (round.kind == RoundKind::root) {
    seconds += all * (costs_.gradient_row + costs_.histogram_row_feature * double(features.size()));
  }
  for (const Expansion& expansion : round.expansions) {
    const double small = rows_of(expansion.smaller().sums.count) * share;
    const double large = rows_of(expansion.larger().sums.count) * share;
    seconds += costs_.partition_row * (small + large);
    if (expansion.is_searched()) {
      seconds += costs_.gathered_row_feature * small * double(features.size());
    }
  }
  seconds += costs_.make_bin * double(histograms) * double(all_bins);
  return seconds / options_.threads;
}

// By one thread, as it is done.
Scale::Seconds Scale::seconds_to_add(size_t at, const Part& part) {
  const cluster::Block& block = block_of(at, part.block);
  return costs_.add_bin * double(part.nodes.size()) * double(block.bin_end - block.bin_begin);
}

// ---- what the machines want

size_t Scale::place_of(const std::string& worker) const {
  return static_cast<size_t>(std::stoul(worker.substr(1)));
}

void Scale::act(size_t index, Seconds when, std::vector<WorkerAction> actions) {
  std::map<size_t, Messages> by_receiver;
  for (WorkerAction& action : actions) {
    if (auto* send = std::get_if<cluster::SendAction>(&action)) {
      const size_t to = send->to.empty() ? options_.workers : place_of(send->to);
      by_receiver[to].push_back(std::make_shared<Message>(std::move(send->message)));
    } else if (const auto* load = std::get_if<cluster::LoadAction>(&action)) {
      for (uint32_t shard : load->shards) {
        at(when + kReadShard, [=, this] { act(index, now_, load_shard(machines_[index], shard)); });
      }
    } else {
      CHECK(std::get<cluster::StopAction>(action).status.ok());
    }
  }
  for (auto& [to, messages] : by_receiver) {
    work(machines_[index], costs_.message / options_.threads);
    send(index, to, when, std::move(messages));
  }
}

void Scale::act(Seconds when, std::vector<CoordinatorAction> actions) {
  std::map<size_t, Messages> by_receiver;
  for (CoordinatorAction& action : actions) {
    if (auto* tell = std::get_if<cluster::TellAction>(&action)) {
      by_receiver[place_of(tell->worker)].push_back(
          std::make_shared<Message>(std::move(tell->message)));
    } else if (std::holds_alternative<cluster::LogAction>(action)) {
      if (trees_++ == 0) {
        first_tree_ = mark();
        figures_.start_seconds = coordinator_machine_;
      }
    }
    CHECK(!std::holds_alternative<cluster::FailedAction>(action));
  }
  for (auto& [to, messages] : by_receiver) {
    // Encoding is a part of the coordinator's work, here as it really is.
    const double begin = cpu_seconds();
    double bytes = 0;
    for (const auto& message : messages) bytes += double(encode(*message).size());
    const double took = cpu_seconds() - begin;
    coordinator_machine_ += took;
    work(machines_.back(), took + costs_.message / options_.threads);
    travel(options_.workers, to, std::max(when, machines_.back().cpu_free_at), bytes,
           [=, this, to = to, messages = std::move(messages)] {
             arrive(to, options_.workers, messages);
           });
  }
}

// ---- the figures

Scale::Mark Scale::mark() const {
  Mark mark;
  for (const Machine& machine : machines_) mark.totals.push_back(machine.totals);
  mark.at = now_;
  mark.coordinator_machine = coordinator_machine_;
  mark.messages = messages_;
  mark.rounds = coordinator_->rounds();
  mark.trees = trees_;
  return mark;
}

void Scale::note_figures() {
  const Mark end = mark();
  const double trees = double(end.trees - first_tree_.trees);
  CHECK(trees > 0);
  figures_.seconds = (end.at - first_tree_.at) / trees;
  figures_.rounds = double(end.rounds - first_tree_.rounds) / trees;
  figures_.messages = double(end.messages - first_tree_.messages) / trees;
  for (size_t i = 0; i < machines_.size(); ++i) {
    const double in = (end.totals[i].in_bytes - first_tree_.totals[i].in_bytes) / trees;
    const double out = (end.totals[i].out_bytes - first_tree_.totals[i].out_bytes) / trees;
    const double busy = (end.totals[i].busy - first_tree_.totals[i].busy) / trees;
    figures_.link_seconds = std::max(
        {figures_.link_seconds, in / options_.bytes_a_second, out / options_.bytes_a_second});
    if (i == options_.workers) {
      figures_.coordinator_in_bytes = in;
      figures_.coordinator_out_bytes = out;
      figures_.coordinator_seconds = busy;
      continue;
    }
    figures_.in_bytes = std::max(figures_.in_bytes, in);
    figures_.out_bytes = std::max(figures_.out_bytes, out);
    figures_.compute_seconds = std::max(figures_.compute_seconds, busy);
  }
  figures_.coordinator_machine_seconds =
      (end.coordinator_machine - first_tree_.coordinator_machine) / trees;
  figures_.latency_seconds =
      figures_.rounds * kHopsOfARound * options_.latency / double(kRoundsUnderWay);
}

// Tells a coordinator all that was told, with nothing else in memory that changes.
void Scale::measure_coordinator() {
  summed_.clear();
  events_ = {};
  const uint64_t before = heap_bytes();
  Coordinator coordinator(coordinator_options(options_.fan_in), rows_.setup(), rows_.shards(), {});
  size_t count = 0;
  for (const Told& told : told_) {
    std::vector<CoordinatorAction> actions =
        told.message ? coordinator.receive(told.worker, *told.message, told.at)
                     : coordinator.tick(told.at);
    const bool is_much = actions.size() > options_.workers / 2;
    const bool is_looked_at = count++ % (told_.size() / 100 + 1) == 0 || is_much;
    if (!is_looked_at) continue;
    const uint64_t with = heap_bytes();
    actions.clear();
    actions.shrink_to_fit();
    const uint64_t without = heap_bytes();
    figures_.coordinator_bytes_with_messages =
        std::max(figures_.coordinator_bytes_with_messages, with - std::min(with, before));
    figures_.coordinator_bytes =
        std::max(figures_.coordinator_bytes, without - std::min(without, before));
  }
  CHECK(coordinator.finished());
}

}  // namespace evergrove::sim
