// ScaleRows: the rows of a modelled run, many alike, and their shards.
//
// A few ten thousand rows of numeric features with 255 bins, from one seed, stand for the many of
// the run; each shard holds some of them.
//
//   ScaleRows rows({.features = 28, .leaves = 255}, /*shards=*/64);
//   worker.loaded(3, rows.load(3));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "evergrove/cluster/coordinator.h"
#include "evergrove/train/trainer.h"

namespace evergrove::sim {

struct ScaleShape {
  size_t features = 28;
  int64_t leaves = 255;
  int64_t trees = 3;
};

class ScaleRows {
 public:
  static constexpr size_t kRows = 65'536;

  ScaleRows(const ScaleShape& shape, uint32_t shards);

  const cluster::RunSetup& setup() const { return setup_; }
  std::vector<cluster::ShardRows> shards() const;
  std::unique_ptr<train::RowStore> load(uint32_t shard) const;
  // The same rows again and again, until there are so many.
  std::unique_ptr<train::RowStore> repeated(size_t rows) const;

 private:
  std::unique_ptr<train::RowStore> rows(size_t first, size_t count) const;
  size_t bound(size_t shard) const { return shard * kRows / shards_; }

  uint32_t shards_;
  train::PreparedData prepared_;
  cluster::RunSetup setup_;
};

}  // namespace evergrove::sim
