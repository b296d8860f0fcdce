// What is to be found out before a run trains, on one machine or on several, and not after it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/base/status.h"
#include "evergrove/runtime/training_run.h"

namespace evergrove::runtime {

// Refuses a place for the model that cannot be written to or is data, and data that could not be
// read to its end.
Status check_request(const TrainingRequest& request);

// Refuses names, categories and classes that a model file could not hold.
Status check_text(const train::RunHeader& header);

}  // namespace evergrove::runtime
