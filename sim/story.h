// Story: messages in words, for people who read what happened in a simulated run.
//
//   story << describe(message);   // epoch 3: part of round 12, block 2, view 4, from w1
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "evergrove/cluster/message.h"

namespace evergrove::sim {

std::string describe(const cluster::Message& message);

}  // namespace evergrove::sim
