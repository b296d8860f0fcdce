// SPDX-License-Identifier: Apache-2.0
#include "sim/scale_rows.h"

#include <string>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/table/memory_source.h"

namespace evergrove::sim {

ScaleRows::ScaleRows(const ScaleShape& shape, uint32_t shards) : shards_(shards) {
  const RandomKey key(5, "scale rows");
  const auto uniform = [&](uint64_t counter) { return double(key.at(counter) >> 11) * 0x1p-53; };
  std::vector<std::vector<double>> columns(shape.features);
  std::vector<double> label;
  for (size_t row = 0; row < kRows; ++row) {
    double signal = 0;
    for (size_t f = 0; f < shape.features; ++f) {
      const double x = uniform(row * (shape.features + 1) + f);
      columns[f].push_back(x);
      signal += (f % 4 == 0 ? 4 * x * (1 - x) - 2.0 / 3 : x - 0.5) / double(1 + f / 2);
    }
    label.push_back(signal + 2 * uniform(row * (shape.features + 1) + shape.features) > 1);
  }
  std::vector<table::ColumnSpec> schema;
  std::vector<table::ColumnValues> values;
  for (size_t f = 0; f < shape.features; ++f) {
    schema.push_back({"x" + std::to_string(f), table::ColumnKind::numeric, "double"});
    values.push_back(table::ColumnValues::of(columns[f]));
  }
  schema.push_back({"y", table::ColumnKind::numeric, "double"});
  values.push_back(table::ColumnValues::of(label));
  train::DataSpec spec;
  spec.data = std::make_shared<table::MemorySource>(schema, values, kRows);
  spec.label = "y";
  spec.objective_is_chosen = true;
  train::Parameters parameters;
  parameters.n_estimators = shape.trees;
  parameters.max_leaves = shape.leaves;
  parameters.min_rows = 1;
  auto prepared = train::prepare(spec, parameters, nullptr, {});
  CHECK(prepared.ok());
  prepared_ = std::move(prepared).value();
  setup_.header = prepared_.header;
  const train::Dataset& all = prepared_.data.train;
  setup_.weight_facts =
      train::WeightFacts::of(setup_.header.parameters, all.classes, all.weights, all.row_count());
}

std::vector<cluster::ShardRows> ScaleRows::shards() const {
  std::vector<cluster::ShardRows> shards;
  for (uint32_t id = 0; id < shards_; ++id) {
    shards.push_back({id, bound(id + 1) - bound(id), bound(id + 1) - bound(id)});
  }
  return shards;
}

std::unique_ptr<train::RowStore> ScaleRows::load(uint32_t shard) const {
  return rows(bound(shard), bound(shard + 1) - bound(shard));
}

std::unique_ptr<train::RowStore> ScaleRows::repeated(size_t count) const { return rows(0, count); }

std::unique_ptr<train::RowStore> ScaleRows::rows(size_t first, size_t count) const {
  const train::Dataset& all = prepared_.data.train;
  const auto& features = setup_.header.features;
  train::TrainingData data;
  data.train.name = all.name;
  data.train.segments = {{first, count}};
  data.train.bins = bins::BinMatrix(count, features);
  for (size_t f = 0; f < features.size(); ++f) {
    uint8_t* column = data.train.bins.column<uint8_t>(f);
    for (size_t i = 0; i < count; ++i) {
      column[i] = static_cast<uint8_t>(all.bins.bin((first + i) % kRows, f));
    }
  }
  data.train.bins.build_rows();
  for (size_t i = 0; i < count; ++i) data.train.classes.push_back(all.classes[(first + i) % kRows]);
  return std::make_unique<train::RowStore>(setup_.header, setup_.weight_facts, std::move(data));
}

}  // namespace evergrove::sim
