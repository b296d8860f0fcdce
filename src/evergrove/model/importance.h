// Importance of features: how much a forest leans on each of them.
//
//   std::vector<double> gains = importance(model, ImportanceKind::gain);   // one a feature
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "evergrove/model/model.h"

namespace evergrove::model {

enum class ImportanceKind : uint8_t {
  gain,   // loss reduction, summed over the splits on the feature
  split,  // number of splits
  cover,  // training rows that the splits divided, summed
};
std::string_view importance_name(ImportanceKind kind);
Result<ImportanceKind> importance_from_name(std::string_view name);

// One value a feature, in the order of model.features; 0 for one that is never split on.
std::vector<double> importance(const Model& model, ImportanceKind kind);

}  // namespace evergrove::model
