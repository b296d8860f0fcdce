// Problem: a small run to be simulated: its data, made up, its settings, and its shards.
//
// A function of a seed: everything that may matter to a cluster varies, from one shard to a dozen,
// objectives, weights, samples of rows and columns, early stopping.
//
//   Problem problem = Problem::of(seed);
//   std::string expected = model::digest(train_on_one_machine(problem).model);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/worker_rows.h"
#include "evergrove/train/trainer.h"

namespace evergrove::sim {

struct Problem {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  size_t rows = 600;
  uint32_t shards = 7;
  bool is_weighted = false;
  double valid_fraction = 0.2;
  size_t given_iterations = 0;  // of a model that gets more trees
  train::Parameters parameters;

  Problem();
  static Problem of(uint64_t seed);
  std::string text() const;
};

train::PreparedData prepare(const Problem& problem);

// What one quiet machine decides: each iteration as it is logged, with its metrics.
struct Expected {
  std::vector<std::string> iterations;
  std::vector<model::MetricValue> training_metrics;
  std::string digest;
};
Expected train_on_one_machine(const Problem& problem);

// The data of a problem cut into shards, each with its part of the validation sets.
class Shards {
 public:
  explicit Shards(const Problem& problem);

  const cluster::RunSetup& setup() const { return setup_; }
  std::vector<cluster::ShardRows> rows() const;
  std::unique_ptr<train::RowStore> load(uint32_t shard) const;
  // Some in one store, with how many rows of it each has.
  std::unique_ptr<train::RowStore> load(std::span<const uint32_t> shards,
                                        std::vector<cluster::ShardPiece>& pieces) const;

 private:
  size_t bound(size_t shard, size_t rows) const { return shard * rows / count_; }

  uint32_t count_;
  train::PreparedData prepared_;
  cluster::RunSetup setup_;
};

}  // namespace evergrove::sim
