// Metrics as Python has them: {"valid": {"auc": 0.9, ...}, ...}, in their order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "evergrove/model/model.h"

namespace evergrove::bindings {

inline nanobind::dict metrics_dict(const std::vector<model::MetricValue>& metrics) {
  nanobind::dict sets;
  for (const model::MetricValue& metric : metrics) {
    if (!sets.contains(metric.set.c_str())) sets[metric.set.c_str()] = nanobind::dict();
    nanobind::cast<nanobind::dict>(sets[metric.set.c_str()])[metric.name.c_str()] = metric.value;
  }
  return sets;
}

}  // namespace evergrove::bindings
