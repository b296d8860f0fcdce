// Runs that are made up for tests: two features, and what two rows come to.
//
//   Coordinator coordinator({.epoch = 5}, setup(), {{0, 10}}, {});
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evergrove/cluster/run_setup.h"
#include "evergrove/train/metrics.h"

namespace evergrove::cluster {

inline RunSetup setup() {
  RunSetup setup;
  setup.header.base_margins = {0};
  for (const char* name : {"a", "b"}) {
    model::Feature feature;
    feature.name = name;
    feature.cuts = {1, 2, 3};
    setup.header.features.push_back(feature);
  }
  return setup;
}

// Of two rows.
inline train::MetricSummary training_summary() {
  static const std::vector<int64_t> margins = {1 << 30, -(1 << 30)};
  static const std::vector<uint16_t> classes = {1, 0};
  const std::vector<std::string> names = {"log_loss"};
  return train::MetricSummary::of(names, {.objective = model::ObjectiveKind::binary,
                                          .value_exponent = -32,
                                          .output_count = 1,
                                          .margins = margins,
                                          .classes = classes,
                                          .targets = {},
                                          .weights = {}});
}

}  // namespace evergrove::cluster
