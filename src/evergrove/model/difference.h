// The first place where two models differ, in words: for people who expected the same digest.
//
//   std::string words = first_difference(a, b);   // "" if they have the same digest
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "evergrove/model/model.h"

namespace evergrove::model {

// Looks at what the digest covers, in the order in which training fixes it: objective, features
// and their cuts or categories, units, base margins, then tree by tree, node by node.
std::string first_difference(const Model& a, const Model& b);

}  // namespace evergrove::model
