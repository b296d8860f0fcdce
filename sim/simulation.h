// Simulation: a whole run of the very state machines, in a made-up world that follows from a seed.
//
// The network loses, doubles, delays and reorders, and is cut, one way too; workers are killed,
// stopped, added and drained; coordinators are killed, stopped and replaced, with two or more alive
// at once and clocks that go wrong; the log is slow and loses what was not written yet. After
// a while the world is quiet, and the run has to end.
//
// Checks: each record is the one of a quiet machine and is never unsaid; so are the digest and the
// metrics; the run ends; no message is refused as corrupt; what workers hold is bounded. Each
// contribution is counted once, or a record differs.
//
//   Outcome outcome = Simulation(Problem::of(seed), Faults::of(seed), seed).run();
//   EXPECT_EQ(outcome.violation, "");
//
// Of a Case what happens is its events instead, in their order; the seed gives the delays of
// messages, of reading and of the log. Leases and rounds are those of real processes then.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/worker.h"
#include "sim/case.h"
#include "sim/faults.h"
#include "sim/problem.h"

namespace evergrove::sim {

using cluster::Time;

struct Outcome {
  std::string violation;  // empty: none
  std::string digest;
  Time ended{0};
  uint64_t steps = 0, messages = 0;
  uint64_t workers = 0, coordinators = 0, views = 0;  // that there were
  uint64_t weighed = 0;                               // times that shares were made anew by speed
  uint64_t overtaken = 0;                             // members that were not waited for
  cluster::WorkerHoldings most;                       // that one worker held
};

class Simulation {
 public:
  Simulation(const Problem& problem, const Faults& faults, uint64_t seed,
             std::ostream* story = nullptr);
  Simulation(const Case& scenario, uint64_t seed, std::ostream* story = nullptr);
  Outcome run();

 private:
  struct Event {
    Time at;
    uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct WorkerProcess {
    std::unique_ptr<cluster::Worker> machine;
    uint32_t threads = 1;
    uint64_t memory_bytes = cluster::kNoMemoryLimit;
    uint64_t coordinator = 0;  // that it is connected to, by its epoch
    bool has_joined = false;   // there
    bool is_leaving = false;
    uint64_t row_us = 1;   // that a row takes in a round
    uint64_t busy_us = 0;  // as it would have measured it
    Time stopped_until{0};
    Time deaf_until{0}, mute_until{0};  // cut off, one way each
  };
  struct CoordinatorProcess {
    std::unique_ptr<cluster::Coordinator> machine;
    std::deque<train::Iteration> to_log;  // the first is being written
    bool is_finished = false;
    bool begins_finished = false;  // the log was whole
    Time stopped_until{0};
    Time clock_offset{0};
    uint64_t clock_rate = 1000;  // thousandths
  };

  uint64_t dice(uint64_t limit) { return key_.at(counter_++) % limit; }
  bool chance(uint64_t in_thousand) { return in_thousand > 0 && dice(1000) < in_thousand; }
  void at(Time when, std::function<void()> happen);
  void tell(const std::string& who, const std::string& what);
  void violate(const std::string& what);

  // world
  void look();
  void tick();
  void happen();
  void add_worker();
  void start_worker(const std::string& name);
  uint64_t counted_rows(const cluster::Worker& worker, const std::string& name) const;
  void kill_worker(const std::string& name);
  void replace_coordinator();
  std::vector<train::Iteration> past() const;
  void end_coordinator(uint64_t epoch, const std::string& why);
  uint64_t some_coordinator();
  std::string some_worker();
  void check_holdings(const WorkerProcess& worker);
  void check_memory(const std::string& name);
  bool has_memory_for_all() const;

  // a case
  void add_worker(const CaseWorker& given);
  void look_at_case();
  bool all_take_part() const;
  void happen(const CaseEvent& event);
  void check_expectations(const cluster::CoordinatorStatus& status);

  // network
  void to_coordinator(const std::string& worker, const cluster::Message& message);
  void to_worker(const std::string& from, const std::string& to, const cluster::Message& message);
  template <class Arrive>
  void deliver(const cluster::Message& message, Arrive arrive);
  void arrive(const std::string& worker, uint64_t epoch, const std::string& bytes);
  void arrive(const std::string& from, const std::string& to, const std::string& bytes);
  bool read(const std::string& bytes, cluster::Message& message);

  // what the machines want
  void act(uint64_t epoch, std::vector<cluster::CoordinatorAction> actions);
  void act(const std::string& name, std::vector<cluster::WorkerAction> actions);
  void load(const std::string& name, const std::vector<uint32_t>& shards,
            const cluster::DecidedTrees& decided);
  void join(const std::string& name);
  Time local(const CoordinatorProcess& coordinator) const;

  // log
  void write_next(uint64_t epoch);
  void written(uint64_t epoch);
  void check_end(uint64_t epoch);
  std::string difference(const train::Iteration& iteration) const;
  bool has_training_metrics(const CoordinatorProcess& process) const;

  Faults faults_;
  std::optional<Case> case_;
  size_t events_done_ = 0;
  Time last_event_{0};
  Time no_coordinator_until_{0}, slow_log_until_{0};
  size_t given_iterations_;
  Shards shards_;
  std::vector<cluster::ShardRows> shard_rows_;
  uint64_t shard_bytes_max_ = 0;
  Expected expected_;
  RandomKey key_;
  std::ostream* story_;
  uint64_t counter_ = 0, order_ = 0;
  Time now_{0}, next_tick_{0};
  std::priority_queue<Event> events_;
  std::map<std::string, WorkerProcess> workers_;
  std::map<uint64_t, CoordinatorProcess> coordinators_;  // by epoch
  uint64_t epoch_ = 0;                                   // of the newest, which the log obeys
  std::vector<train::Iteration> log_;                    // durable
  bool is_ended_ = false;
  Outcome outcome_;
};

}  // namespace evergrove::sim
