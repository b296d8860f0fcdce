// Problem: margins and labels of any objective, for tests of metrics.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/train/metrics.h"

namespace evergrove::train {

// A problem of any objective; margins are in units of 2^-32.
struct Problem {
  model::ObjectiveKind objective = model::ObjectiveKind::binary;
  size_t outputs = 1;
  std::vector<int64_t> margins;
  std::vector<uint16_t> classes;
  std::vector<double> targets;
  std::vector<float> weights;

  MetricInput input() const {
    return {.objective = objective,
            .value_exponent = -32,
            .output_count = outputs,
            .margins = margins,
            .classes = classes,
            .targets = targets,
            .weights = weights};
  }
  double value(const std::string& name) const {
    const std::vector<std::string> names = {name};
    const auto values = evaluate_metrics(names, input());
    EXPECT_TRUE(values.ok()) << values.status().message();
    return values.ok() ? (*values)[0] : 0;
  }
  size_t rows() const { return margins.size() / outputs; }
  long double weight(size_t row) const { return weights.empty() ? 1 : weights[row]; }
  long double margin(size_t i) const {
    return std::ldexp(static_cast<long double>(margins[i]), -32);
  }
};

// Rows with the label leaning with the margin; ties when `distinct` is small.
inline Problem make_problem(model::ObjectiveKind objective, size_t rows, uint64_t seed,
                            bool weighted, uint64_t distinct = 1 << 30) {
  Problem p;
  p.objective = objective;
  p.outputs = objective == model::ObjectiveKind::multiclass ? 5 : 1;
  const RandomKey key(seed, "metric problem");
  for (size_t i = 0; i < rows * p.outputs; ++i) {
    const double share = static_cast<double>(key.at(i) % distinct) / static_cast<double>(distinct);
    p.margins.push_back(static_cast<int64_t>((share - 0.6) * 0x1p35));
  }
  const RandomKey label_key(seed, "metric labels");
  for (size_t row = 0; row < rows; ++row) {
    const uint64_t hash = label_key.at(row);
    if (objective == model::ObjectiveKind::regression) {
      p.targets.push_back(exact::exp(static_cast<double>(hash % 1000) / 100));
    } else if (objective == model::ObjectiveKind::binary) {
      p.classes.push_back(static_cast<double>(hash % 1000) / 1000 <
                          1 / (1 + exact::exp(-static_cast<double>(p.margins[row]) * 0x1p-32)));
    } else {
      p.classes.push_back(static_cast<uint16_t>(hash % 5));
    }
    if (weighted) p.weights.push_back(static_cast<float>((hash >> 20) % 100) / 16);
  }
  return p;
}

}  // namespace evergrove::train
