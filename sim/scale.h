// Scale: how a run of many workers would go, by the very state machines in a modelled network.
//
// Every worker and the coordinator are a machine of their own, with a link of 10 Gb/s both ways and
// 200 us from each to each. Few real rows stand for many: what the machines decide and say is
// real, how long a worker takes and how large its histograms are is worked out for the rows that
// they stand for (scale_costs.h). The coordinator's time is measured as it runs.
//
//   const ScaleFigures figures = Scale(rows, costs, {.workers = 1000}).run();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/worker.h"
#include "sim/scale_costs.h"

namespace evergrove::sim {

struct ScaleOptions {
  size_t workers = 1;
  uint32_t threads = 16;           // of each
  double rows = 1e9;               // of all together
  uint32_t fan_in = 16;            // of sums on their way to an owner
  double bytes_a_second = 1.25e9;  // of a link, each way
  double latency = 200e-6;         // seconds
};

// All of them a tree, on the average of the trees after the first.
struct ScaleFigures {
  double seconds = 0;
  double rounds = 0;
  double in_bytes = 0, out_bytes = 0;  // of the worker that has the most
  double coordinator_in_bytes = 0, coordinator_out_bytes = 0;
  double messages = 0;                           // to and from all
  double compute_seconds = 0;                    // of the worker that has the most to do
  double link_seconds = 0;                       // of the busiest link in one direction
  double latency_seconds = 0;                    // of the hops that follow one another
  double coordinator_seconds = 0;                // of its CPU, messages included
  double coordinator_machine_seconds = 0;        // of it, in the state machine and in encoding
  double start_seconds = 0;                      // the coordinator's CPU until all take part
  uint64_t coordinator_bytes = 0;                // that it holds at most
  uint64_t coordinator_bytes_with_messages = 0;  // and with what it has to say at once
  const char* bound() const;                     // the largest of the times
};

class Scale {
 public:
  Scale(const ScaleRows& rows, const ScaleCosts& costs, const ScaleOptions& options);
  ScaleFigures run();

 private:
  using Seconds = double;
  using Messages = std::vector<std::shared_ptr<const cluster::Message>>;
  // What a machine has done so far.
  struct Totals {
    double in_bytes = 0, out_bytes = 0;
    Seconds busy = 0;
  };
  struct Machine {
    std::unique_ptr<cluster::Worker> worker;  // null: the coordinator's
    Seconds in_free_at = 0, out_free_at = 0, cpu_free_at = 0;
    Totals totals;
  };
  struct Mark {
    std::vector<Totals> totals;
    Seconds at = 0;
    double coordinator_machine = 0;
    uint64_t messages = 0, rounds = 0, trees = 0;
  };
  struct Event {
    Seconds at;
    uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Told {
    std::string worker;
    std::shared_ptr<const cluster::Message> message;
    cluster::Time at;
  };

  void at(Seconds when, std::function<void()> happen);
  void start();
  std::vector<cluster::WorkerAction> load_shard(Machine& machine, uint32_t shard) const;
  void beat(size_t index);
  void tick();
  void send(size_t from, size_t to, Seconds when, Messages messages);
  void travel(size_t from, size_t to, Seconds when, double bytes, std::function<void()> arrive);
  static std::array<uint64_t, 4> key_of(const cluster::Part& part, size_t at);
  double members_of(const cluster::Part& part, size_t from) const;
  void arrive(size_t at, size_t from, const Messages& messages);
  Seconds work(Machine& machine, Seconds seconds);
  void act(size_t index, Seconds when, std::vector<cluster::WorkerAction> actions);
  void act(Seconds when, std::vector<cluster::CoordinatorAction> actions);
  Seconds seconds_of(const cluster::Round& round) const;
  Seconds seconds_to_add(size_t at, const cluster::Part& part);
  double rows_of(int64_t rows) const { return double(rows) * options_.rows / ScaleRows::kRows; }
  double bytes_of(const cluster::Message& message, size_t from);
  const cluster::Block& block_of(size_t worker, uint32_t block);
  void note_nodes(const cluster::Round& round);
  size_t place_of(const std::string& worker) const;
  cluster::Time time(Seconds when) const { return cluster::Time(int64_t(when * 1000)); }
  Mark mark() const;
  void note_figures();
  void measure_coordinator();

  const ScaleRows& rows_;
  const ScaleCosts& costs_;
  ScaleOptions options_;
  std::map<size_t, std::vector<cluster::Block>> blocks_;  // by how many there are in a view
  std::vector<Machine> machines_;                         // the workers', then the coordinator's
  std::unique_ptr<cluster::Coordinator> coordinator_;
  double coordinator_machine_ = 0;  // seconds of its CPU
  std::vector<Told> told_;
  std::map<uint32_t, int64_t> node_rows_;  // real rows of all members, by node
  // How many members' rows are in the parts that came, by view, round, block and receiver.
  std::map<std::array<uint64_t, 4>, double> summed_;
  std::priority_queue<Event> events_;
  uint64_t order_ = 0, messages_ = 0, trees_ = 0;
  Seconds now_ = 0;
  Mark first_tree_;  // as it was when the first tree was done
  ScaleFigures figures_;
};

}  // namespace evergrove::sim
