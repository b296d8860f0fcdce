// The two state machines together, over a network that delays, reorders, doubles and loses, with
// workers that come, go, are lost and stop, and coordinators that are replaced: the digest is that
// of one machine. A failure names its seed.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <queue>

#include "evergrove/base/hash.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/worker.h"
#include "evergrove/table/memory_source.h"
#include "evergrove/train/trainer.h"

namespace evergrove::cluster {
namespace {

using table::ColumnKind;
using table::ColumnValues;

struct Problem {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  size_t rows = 600;
  size_t shards = 7;
  bool is_weighted = false;
  double valid_fraction = 0.2;
  train::Parameters parameters;

  Problem() {
    parameters.n_estimators = 4;
    parameters.max_leaves = 8;
    parameters.min_rows = 5;
    parameters.max_bins = 16;
  }
};

train::PreparedData prepare(const Problem& problem) {
  const RandomKey key(5, "cluster test");
  const auto uniform = [&](uint64_t counter) { return double(key.at(counter) >> 11) * 0x1p-53; };
  std::vector<double> a, b, c, weight, label;
  std::vector<int32_t> colour;
  for (size_t row = 0; row < problem.rows; ++row) {
    a.push_back(uniform(8 * row));
    b.push_back(uniform(8 * row + 1) < 0.1 ? std::nan("") : uniform(8 * row + 2));
    c.push_back(std::floor(5 * uniform(8 * row + 3)));
    colour.push_back(static_cast<int32_t>(key.at(8 * row + 4) % 5));
    weight.push_back(problem.is_weighted ? 0.25 + uniform(8 * row + 5) : 1);
    const double signal = std::sin(6 * a.back()) + (colour.back() == 2 ? 1 : 0) + 0.2 * c.back() +
                          uniform(8 * row + 6);
    label.push_back(problem.objective == model::ObjectiveKind::regression ? 10 * signal
                    : problem.objective == model::ObjectiveKind::binary
                        ? double(signal > 1.2)
                        : double(int(signal > 0.8) + int(signal > 1.6)));
  }
  std::vector<table::ColumnSpec> schema = {
      {"a", ColumnKind::numeric, "double"}, {"b", ColumnKind::numeric, "double"},
      {"c", ColumnKind::numeric, "double"}, {"colour", ColumnKind::categorical, "string"},
      {"w", ColumnKind::numeric, "double"}, {"y", ColumnKind::numeric, "double"}};
  std::vector<ColumnValues> columns = {
      ColumnValues::of(a),      ColumnValues::of(b),
      ColumnValues::of(c),      ColumnValues::of(colour, {"r", "g", "b", "k", "w"}),
      ColumnValues::of(weight), ColumnValues::of(label)};
  train::DataSpec spec;
  spec.data = std::make_shared<table::MemorySource>(schema, columns, problem.rows, 100);
  spec.label = "y";
  if (problem.is_weighted) {
    spec.weight = "w";
  } else {
    spec.exclude = {"w"};
  }
  spec.valid_fraction = problem.valid_fraction;
  spec.objective_is_chosen = true;
  train::Parameters parameters = problem.parameters;
  parameters.objective = problem.objective;
  auto prepared = train::prepare(spec, parameters, nullptr, {});
  EXPECT_TRUE(prepared.ok()) << prepared.status().message();
  return std::move(prepared).value();
}

// Rows first to first + count - 1 of a data set.
train::Dataset slice(const train::Dataset& whole, std::span<const model::Feature> features,
                     size_t first, size_t count) {
  train::Dataset part;
  part.name = whole.name;
  part.segments = {{first, count}};
  part.bins = bins::BinMatrix(count, features);
  for (size_t f = 0; f < features.size(); ++f) {
    for (size_t i = 0; i < count; ++i) {
      part.bins.column<uint8_t>(f)[i] = static_cast<uint8_t>(whole.bins.bin(first + i, f));
    }
  }
  part.bins.build_rows();
  const auto take = [&](const auto& from, auto& to) {
    if (!from.empty()) to.assign(from.begin() + long(first), from.begin() + long(first + count));
  };
  take(whole.classes, part.classes);
  take(whole.targets, part.targets);
  take(whole.weights, part.weights);
  return part;
}

// What may happen, each as a chance in a thousand a step.
struct Faults {
  uint64_t lose = 0, twice = 0, late = 0;
  uint64_t kill = 0, join = 0, drain = 0, stop = 0, replace = 0, cut = 0;
};

class Simulation {
 public:
  Simulation(const Problem& problem, uint64_t seed, size_t workers, Faults faults)
      : problem_(problem), prepared_(prepare(problem)), key_(seed, "simulation"), faults_(faults) {
    setup_.header = prepared_.header;
    setup_.weight_facts =
        train::WeightFacts::of(setup_.header.parameters, prepared_.data.train.classes,
                               prepared_.data.train.weights, prepared_.data.train.row_count());
    for (const train::Dataset& valid : prepared_.data.valid) {
      double largest = valid.weights.empty() ? 1 : 0;
      for (float weight : valid.weights) largest = std::max(largest, double{weight});
      setup_.weight_max_by_set.push_back(largest);
    }
    for (uint32_t id = 0; id < problem.shards; ++id) {
      shards_.push_back({id, bound(id + 1, train_rows()) - bound(id, train_rows())});
    }
    replace_coordinator();
    for (size_t i = 0; i < workers; ++i) add_worker();
  }

  // Returns the digest, or what went wrong.
  std::string run() {
    for (uint64_t step = 0; step < 400'000; ++step) {
      if (is_finished_) return model::digest(coordinator_->history().model());
      if (!failure_.empty()) return failure_;
      if (step % 8 == 0) happen(step);
      if (events_.empty() || events_.top().at > next_tick_) {
        now_ = next_tick_;
        next_tick_ += Time(250);
        act(coordinator_->tick(now_));
        for (auto& [name, worker] : workers_) {
          if (worker.epoch_joined != coordinator_epoch_ || worker.machine->epoch() == 0) {
            worker.epoch_joined = coordinator_epoch_;
            act(name, worker.machine->join(1));
          } else {
            deliver(name, "", {worker.machine->epoch(), worker.machine->heartbeat()});
          }
        }
        continue;
      }
      Event event = events_.top();
      events_.pop();
      now_ = event.at;
      event.happen();
    }
    const CoordinatorStatus status = coordinator_->status();
    return "no end: " + std::to_string(status.iterations) + " iterations, " +
           std::to_string(status.workers.size()) + " workers, view " + std::to_string(status.view) +
           ", " + std::to_string(status.shards_missing) + " shards missing; waits for " + status.waits_for;
  }

  CoordinatorStatus status() const { return coordinator_->status(); }
  std::string digest_of_one_machine() {
    auto trainer = train::Trainer::create(prepared_.header, prepare(problem_).data);
    EXPECT_TRUE(trainer.ok());
    while (!(*trainer)->finished()) (*trainer)->next();
    metrics_of_one_machine_ = (*trainer)->model().metadata.metrics;
    return model::digest((*trainer)->model());
  }
  bool metrics_are_equal() const {
    const auto iterations = coordinator_->history().iterations();
    if (iterations.size() != metrics_of_one_machine_.size()) return false;
    for (size_t i = 0; i < iterations.size(); ++i) {
      for (size_t k = 0; k < metrics_of_one_machine_[i].size(); ++k) {
        if (iterations[i].metrics.at(k).value != metrics_of_one_machine_[i][k].value) return false;
      }
    }
    return true;
  }

 private:
  struct Event {
    Time at;
    uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Process {
    std::unique_ptr<Worker> machine;
    uint64_t epoch_joined = 0;
    Time stopped_until{0};
    Time cut_until{0};
  };

  uint64_t dice(uint64_t limit) { return key_.at(counter_++) % limit; }
  bool chance(uint64_t in_thousand) { return in_thousand > 0 && dice(1000) < in_thousand; }
  size_t train_rows() const { return prepared_.data.train.row_count(); }
  size_t bound(size_t shard, size_t rows) const { return shard * rows / problem_.shards; }

  std::unique_ptr<train::RowStore> load(uint32_t shard) {
    train::TrainingData data;
    const auto& features = setup_.header.features;
    const size_t first = bound(shard, train_rows());
    data.train = slice(prepared_.data.train, features, first, shards_[shard].row_count);
    for (const train::Dataset& valid : prepared_.data.valid) {
      const size_t begin = bound(shard, valid.row_count());
      data.valid.push_back(
          slice(valid, features, begin, bound(shard + 1, valid.row_count()) - begin));
    }
    return std::make_unique<train::RowStore>(setup_.header, setup_.weight_facts, std::move(data));
  }

  void at(Time when, std::function<void()> happen) {
    events_.push({when, order_++, std::move(happen)});
  }

  // Sends bytes on their way; `to` empty: the coordinator.
  void deliver(const std::string& from, const std::string& to, const Message& message) {
    if (chance(faults_.lose)) return;
    const std::string bytes = encode(message);
    const int copies = chance(faults_.twice) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
      const Time delay(1 + dice(5) + (chance(faults_.late) ? dice(3000) : 0));
      at(now_ + delay, [=, this] { arrive(from, to, bytes); });
    }
  }
  void arrive(const std::string& from, const std::string& to, const std::string& bytes) {
    const Result<Message> message = decode(bytes);
    ASSERT_TRUE(message.ok()) << message.status().message();
    ASSERT_EQ(encode(*message), bytes);
    if (const auto sender = workers_.find(from);
        sender != workers_.end() && sender->second.cut_until > now_) {
      return;
    }
    if (to.empty()) return act(coordinator_->receive(from, *message, now_));
    const auto worker = workers_.find(to);
    if (worker == workers_.end() || worker->second.cut_until > now_) return;
    if (worker->second.stopped_until > now_) {
      return at(worker->second.stopped_until, [=, this] { arrive(from, to, bytes); });
    }
    act(to, worker->second.machine->receive(*message));
  }

  void act(std::vector<CoordinatorAction> actions) {
    for (CoordinatorAction& action : actions) {
      if (auto* tell = std::get_if<TellAction>(&action)) {
        deliver("(coordinator)", tell->worker, tell->message);
      } else if (auto* log = std::get_if<LogAction>(&action)) {
        // An iteration that was logged before must be the same one.
        const std::string bytes = train::encode_iteration(log->iteration);
        const uint64_t index = log->iteration.index;
        if (index < log_.size() && train::encode_iteration(log_[index]) != bytes) {
          failure_ = "a record was unsaid";
        } else if (index == log_.size()) {
          // A replaced coordinator may not have got its last records to the disk.
          log_.push_back(log->iteration);
        }
      } else if (std::holds_alternative<FinishedAction>(action)) {
        is_finished_ = true;
      } else if (auto* failed = std::get_if<FailedAction>(&action)) {
        failure_ = failed->status.message();
      }
    }
  }
  void act(const std::string& name, std::vector<WorkerAction> actions) {
    for (WorkerAction& action : actions) {
      if (auto* send = std::get_if<SendAction>(&action)) {
        deliver(name, send->to, send->message);
      } else if (auto* load_action = std::get_if<LoadAction>(&action)) {
        for (uint32_t shard : load_action->shards) {
          at(now_ + Time(20 + dice(200)), [=, this] {
            const auto worker = workers_.find(name);
            if (worker != workers_.end())
              act(name, worker->second.machine->loaded(shard, load(shard)));
          });
        }
      } else if (auto* stop = std::get_if<StopAction>(&action)) {
        if (stop->status.kind() == StatusKind::corrupt) failure_ = stop->status.message();
        leaving_.push_back(name);
      }
    }
    for (const std::string& gone : std::exchange(leaving_, {})) {
      at(now_, [=, this] { workers_.erase(gone); });
    }
  }

  void add_worker() {
    const std::string name = "w" + std::to_string(worker_number_++);
    workers_[name].machine = std::make_unique<Worker>(name, name, setup_);
    at(now_ + Time(dice(50)), [=, this] {
      const auto worker = workers_.find(name);
      if (worker == workers_.end()) return;
      worker->second.epoch_joined = coordinator_epoch_;
      act(name, worker->second.machine->join(1));
    });
  }

  void replace_coordinator() {
    // The last record or two may never have been durable.
    std::vector<train::Iteration> past = log_;
    if (past.size() > 1 && dice(2) == 0) past.pop_back();
    CoordinatorOptions options;
    options.epoch = ++coordinator_epoch_;
    options.rounds_max = 1 + dice(3);
    options.lease = Time(3000);
    options.say_again_after = Time(800);
    coordinator_ = std::make_unique<Coordinator>(options, setup_, shards_, std::move(past));
  }

  std::string any_worker() {
    if (workers_.empty()) return "";
    auto worker = workers_.begin();
    std::advance(worker, long(dice(workers_.size())));
    return worker->first;
  }

  void happen(uint64_t step) {
    if (step > 60'000) return;  // long enough without a fault, it has to end
    const std::string name = any_worker();
    if (chance(faults_.kill) && !name.empty()) {
      workers_.erase(name);
      // Its connection breaks at once, or nobody hears of it.
      if (dice(2) == 0) act(coordinator_->lost(name, now_));
    } else if (workers_.empty() || (chance(faults_.join) && workers_.size() < 6)) {
      add_worker();
    } else if (chance(faults_.drain) && workers_.size() > 1) {
      act(name, workers_[name].machine->leave());
    } else if (chance(faults_.stop)) {
      workers_[name].stopped_until = now_ + Time(dice(8000));
    } else if (chance(faults_.cut)) {
      workers_[name].cut_until = now_ + Time(dice(8000));
    } else if (chance(faults_.replace)) {
      replace_coordinator();
    }
  }

  Problem problem_;
  train::PreparedData prepared_;
  RandomKey key_;
  Faults faults_;
  RunSetup setup_;
  std::vector<ShardRows> shards_;
  uint64_t counter_ = 0, order_ = 0, worker_number_ = 0, coordinator_epoch_ = 0;
  Time now_{0}, next_tick_{0};
  std::priority_queue<Event> events_;
  std::unique_ptr<Coordinator> coordinator_;
  std::map<std::string, Process> workers_;
  std::vector<train::Iteration> log_;
  std::vector<std::string> leaving_;
  std::vector<std::vector<model::MetricValue>> metrics_of_one_machine_;
  bool is_finished_ = false;
  std::string failure_;
};

void expect_one_digest(const Problem& problem, uint64_t seed, size_t workers, Faults faults) {
  Simulation simulation(problem, seed, workers, faults);
  const std::string expected = simulation.digest_of_one_machine();
  EXPECT_EQ(simulation.run(), expected) << "seed " << seed << ", workers " << workers;
  EXPECT_TRUE(simulation.metrics_are_equal()) << "seed " << seed;
}

TEST(Cluster, QuietRunsOfAnySizeHaveTheDigestOfOneMachine) {
  for (const size_t workers : {1, 2, 3, 5, 9}) expect_one_digest({}, 1, workers, {});
}

TEST(Cluster, EveryObjectiveAndSettingHasTheDigestOfOneMachine) {
  for (const auto objective : {model::ObjectiveKind::binary, model::ObjectiveKind::multiclass,
                               model::ObjectiveKind::regression}) {
    for (const auto growth : {train::Growth::leaf, train::Growth::depth}) {
      for (const bool is_sampled : {false, true}) {
        Problem problem;
        problem.objective = objective;
        problem.is_weighted = is_sampled;
        problem.parameters.growth = growth;
        if (is_sampled) {
          problem.parameters.subsample = 0.7;
          problem.parameters.colsample_bytree = 0.8;
          problem.parameters.colsample_bynode = 0.7;
          problem.parameters.colsample_bylevel = 0.8;
        }
        expect_one_digest(problem, 2, 3, {});
      }
    }
  }
}

TEST(Cluster, StopsEarlyWhereOneMachineDoes) {
  Problem problem;
  problem.parameters.n_estimators = 40;
  problem.parameters.learning_rate = 1;
  problem.parameters.early_stopping_rounds = 2;
  expect_one_digest(problem, 3, 3, {});
}

TEST(Cluster, BearsABadNetwork) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    expect_one_digest({}, seed, 3, {.lose = 20, .twice = 50, .late = 20});
  }
}

TEST(Cluster, BearsTheComingAndGoingOfWorkers) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    expect_one_digest({}, seed, 3, {.kill = 30, .join = 60, .drain = 20});
  }
}

TEST(Cluster, BearsEverythingAtOnce) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Problem problem;
    problem.objective = seed % 3 == 0   ? model::ObjectiveKind::multiclass
                        : seed % 3 == 1 ? model::ObjectiveKind::regression
                                        : model::ObjectiveKind::binary;
    if (seed % 2 == 0) problem.parameters.subsample = 0.6;
    expect_one_digest(problem, seed, 1 + seed % 4,
                      {.lose = 10,
                       .twice = 20,
                       .late = 10,
                       .kill = 15,
                       .join = 40,
                       .drain = 10,
                       .stop = 5,
                       .replace = 4,
                       .cut = 5});
  }
}

}  // namespace
}  // namespace evergrove::cluster
