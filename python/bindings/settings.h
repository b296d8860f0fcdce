// Parameters from the texts that Python gives.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/parameters.h"

namespace evergrove::bindings {

using TextPairs = std::vector<std::pair<std::string, std::string>>;

// Reads and checks them. Notes on names of other libraries go to `notes`, which may be null.
inline Result<train::Parameters> make_parameters(const TextPairs& settings,
                                                 bool& objective_is_chosen,
                                                 std::vector<std::string>* notes) {
  train::Parameters parameters;
  for (const auto& [name, value] : settings) {
    EVERGROVE_RETURN_IF_ERROR(train::set_parameter(parameters, name, value, notes));
    objective_is_chosen |= train::parameter_name(name) == "objective";
  }
  EVERGROVE_RETURN_IF_ERROR(train::validate(parameters, objective_is_chosen));
  return parameters;
}

}  // namespace evergrove::bindings
