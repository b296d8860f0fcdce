// GrowthOptions: what shapes a tree, as the trainer's parameters say it (train/parameters.h has
// names for users, ranges and documentation).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace evergrove::trees {

enum class GrowthOrder : uint8_t { best_first, by_level, symmetric };

struct GrowthOptions {
  GrowthOrder order = GrowthOrder::best_first;
  uint32_t leaves_max = 31;
  uint32_t depth_max = 0;  // 0: no limit
  uint64_t leaf_rows_min = 20;
  double leaf_hessian_min = 1e-3;
  double gain_min = 0;
  double lambda_l1 = 0;
  double lambda_l2 = 1;
  uint32_t onehot_max = 4;
  double category_smooth = 10;
  double category_l2 = 10;
  uint64_t category_rows_min = 20;
  // Of a feature of few categories more: a quarter of what one of them has on average, at most
  // this.
  uint64_t category_rows_wanted = 0;
  uint64_t training_rows = 0;  // for that average
  double columns_by_tree = 1;
  double columns_by_level = 1;
  double columns_by_node = 1;
  double learning_rate = 0.1;
  double step_max = 0;  // of a leaf's value before the learning rate, either way; 0: no limit
  int32_t value_exponent = -32;  // leaf values are in units of 2^value_exponent
  uint64_t seed = 0;

  uint64_t category_rows(size_t category_count) const {
    if (category_count == 0) return category_rows_min;
    return std::max(category_rows_min,
                    std::min(category_rows_wanted, training_rows / (4 * category_count)));
  }
  // Levels of a symmetric tree, which has no other bound.
  uint32_t symmetric_depth() const { return depth_max == 0 ? 6 : depth_max; }
};

}  // namespace evergrove::trees
