// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/trees_behind.h"

#include <string>

namespace evergrove::train {

Status TreesBehind::add(const Iteration& iteration, uint64_t index, const RunHeader& header) {
  if (iteration.index != index || iteration.trees.size() != header.base_margins.size()) {
    return corrupt(
        "A logged iteration does not follow the one before it",
        {{"iteration", std::to_string(iteration.index)}, {"expected", std::to_string(index)}});
  }
  for (uint32_t output = 0; output < iteration.trees.size(); ++output) {
    const model::Tree& tree = iteration.trees[output];
    if (tree.output != output) {
      return corrupt("A logged tree belongs to another output",
                     {{"iteration", std::to_string(iteration.index)}});
    }
    EVERGROVE_RETURN_IF_ERROR(binned_tree(tree, header).status());
  }
  iterations_.push_back(iteration.trees);
  return {};
}

}  // namespace evergrove::train
