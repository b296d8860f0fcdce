// Faults: how often what goes wrong in a simulated run.
//
//   const Faults faults = Faults::of(seed);
//   tell("world", faults.text());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace evergrove::sim {

// What may happen: of the network in a thousand messages, of the rest in a thousand looks.
struct Faults {
  size_t workers = 3;  // at the start
  uint64_t lose = 0, twice = 0, late = 0;
  uint64_t kill = 0, join = 0, drain = 0, stop = 0, cut = 0;
  uint64_t replace = 0, stop_coordinator = 0;
  uint64_t slow_log = 0, slow_load = 0;
  uint64_t little_memory = 0;  // of workers: those that cannot hold all shards

  static Faults of(uint64_t seed);  // all of them, some more than others
  std::string text() const;
};

}  // namespace evergrove::sim
