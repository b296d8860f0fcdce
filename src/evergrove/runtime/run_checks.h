// What is to be found out before a run trains, on one machine or on several, and not after it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/base/status.h"
#include "evergrove/runtime/training_run.h"

namespace evergrove::runtime {

// Refuses a place for the model that cannot be written to or is data.
Status check_model_place(const TrainingRequest& request);

// Refuses data that could not be read to its end. Reads all of it, unless it was read before.
Status check_fingerprints(const train::DataSpec& data);

// Refuses names, categories and classes that a model file could not hold.
Status check_text(const train::RunHeader& header);

}  // namespace evergrove::runtime
