// evergrove-sim --scale: what a run would come to with so many workers, as a table or JSON.
//
//   return print_scale({.workers = {1, 2, 4}}, /*is_json=*/true);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "sim/scale.h"

namespace evergrove::sim {

struct ScaleCommand {
  std::vector<size_t> workers;
  ScaleOptions options;  // but for the workers
  ScaleShape shape;
};

int print_scale(const ScaleCommand& command, bool is_json);

}  // namespace evergrove::sim
