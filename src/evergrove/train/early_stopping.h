// Early stopping: a pure function of the history of one metric, so that a resumed run decides as
// the first one did.
//
//   EarlyStopping stopping = early_stopping(history, /*larger_is_better=*/true, /*rounds=*/50);
//   if (stopping.stop) keep(stopping.best_iteration);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace evergrove::train {

struct EarlyStopping {
  bool stop = false;            // no better value within the last `rounds` iterations
  uint64_t best_iteration = 0;  // 1-based; the first of equally good ones; 0: no history
};

// `history` has one value an iteration. NaN is worse than every number. Rounds of 0 never stop.
inline EarlyStopping early_stopping(std::span<const double> history, bool larger_is_better,
                                    uint64_t rounds) {
  EarlyStopping result;
  double best = 0;
  bool have_number = false;
  for (uint64_t i = 0; i < history.size(); ++i) {
    const double value = history[i];
    const bool is_number = value == value;
    const bool is_better =
        is_number && (!have_number || (larger_is_better ? value > best : value < best));
    if (is_better || i == 0) result.best_iteration = i + 1;
    if (is_better) {
      best = value;
      have_number = true;
    }
    // Decided at the first iteration where it holds: a longer history gives the same answer.
    if (rounds > 0 && i + 1 - result.best_iteration >= rounds) {
      result.stop = true;
      return result;
    }
  }
  return result;
}

}  // namespace evergrove::train
