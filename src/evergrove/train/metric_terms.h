// MetricTerms: what each row adds to the sums that metrics are made of, and which metric needs
// which. A row's term is a double that depends on that row alone (within some ulp of the true
// one); its product with the weight, and its square, are added without rounding.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/exact/exact_sum.h"
#include "evergrove/train/metrics.h"

namespace evergrove::train {

// Residual: prediction less label, of values or of the second class's probability.
enum class MetricTerm : uint8_t {
  weight,
  log_loss,
  wrong,  // 1 if another class is predicted
  right,
  residual_size,  // without its sign
  residual_square,
  target,
  target_square,
};

bool is_ranking_metric(std::string_view name);
// The terms that the metrics need, ascending.
std::vector<MetricTerm> terms_of(std::span<const std::string> names);
// The sum of each of the terms over all rows, each row with its weight.
std::vector<exact::ExactSum> sum_terms(std::span<const MetricTerm> terms, const MetricInput& input);

}  // namespace evergrove::train
