// SPDX-License-Identifier: Apache-2.0
#include "sim/faults.h"

#include "evergrove/base/hash.h"

namespace evergrove::sim {
namespace {

struct Kind {
  const char* name;
  uint64_t Faults::*share;
  uint64_t usual;
};
// In the order in which a seed draws them.
constexpr Kind kKinds[] = {
    {"lose", &Faults::lose, 10},
    {"twice", &Faults::twice, 30},
    {"late", &Faults::late, 15},
    {"kill", &Faults::kill, 15},
    {"join", &Faults::join, 40},
    {"drain", &Faults::drain, 15},
    {"stop", &Faults::stop, 8},
    {"cut", &Faults::cut, 6},
    {"replace", &Faults::replace, 5},
    {"stop coordinator", &Faults::stop_coordinator, 3},
    {"slow log", &Faults::slow_log, 30},
    {"slow load", &Faults::slow_load, 30},
    {"little memory", &Faults::little_memory, 250},
};

}  // namespace

Faults Faults::of(uint64_t seed) {
  const RandomKey key(seed, "faults");
  uint64_t counter = 0;
  Faults faults;
  faults.workers = 1 + key.at(counter++) % 4;
  // Each is there in three runs of four, and now and then much of it.
  for (const Kind& kind : kKinds) {
    const uint64_t drawn = key.at(counter++) % 8;
    faults.*kind.share = drawn < 2 ? 0 : drawn < 7 ? kind.usual : 4 * kind.usual;
  }
  return faults;
}

std::string Faults::text() const {
  std::string text = std::to_string(workers) + " workers";
  for (const Kind& kind : kKinds) {
    const uint64_t share = this->*kind.share;
    if (share > 0) text += ", " + std::string(kind.name) + " " + std::to_string(share);
  }
  return text;
}

}  // namespace evergrove::sim
