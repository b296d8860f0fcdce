// SPDX-License-Identifier: Apache-2.0
#include "sim/case_command.h"

#include <fstream>
#include <iostream>
#include <sstream>

#include "sim/simulation.h"

namespace evergrove::sim {

int run_case(const std::string& path, const CaseSeeds& seeds, bool tells_story) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    std::cerr << "evergrove-sim: The case cannot be read [file=" << path << "]\n";
    return 2;
  }
  const Result<Case> scenario = read_case(text.str(), path);
  if (!scenario.ok()) {
    std::cerr << "evergrove-sim: " << scenario.status().message() << "\n";
    return 2;
  }
  uint64_t violations = 0;
  for (uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    const Outcome outcome = Simulation(*scenario, seed, tells_story ? &std::cout : nullptr).run();
    std::cout << "seed " << seed << ": ";
    if (outcome.violation.empty()) {
      std::cout << "digest " << outcome.digest << ", " << outcome.ended.count() << " ms\n";
      continue;
    }
    ++violations;
    std::cout << outcome.violation << "\n    evergrove-sim --case " << path << " --seeds " << seed
              << " --story\n";
  }
  return violations == 0 ? 0 : 1;
}

}  // namespace evergrove::sim
