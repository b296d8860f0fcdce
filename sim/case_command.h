// evergrove-sim --case: runs a scenario file for some seeds, or tells the story of one.
//
//   return run_case("tests/cases/quiet.toml", {.first = 0, .last = 9});
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace evergrove::sim {

struct CaseSeeds {
  uint64_t first = 0, last = 0;
};

// Returns the exit code: 0, 1 if there was a violation, 2 if the file is wrong.
int run_case(const std::string& path, const CaseSeeds& seeds, bool tells_story);

}  // namespace evergrove::sim
