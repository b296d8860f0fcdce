// Worker: one worker of a run as a state machine: a message in, a list of actions out.
//
// It holds shards, each as a RowStore, and does what the coordinator's rounds say: what follows for
// its active shards it sends to the owners of the blocks; of the blocks that it owns it adds up
// what all members send, finds the best splits, and tells the coordinator. It decides nothing.
//
// Promises: a contribution counts once (an owner takes one part a member, block, round and view);
// what a coordinator of a smaller epoch says changes nothing; any message may come again, late or
// never. Pure: no clock, files, threads of its own or network; computing uses the TBB arena it is
// called in. One owner, one thread at a time.
//
//   Worker worker("w1", "10.0.0.8:7001", setup);
//   for (WorkerAction& action : worker.receive(message)) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "evergrove/cluster/blocks.h"
#include "evergrove/cluster/message.h"
#include "evergrove/train/run_record.h"
#include "evergrove/trees/growth_options.h"

namespace evergrove::cluster {

// What every worker is given before anything else.
struct RunSetup {
  train::RunHeader header;
  train::WeightFacts weight_facts;
  std::vector<double> weight_max_by_set;  // of each validation set
};

// To: empty is the coordinator, else the name of a member of the view.
struct SendAction {
  std::string to;
  Message message;
};
// Read and bin these shards, in the background; then call loaded() or load_failed().
struct LoadAction {
  std::vector<uint32_t> shards;
};
// The run is over for this worker; ok when it is finished.
struct StopAction {
  Status status;
};
using WorkerAction = std::variant<SendAction, LoadAction, StopAction>;

// How much a worker holds beside its shards; all of it is bounded by the tree at hand.
struct WorkerHoldings {
  size_t early_parts = 0, open_rounds = 0, sums = 0, told_splits = 0, histograms = 0;
};

class Worker {
 public:
  Worker(std::string name, std::string address, RunSetup setup);
  ~Worker();

  // Says who it is; to be called when a connection to a coordinator is there, again and again.
  std::vector<WorkerAction> join(uint32_t threads);
  std::vector<WorkerAction> receive(const Message& message);
  // A shard's rows are there, from the first iteration on.
  std::vector<WorkerAction> loaded(uint32_t shard, std::unique_ptr<train::RowStore> store);
  std::vector<WorkerAction> load_failed(uint32_t shard, const std::string& reason);
  // Asks to hand over and leave; Goodbye follows.
  std::vector<WorkerAction> leave();
  // To be sent now and then.
  Heartbeat heartbeat() const { return {view_.number, last_round_}; }

  uint64_t epoch() const { return epoch_; }
  const View& view() const { return view_; }
  std::vector<uint32_t> shards() const;
  WorkerHoldings holdings() const {
    return {early_.size(), open_.size(), sums_.size(), told_.size(), histograms_.size()};
  }

 private:
  struct Shard;
  // Of one block in one round.
  struct Sum {
    std::set<std::string> from;
    std::map<uint32_t, trees::Histogram> nodes;
  };
  using Key = std::pair<uint64_t, uint32_t>;  // round, block

  static constexpr size_t kEarlyMax = 4096;

  void send(std::string to, Body body);
  Join own_join() const;
  void join_again();
  void forget_before(uint64_t round);
  void take_plan(const Plan& plan);
  void do_round(const Round& round);
  void finish_tree(const FinishedTree& finished);
  void bring_up(Shard& shard);
  void contribute(const Round& round);
  void tell_facts(const Round& round);
  void take_part(const Part& part);
  Sum* sum_for(const Part& part);
  trees::Histogram& node_sum(Sum& sum, const Block& block, uint32_t node) const;
  void say_again(uint64_t round, uint32_t block);
  void complete(uint32_t block);
  bool complete(uint64_t round, uint32_t block);
  trees::Split search(uint32_t block, const trees::Histogram& histogram, uint32_t depth,
                      uint64_t path, const trees::Sums& sums) const;
  bool owns(uint32_t block) const;
  uint64_t tree_index() const;

  std::string name_, address_;
  RunSetup setup_;
  trees::GrowthOptions options_;
  std::vector<Block> blocks_;
  std::unique_ptr<trees::HistogramPool> pool_;
  std::vector<uint32_t> offsets_;  // of the features' bins
  // By block: the same in histograms of the block, for its features.
  std::vector<std::vector<uint32_t>> block_offsets_;
  uint32_t threads_ = 1;
  uint64_t epoch_ = 0;
  View view_;
  bool is_member_ = false;
  size_t place_ = 0;         // in view_.members
  size_t contributors_ = 0;  // members with shards
  uint64_t last_round_ = 0;
  std::map<uint32_t, std::unique_ptr<Shard>> shards_;
  std::set<uint32_t> loading_;
  std::vector<uint32_t> active_;
  std::vector<std::vector<model::Tree>> iterations_;
  TreeState state_;
  std::vector<uint32_t> columns_;   // of the tree at hand
  std::map<uint64_t, Round> open_;  // rounds whose blocks may still be incomplete
  std::vector<uint64_t> order_;     // of the open rounds, as they are to be done
  std::map<Key, Sum> sums_;
  std::map<Key, Splits> told_;                                            // to be said again
  std::map<std::pair<uint32_t, uint32_t>, trees::Histogram> histograms_;  // by block and node
  uint64_t histograms_of_ = 0;  // the root round of their tree
  std::vector<Part> early_;     // of views to come
  std::vector<WorkerAction> actions_;
};

}  // namespace evergrove::cluster
