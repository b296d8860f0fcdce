// Worker: one worker of a run as a state machine: a message in, a list of actions out.
//
// It holds shards (worker_rows.h) and does what the coordinator's rounds say: what follows for the
// shards that count it sends towards the owners of the blocks; it adds up what comes to it on the
// way (sum_route.h, block_sums.h), and tells the coordinator the best splits of the blocks that it
// owns. It decides nothing.
//
// Promises: a contribution counts once (one part a sender, block, round and view is taken);
// what a coordinator of a smaller epoch says changes nothing; any message may come again, late or
// never. Pure: no clock, files, threads of its own or network; computing uses the TBB arena it is
// called in. One owner, one thread at a time.
//
//   Worker worker("w1", "10.0.0.8:7001", setup);
//   for (WorkerAction& action : worker.receive(message)) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "evergrove/cluster/block_sums.h"
#include "evergrove/cluster/blocks.h"
#include "evergrove/cluster/message.h"
#include "evergrove/cluster/run_setup.h"
#include "evergrove/cluster/sum_route.h"
#include "evergrove/cluster/worker_rows.h"
#include "evergrove/trees/growth_options.h"

namespace evergrove::cluster {

// To: empty is the coordinator, else the name of a member of the view.
struct SendAction {
  std::string to;
  Message message;
};
// Read and bin these shards, in the background, and lead their stores through what is decided so
// far (catch_up()), so that nobody waits for it later; then call loaded() or load_failed().
struct LoadAction {
  std::vector<uint32_t> shards;
  std::shared_ptr<const DecidedTrees> decided;
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
  // memory_bytes: of shards that it will hold.
  Worker(std::string name, std::string address, RunSetup setup,
         uint64_t memory_bytes = kNoMemoryLimit);
  ~Worker();

  // Whom histograms are sent as they are, for bytes to it cost next to nothing (it has them in
  // memory that is shared with it). Without it, nobody.
  void set_near(std::function<bool(const std::string& member)> is_near) {
    is_near_ = std::move(is_near);
  }

  // Says who it is; to be called when a connection to a coordinator is there, again and again.
  std::vector<WorkerAction> join(uint32_t threads);
  std::vector<WorkerAction> receive(const Message& message);
  // Shards' rows are there, in their order in one store, from the first iteration on.
  std::vector<WorkerAction> loaded(std::vector<ShardPiece> pieces,
                                   std::unique_ptr<train::RowStore> store);
  std::vector<WorkerAction> load_failed(uint32_t shard, const std::string& reason);
  // Asks to hand over and leave; Goodbye follows.
  std::vector<WorkerAction> leave();
  // Brings spare copies nearer to where the run is; for when there is nothing else to do. Returns
  // whether there was something to do.
  bool keep_up();
  // To be sent now and then. busy_us: how long receive() has taken so far, in all.
  Heartbeat heartbeat(uint64_t busy_us) const { return {view_.number, last_round_, busy_us}; }

  uint64_t epoch() const { return place_.epoch; }
  const View& view() const { return view_; }
  std::vector<uint32_t> shards() const { return rows_.shards(); }
  const std::set<uint32_t>& loading() const { return loading_; }
  WorkerHoldings holdings() const {
    return {early_.size(), open_.size(), sums_->sum_count() + passed_.size(), told_.size(),
            sums_->histogram_count()};
  }

 private:
  using Key = std::pair<uint64_t, uint32_t>;  // round, block

  static constexpr size_t kEarlyMax = 4096;

  void send(std::string to, Body body);
  Join own_join() const;
  void join_again();
  void start_epoch(uint64_t epoch);
  void forget_before(uint64_t round);
  void load(const LoadShards& load);
  void take_plan(const Plan& plan);
  void take_view(const View& view);
  void do_round(const Round& round);
  void finish_tree(const FinishedTree& finished);
  void tell_facts(const Round& round);
  void contribute(const Round& round);
  void take_part(const Part& part);
  void take_early_parts();
  void cut_into_blocks(size_t count);
  void look_at_all_rounds();
  void say_again(uint64_t round, uint32_t block);
  void complete(uint32_t block);
  bool complete(const Round& round, uint32_t block);
  bool is_done(uint64_t round, uint32_t block) const;
  const std::string& next(uint32_t block) const;
  uint64_t tree_index() const;

  std::string name_, address_;
  std::function<bool(const std::string& member)> is_near_;
  RunSetup setup_;
  trees::GrowthOptions options_;
  std::vector<Block> blocks_;
  trees::HistogramPool pool_;
  WorkerRows rows_;
  std::optional<BlockSums> sums_;  // there is always one
  RunPlace place_;
  uint64_t memory_bytes_;
  uint32_t threads_ = 1;
  View view_;
  bool is_member_ = false;
  size_t member_ = 0;  // place in view_.members
  SumRoutes routes_;   // none, unless it is a member
  uint64_t last_round_ = 0;
  std::set<uint32_t> loading_;
  uint64_t last_load_ = 0;
  std::map<uint64_t, Round> open_;   // rounds whose blocks may still be incomplete
  std::vector<uint64_t> order_;      // of the open rounds, as they are to be done
  std::vector<size_t> done_counts_;  // by block: of them, how many are done from the first on
  std::map<Key, Splits> told_;       // to be said again
  std::map<Key, Part> passed_;       // sums for other members, to be said again in this view
  std::vector<Part> early_;          // of views and rounds to come
  std::vector<WorkerAction> actions_;
};

}  // namespace evergrove::cluster
