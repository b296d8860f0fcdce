// SPDX-License-Identifier: Apache-2.0
#include "sim/problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/table/memory_source.h"

namespace evergrove::sim {

using model::ObjectiveKind;
using table::ColumnKind;
using table::ColumnValues;

namespace {

constexpr uint64_t kMemoryPerRow = 100;

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

}  // namespace

Problem::Problem() {
  parameters.n_estimators = 4;
  parameters.max_leaves = 8;
  parameters.min_rows = 5;
  parameters.max_bins = 16;
}

Problem Problem::of(uint64_t seed) {
  const RandomKey key(seed, "problem");
  uint64_t counter = 0;
  const auto dice = [&](uint64_t limit) { return key.at(counter++) % limit; };
  Problem problem;
  constexpr ObjectiveKind kObjectives[] = {ObjectiveKind::multiclass, ObjectiveKind::regression,
                                           ObjectiveKind::binary};
  problem.objective = kObjectives[dice(3)];
  problem.rows = 200 + dice(500);
  problem.shards = static_cast<uint32_t>(1 + dice(12));
  problem.is_weighted = dice(3) == 0;
  train::Parameters& parameters = problem.parameters;
  parameters.n_estimators = 2 + int(dice(4));
  parameters.max_leaves = 4 + int(dice(9));
  constexpr train::Growth kGrowths[] = {train::Growth::leaf, train::Growth::leaf,
                                        train::Growth::depth, train::Growth::symmetric};
  parameters.growth = kGrowths[dice(4)];
  if (dice(2) == 0) parameters.subsample = 0.6;
  if (dice(3) == 0) parameters.colsample_bytree = 0.7;
  if (dice(4) == 0) parameters.colsample_bynode = 0.7;
  if (dice(4) == 0) {
    parameters.n_estimators = 12;
    parameters.learning_rate = 1;
    parameters.early_stopping_rounds = 2;
  }
  if (dice(4) == 0) problem.given_iterations = 1 + dice(3);
  return problem;
}

std::string Problem::text() const {
  const char* objectives[] = {"regression", "binary", "multiclass"};
  std::string text = objective == ObjectiveKind::regression ? objectives[0]
                     : objective == ObjectiveKind::binary   ? objectives[1]
                                                            : objectives[2];
  text += ", " + std::to_string(rows) + " rows in " + std::to_string(shards) + " shards, " +
          std::to_string(parameters.n_estimators) + " iterations of " +
          std::to_string(parameters.max_leaves) + " leaves";
  if (given_iterations > 0) text += ", " + std::to_string(given_iterations) + " of them given";
  if (is_weighted) text += ", weighted";
  if (parameters.subsample < 1) text += ", sampled";
  if (parameters.early_stopping_rounds > 0) text += ", stopping early";
  return text;
}

train::PreparedData prepare(const Problem& problem) {
  const RandomKey key(5, "simulated rows");
  const auto uniform = [&](uint64_t counter) { return double(key.at(counter) >> 11) * 0x1p-53; };
  std::vector<double> a, b, c, weight, label;
  std::vector<int32_t> colour;
  for (size_t row = 0; row < problem.rows; ++row) {
    a.push_back(uniform(8 * row));
    b.push_back(uniform(8 * row + 1) < 0.1 ? std::numeric_limits<double>::quiet_NaN()
                                           : uniform(8 * row + 2));
    c.push_back(std::floor(5 * uniform(8 * row + 3)));
    colour.push_back(static_cast<int32_t>(key.at(8 * row + 4) % 5));
    weight.push_back(problem.is_weighted ? 0.25 + uniform(8 * row + 5) : 1);
    const double signal = 4 * a.back() * (1 - a.back()) + (colour.back() == 2 ? 1 : 0) +
                          0.2 * c.back() + uniform(8 * row + 6);
    label.push_back(problem.objective == ObjectiveKind::regression ? 10 * signal
                    : problem.objective == ObjectiveKind::binary
                        ? double(signal > 1.7)
                        : double(int(signal > 1.3) + int(signal > 2.1)));
  }
  const std::vector<table::ColumnSpec> schema = {
      {"a", ColumnKind::numeric, "double"}, {"b", ColumnKind::numeric, "double"},
      {"c", ColumnKind::numeric, "double"}, {"colour", ColumnKind::categorical, "string"},
      {"w", ColumnKind::numeric, "double"}, {"y", ColumnKind::numeric, "double"}};
  const std::vector<ColumnValues> columns = {
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
  CHECK(prepared.ok());
  return std::move(prepared).value();
}

Expected train_on_one_machine(const Problem& problem) {
  train::PreparedData prepared = prepare(problem);
  auto trainer = train::Trainer::create(prepared.header, std::move(prepared.data));
  CHECK(trainer.ok());
  Expected expected;
  while (!(*trainer)->finished()) {
    expected.iterations.push_back(train::encode_iteration(*(*trainer)->next()));
  }
  expected.training_metrics = *(*trainer)->training_metrics();
  expected.digest = model::digest((*trainer)->model());
  return expected;
}

Shards::Shards(const Problem& problem) : count_(problem.shards), prepared_(prepare(problem)) {
  setup_.header = prepared_.header;
  const train::Dataset& rows = prepared_.data.train;
  setup_.weight_facts = train::WeightFacts::of(setup_.header.parameters, rows.classes, rows.weights,
                                               rows.row_count());
  const auto weight_max = [](const train::Dataset& set) {
    return set.weights.empty() ? 0.0 : *std::max_element(set.weights.begin(), set.weights.end());
  };
  setup_.training_weight_max = weight_max(rows);
  for (const train::Dataset& valid : prepared_.data.valid) {
    setup_.weight_max_by_set.push_back(weight_max(valid));
  }
}

std::vector<cluster::ShardRows> Shards::rows() const {
  std::vector<cluster::ShardRows> shards;
  const size_t rows = prepared_.data.train.row_count();
  for (uint32_t id = 0; id < count_; ++id) {
    const size_t count = bound(id + 1, rows) - bound(id, rows);
    shards.push_back({id, count, kMemoryPerRow * count});
  }
  return shards;
}

std::unique_ptr<train::RowStore> Shards::load(uint32_t shard) const {
  train::TrainingData data;
  const auto& features = setup_.header.features;
  const auto part_of = [&](const train::Dataset& whole) {
    const size_t first = bound(shard, whole.row_count());
    return slice(whole, features, first, bound(shard + 1, whole.row_count()) - first);
  };
  data.train = part_of(prepared_.data.train);
  for (const train::Dataset& valid : prepared_.data.valid) data.valid.push_back(part_of(valid));
  return std::make_unique<train::RowStore>(setup_.header, setup_.weight_facts, std::move(data));
}

std::unique_ptr<train::RowStore> Shards::load(std::span<const uint32_t> shards,
                                              std::vector<cluster::ShardPiece>& pieces) const {
  std::vector<std::unique_ptr<train::RowStore>> stores;
  for (const uint32_t shard : shards) {
    stores.push_back(load(shard));
    pieces.push_back({shard, stores.back()->row_counts()});
  }
  return train::RowStore::join(std::move(stores));
}

}  // namespace evergrove::sim
