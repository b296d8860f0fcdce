// RunSetup: what every worker of a run is given before anything else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/run_record.h"

namespace evergrove::cluster {

struct RunSetup {
  train::RunHeader header;
  train::WeightFacts weight_facts;
  std::vector<double> weight_max_by_set;  // of each validation set
  double training_weight_max = 0;         // 0: no weights
};

}  // namespace evergrove::cluster
