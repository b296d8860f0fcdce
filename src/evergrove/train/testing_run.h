// TestingRun: a small run with all that makes reading hard (missing values, categories, weights of
// 0, rows held out, a second source), and sources that tell what was asked of them, for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/table/memory_source.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/shard.h"

namespace evergrove::train {

// A source that may be told to refuse its manifest, and that knows which blocks were read.
class WatchedSource final : public table::RowSource {
 public:
  explicit WatchedSource(table::MemorySource rows) : rows_(std::move(rows)) {}
  const table::Schema& schema() const override { return rows_.schema(); }
  const table::Manifest& manifest() const override {
    EXPECT_TRUE(may_ask_manifest) << "A manifest may have to read all files";
    return rows_.manifest();
  }
  std::span<const table::BlockExtent> blocks() const override { return rows_.blocks(); }
  Result<table::RowBlock> read(size_t block, std::span<const size_t> columns) const override {
    std::lock_guard lock(mutex_);
    blocks_read_.insert(block);
    return rows_.read(block, columns);
  }
  std::set<size_t> blocks_read() const { return blocks_read_; }

  bool may_ask_manifest = true;

 private:
  table::MemorySource rows_;
  mutable std::mutex mutex_;
  mutable std::set<size_t> blocks_read_;
};

struct TestingShape {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  size_t row_count = 1200;
  size_t block_rows = 50;
  bool weighted = true;
  double valid_fraction = 0.2;
  bool has_valid_source = true;
  uint64_t seed = 1;
  // Where a label and a weight are spoilt, if anywhere.
  size_t bad_label_row = ~size_t{0};
  size_t bad_weight_row = ~size_t{0};
};

// Columns a, b (one value in ten missing), c (many categories, some missing), w and the label y.
inline std::shared_ptr<WatchedSource> testing_source(const TestingShape& shape, size_t row_count,
                                                     std::string_view purpose) {
  using table::ColumnKind;
  using table::ColumnValues;
  constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
  const RandomKey key(shape.seed, purpose);
  std::vector<double> a, b, w, y;
  std::vector<int32_t> c, species;
  for (size_t row = 0; row < row_count; ++row) {
    const auto dice = [&](uint64_t i) {
      return static_cast<double>(key.at(row * 8 + i) >> 11) * 0x1p-53;
    };
    a.push_back(std::floor(dice(0) * 400) / 16);
    b.push_back(dice(1) < 0.1 ? kMissing : dice(2) * 10);
    c.push_back(dice(3) < 0.05 ? -1 : static_cast<int32_t>(dice(4) * dice(4) * 40));
    const double signal = a[row] / 25 + (c[row] % 3 == 0 ? 0.5 : 0) + dice(5) * 0.6;
    w.push_back(row == shape.bad_weight_row ? -1 : dice(6) < 0.1 ? 0 : 0.5 + dice(6));
    species.push_back(row == shape.bad_label_row ? -1 : signal > 1.1 ? 2 : signal > 0.7 ? 1 : 0);
    const bool regression = shape.objective == model::ObjectiveKind::regression;
    y.push_back(row == shape.bad_label_row ? kMissing : regression ? 100 * signal : signal > 0.9);
  }
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("category " + std::to_string(i * 7 % 40));
  const bool text = shape.objective == model::ObjectiveKind::multiclass;
  return std::make_shared<WatchedSource>(table::MemorySource(
      {{"a", ColumnKind::numeric, "double"},
       {"y", text ? ColumnKind::categorical : ColumnKind::numeric, text ? "string" : "double"},
       {"b", ColumnKind::numeric, "double"},
       {"c", ColumnKind::categorical, "string"},
       {"w", ColumnKind::numeric, "double"}},
      {ColumnValues::of(a),
       text ? ColumnValues::of(species, {"setosa", "iris", "versicolor"}) : ColumnValues::of(y),
       ColumnValues::of(b), ColumnValues::of(c, names), ColumnValues::of(w)},
      row_count, shape.block_rows));
}

struct TestingRun {
  DataSpec spec;
  Parameters parameters;
  std::vector<std::shared_ptr<WatchedSource>> sources;  // of each set

  explicit TestingRun(const TestingShape& shape) {
    sources.push_back(testing_source(shape, shape.row_count, "training rows"));
    spec.data = sources[0];
    if (shape.has_valid_source) {
      TestingShape other = shape;
      other.block_rows = shape.block_rows + 13;
      other.bad_label_row = other.bad_weight_row = ~size_t{0};
      sources.push_back(testing_source(other, shape.row_count / 3, "other rows"));
      spec.valid.push_back({"other", sources[1]});
    }
    spec.valid_fraction = shape.valid_fraction;
    spec.label = "y";
    if (shape.weighted) {
      spec.weight = "w";
    } else {
      spec.exclude = {"w"};
    }
    spec.objective_is_chosen = true;
    parameters.objective = shape.objective;
    parameters.seed = shape.seed + 5;
    parameters.max_bins = 63;
    parameters.min_rows = 5;
  }

  PreparedData prepared() const {
    Result<PreparedData> result = prepare(spec, parameters, nullptr, nullptr);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return std::move(*result);
  }
  RunDescription description() const {
    Result<RunDescription> result = describe(spec, parameters, nullptr, nullptr);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return std::move(*result);
  }
  TrainingData read(const RunHeader& header, std::span<const Shard> shards) const {
    Result<TrainingData> result = read_shards(spec, header, shards, nullptr);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return std::move(*result);
  }
};

// Deals shards to that many hands, by chance and in a chance order; some hands may stay empty.
inline std::vector<std::vector<Shard>> deal(std::span<const Shard> shards, size_t hands,
                                            uint64_t seed) {
  const RandomKey key(seed, "deal");
  std::vector<std::vector<Shard>> dealt(hands);
  for (const Shard& shard : shards) {
    std::vector<Shard>& hand = dealt[key.at(2 * shard.id) % hands];
    hand.insert(hand.begin() + static_cast<long>(key.at(2 * shard.id + 1) % (hand.size() + 1)),
                shard);
  }
  return dealt;
}

}  // namespace evergrove::train
