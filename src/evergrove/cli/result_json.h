// The parts of --json results that several subcommands share, and printing them: exactly one
// object on standard output, with null where a number is not one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "evergrove/model/model.h"

namespace evergrove::cli {

// {"valid": {"auc": 0.9, ...}, ...}
nlohmann::ordered_json metrics_json(const std::vector<model::MetricValue>& metrics);
nlohmann::ordered_json parameters_json(const std::string& parameters);

void print_json(const nlohmann::ordered_json& json);

// "valid  auc 0.9123  log_loss 0.1234", a line a set, each after the given indentation.
std::string metrics_lines(const std::vector<model::MetricValue>& metrics);

}  // namespace evergrove::cli
