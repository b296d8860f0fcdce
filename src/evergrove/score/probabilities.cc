// The formulas of training: 1 / (1 + exp(-x)), and exp(x_k - highest) over their sum in order.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/score/scorer.h"

namespace evergrove::score {

void probabilities(const model::Model& model, std::span<const int64_t> margins,
                   std::span<double> out) {
  CHECK(margins.size() == out.size());
  const double unit = std::ldexp(1.0, model.value_exponent);
  if (model.objective != model::ObjectiveKind::multiclass) {
    for (size_t i = 0; i < margins.size(); ++i) out[i] = static_cast<double>(margins[i]) * unit;
    if (model.objective == model::ObjectiveKind::binary) exact::sigmoid(out, out);
    return;
  }
  const size_t outputs = model.output_count();
  CHECK(margins.size() % outputs == 0);
  for (size_t first = 0; first < margins.size(); first += outputs) {
    const auto row = margins.subspan(first, outputs);
    const int64_t highest = *std::max_element(row.begin(), row.end());
    for (size_t k = 0; k < outputs; ++k) {
      out[first + k] = static_cast<double>(row[k] - highest) * unit;
    }
  }
  exact::exp(out, out);
  for (size_t first = 0; first < out.size(); first += outputs) {
    double sum = 0;
    for (size_t k = 0; k < outputs; ++k) sum += out[first + k];
    const double inverse = 1 / sum;
    for (size_t k = 0; k < outputs; ++k) out[first + k] = std::min(1.0, out[first + k] * inverse);
  }
}

}  // namespace evergrove::score
