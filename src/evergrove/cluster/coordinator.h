// Coordinator: the one that decides, as a state machine: a message, a loss or a tick in, a list of
// actions out.
//
// It knows the workers, which of them holds which shards, and the tree at hand as a TreeWalk; it
// says in rounds what all members are to do, and from the splits that the owners of blocks find it
// takes the tree. What it decides is an Iteration, given out to be logged. It holds no rows.
//
// Views change only between rounds, unless a member is lost: then the rounds under way are said
// again in a new view, and the histograms that were lost with it are built again (rebuild). All
// shards are held by somebody before any round goes out.
//
// Promise: the iterations are those of one machine, whoever comes, goes, stops or says things
// twice. Pure: no clock (ticks carry the time), network, threads or files. One owner, one thread.
//
//   Coordinator coordinator({.epoch = 3}, setup, shards, /*past=*/{});
//   for (CoordinatorAction& action : coordinator.receive(from, message, now)) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "evergrove/cluster/blocks.h"
#include "evergrove/cluster/message.h"
#include "evergrove/cluster/run_ledger.h"
#include "evergrove/cluster/worker.h"
#include "evergrove/cluster/worker_speed.h"
#include "evergrove/train/run_history.h"
#include "evergrove/trees/tree_walk.h"

namespace evergrove::cluster {

struct CoordinatorOptions {
  uint64_t epoch = 1;
  size_t rounds_max = 2;  // under way at once
  uint32_t fan_in = 16;   // of sums (sum_route.h)
  // A round's messages cost about as much as the histograms of so many small nodes, and those of
  // not many more stay in a core's cache until others' are added to them.
  size_t round_nodes = 12;
  // The same where all are on one machine: messages cost less there.
  size_t near_round_nodes = 6;
  uint32_t latency_us = 300;    // of a round, from its last histogram to the next one's first row
  Time lease{10'000};           // without a word from a worker, it is lost
  Time say_again_after{2'000};  // without progress, the plan is said again
  Time weigh_every{5'000};      // whether rows lie as the workers' speeds want it
  // Without a word from a member that others wait for, and so many times the longest round of late;
  // 0: never.
  Time straggler_after{1'500};
  uint32_t straggler_rounds = 4;
  uint32_t replicas = 0;  // spare copies of each shard, kept up with the run
  // So many workers are about to join: shards are placed when all of them have, so that the first
  // one does not begin to read all there is; or at a tick after the first.
  size_t joining_count = 0;
};

struct ShardRows {
  uint32_t id = 0;
  uint64_t row_count = 0;
  uint64_t memory_bytes = 0;  // that a worker needs to hold it
};

struct TellAction {
  std::string worker;
  Message message;
};
struct LogAction {
  train::Iteration iteration;
};
// All is decided; logged() is to be called when it is durable.
struct FinishedAction {};
// Another coordinator has a larger epoch: this one must write and say nothing more.
struct OvertakenAction {
  uint64_t epoch = 0;
};
// The run cannot go on: no worker can read some shards.
struct FailedAction {
  Status status;
};
using CoordinatorAction =
    std::variant<TellAction, LogAction, FinishedAction, OvertakenAction, FailedAction>;

// What people and pages are told.
struct CoordinatorStatus {
  struct WorkerStatus {
    std::string name, address;
    uint32_t threads = 0;
    size_t shards_held = 0, shards_active = 0;
    bool is_member = false, is_leaving = false, is_straggler = false;
    uint64_t memory_bytes = 0, memory_bytes_max = kNoMemoryLimit;  // of its shards
    std::vector<uint32_t> held = {}, active = {}, asked = {};      // shards
    Time heard{0};
    double rows_a_second = 0;  // through a round, as measured; 0: not known yet
  };
  std::vector<WorkerStatus> workers;
  uint64_t view = 0, iterations = 0;
  size_t shards_missing = 0;          // that nobody holds
  uint64_t memory_bytes_missing = 0;  // with so many more, the workers could hold all shards
  uint64_t joined_count = 0, lost_count = 0, left_count = 0;
  uint64_t overtaken_count = 0;  // members that others did not wait for; they may come back
  uint64_t weighed_count = 0;    // how often shares were made anew by measured speed
  bool is_finished = false;
  std::string waits_for;  // in words, for people
};

class Coordinator {
 public:
  // Past: what was logged, or is of a model that gets more trees. From the first iteration on whose
  // metrics are not of this run, they are found again, and the iterations given out to be logged.
  Coordinator(CoordinatorOptions options, RunSetup setup, std::vector<ShardRows> shards,
              std::vector<train::Iteration> past);
  ~Coordinator();

  std::vector<CoordinatorAction> receive(const std::string& worker, const Message& message,
                                         Time now);
  // The connection to a worker is gone for good, or was never what it should be.
  std::vector<CoordinatorAction> lost(const std::string& worker, Time now);
  std::vector<CoordinatorAction> tick(Time now);

  // All that was given out as LogAction is durable. Requires: finished().
  std::vector<CoordinatorAction> logged();

  // Whether messages between all that take part, and to here, stay on one machine.
  void set_near(bool are_near) { are_near_ = are_near; }
  // How many members have still to answer for the round at hand: nothing follows before so many
  // messages have come, but what ticks and other messages lead to. 0: there is no round.
  uint32_t awaited_members() const;

  // Whether the trees are what the model will have; what they are worth may have to be found yet.
  bool has_all_trees() const;
  bool finished() const { return is_finished_; }
  const train::RunHistory& history() const { return history_; }
  // Of the training rows, after the best iteration; none until the run is finished, or if it was
  // finished before this coordinator. Ranks them: ten milliseconds for a million. Fails where a
  // metric has no value.
  Result<std::vector<model::MetricValue>> training_metrics() const;
  CoordinatorStatus status() const;
  const RunLedger& ledger() const { return ledger_; }
  const std::vector<ShardRows>& shards() const { return shards_; }
  uint64_t rounds() const { return round_number_; }  // said so far

 private:
  struct WorkerState {
    std::string address;
    uint32_t threads = 1;
    uint64_t memory_bytes_max = kNoMemoryLimit;
    std::set<uint32_t> held, asked;  // shards in memory; being read
    Time heard{0};
    uint64_t iterations_known = 0;  // that it is sure to have
    bool is_leaving = false;
    bool is_straggler = false;  // others read its shards, too
    WorkerSpeed speed;
    double weight = 0;  // its share of the rows is by it; 0: not known, as others of its threads

    bool stays() const { return !is_leaving && !is_straggler; }
    // Has the shard, or will have it.
    bool has(uint32_t shard) const { return held.contains(shard) || asked.contains(shard); }
  };
  struct OpenRound {
    Round round;
    std::set<std::string> facts_from;
    Facts facts;                          // added up
    std::map<uint32_t, Splits> by_block;  // as the owners have found them
  };
  void tell(const std::string& worker, Body body);
  void note(RunEvent::Kind kind, const std::string& worker) {
    ledger_.note(kind, worker, history_.iterations().size(), now_);
  }
  void join(const std::string& name, const Join& join, Time now);
  void lose(const std::string& name, RunEvent::Kind how, Time now);
  size_t block_count() const { return view_.block_owners.size(); }
  const Member* member(const std::string& name) const;  // of the view; null if it is none
  void finish_run();
  Time patience(const std::string& name) const;
  void find_stragglers();
  void overtake();
  void give_up_overtaken(std::string name);
  void place_soon();
  void place_shards();
  void place_missing(std::set<std::string>& told);
  void move_to_the_needy(uint64_t all_rows, double all_weight, std::set<std::string>& told);
  void place_replicas(std::set<std::string>& told);
  void share_reading(uint64_t all_rows, double all_weight, std::set<std::string>& told);
  uint64_t rows_counted(const Member& member) const;
  double weight(const WorkerState& worker) const;
  void weigh();
  const ShardRows* shard(uint32_t id) const;
  std::string neediest(const std::function<bool(const std::string&)>& may) const;
  uint64_t planned(const WorkerState& worker, uint64_t ShardRows::*what) const;
  uint64_t rows_planned(const WorkerState& worker) const;
  uint64_t memory_planned(const WorkerState& worker) const;
  bool has_room(const WorkerState& worker, uint64_t bytes) const;
  std::set<uint32_t> spare_copies(const std::string& name) const;
  void give_back(const std::string& name, uint64_t bytes);
  void say_load(const std::string& name);
  void add_held(const std::string& name, uint32_t shard);
  bool all_held() const;
  bool is_settled() const;
  std::vector<uint32_t> open_nodes() const;
  View next_view() const;
  void begin_view(View view);
  void let_leavers_go();
  void say_plan(const std::string& name);
  void say_plans();
  void issue(Round round);
  void go_on();
  void start_measure(std::optional<FinishedTree> finish);
  void start_appraisal();
  void start_given();
  Status add_values(const train::MetricSummary& summary, const std::string& set,
                    std::vector<model::MetricValue>& to) const;
  void start_root(std::optional<FinishedTree> finish);
  double expansion_us(uint32_t id) const;
  std::vector<uint32_t> next_batch(size_t rounds_max);
  void learn_from_unsure();
  void grow();
  Expansion expansion_of(uint32_t id) const;
  bool is_symmetric() const { return growth_.order == trees::GrowthOrder::symmetric; }
  void choose_level(const OpenRound& open);
  void grow_level();
  std::vector<uint32_t> level_nodes() const;
  static bool is_awaited(const OpenRound& open, uint32_t block);
  bool is_complete(const OpenRound& open) const;
  void done(OpenRound& open);
  void measured(const OpenRound& open);
  void appraised(OpenRound& open);
  void keep_iteration(const OpenRound& open);
  void rooted(const OpenRound& open);
  void expanded(const OpenRound& open);
  void add_facts(const std::string& worker, const Facts& facts);
  void add_splits(const std::string& worker, const Splits& splits);
  void finish_tree();
  void start_next();
  bool needs_largest() const;
  static std::unordered_map<uint32_t, trees::Split> best_splits(const OpenRound& open);
  trees::GradientUnits units() const;
  std::string waits_for() const;

  CoordinatorOptions options_;
  RunSetup setup_;
  std::vector<ShardRows> shards_;
  train::RunHistory history_;
  trees::GrowthOptions growth_;
  size_t output_count_;

  std::map<std::string, WorkerState> workers_;
  View view_;
  std::unordered_map<std::string, size_t> member_places_;  // in view_.members
  std::set<uint32_t> blocks_lost_;                         // to be built again in the next view
  uint64_t round_number_ = 0;
  std::deque<OpenRound> rounds_;
  bool is_view_lost_ = false;
  bool is_view_new_ = false;           // since shards were placed last
  bool is_placement_due_ = true;       // workers, what they hold or the view have changed
  size_t joining_count_ = 0;           // workers that placement waits for
  bool is_more_to_place_ = false;      // at the next tick
  bool is_all_held_ = false;           // when shards were placed last
  bool is_view_due_ = true;            // placed since it was looked for one; or blocks may move
  uint64_t memory_bytes_missing_ = 0;  // then
  uint64_t load_number_ = 0;
  std::map<std::string, Time> overtaken_;    // and not back yet: when they were heard last
  std::map<std::string, uint32_t> strikes_;  // how often one was found, or overtaken, in vain
  Time front_since_{0};                      // when the round at hand began to be waited for
  Time longest_round_{0};                    // of late
  uint64_t rounds_timed_ = 0;
  double thread_weight_ = 1;  // of a thread of a worker whose speed is not known
  Time weighed_{0};
  bool was_finished_ = false;  // by the log alone
  bool is_finished_ = false;
  bool is_logged_ = false;  // and may be forgotten by the workers
  Time progress_{0};        // when something came of it

  TreeState state_;  // as of the last completed round
  std::optional<trees::TreeWalk> walk_;
  bool are_near_ = false;
  uint64_t bin_count_ = 0;     // of all features
  uint32_t threads_most_ = 1;  // of a member
  uint64_t threads_all_ = 1;   // of all members
  // By output, the best gain that its last tree had no room for; none: there was no tree.
  std::vector<std::optional<double>> gains_left_;
  std::vector<uint32_t> unsure_;  // nodes expanded that the tree at hand may not want
  double vain_share_ = 0.25;      // of such nodes, that trees of late did not want
  train::Iteration iteration_;    // at hand
  // Symmetric growth: the level whose histograms the owners have, and those of its nodes that are
  // to be expanded.
  std::vector<uint32_t> level_batch_;
  Level level_;
  std::optional<FinishedTree> finish_;  // its newest tree, until a round says so
  std::deque<train::Iteration> given_;  // known before the run, but for their metrics
  std::vector<train::MetricSummary> appraisal_;
  double largest_ = 0;
  bool last_wide_ = false;
  bool is_measured_ = false;  // largest_ is of now
  uint64_t joined_count_ = 0, lost_count_ = 0, left_count_ = 0, weighed_count_ = 0;
  uint64_t overtaken_count_ = 0;
  Time now_{0};
  RunLedger ledger_;
  std::vector<CoordinatorAction> actions_;
};

}  // namespace evergrove::cluster
