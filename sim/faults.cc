// SPDX-License-Identifier: Apache-2.0
#include "sim/faults.h"

#include "evergrove/base/hash.h"

namespace evergrove::sim {

Faults Faults::of(uint64_t seed) {
  const RandomKey key(seed, "faults");
  uint64_t counter = 0;
  // Each is there in three runs of four, and now and then much of it.
  const auto some = [&](uint64_t usual) {
    const uint64_t kind = key.at(counter++) % 8;
    return kind < 2 ? 0 : kind < 7 ? usual : 4 * usual;
  };
  Faults faults;
  faults.workers = 1 + key.at(counter++) % 4;
  faults.lose = some(10);
  faults.twice = some(30);
  faults.late = some(15);
  faults.kill = some(15);
  faults.join = some(40);
  faults.drain = some(15);
  faults.stop = some(8);
  faults.cut = some(6);
  faults.replace = some(5);
  faults.stop_coordinator = some(3);
  faults.slow_log = some(30);
  faults.slow_load = some(30);
  faults.little_memory = some(250);
  return faults;
}

std::string Faults::text() const {
  std::string text = std::to_string(workers) + " workers";
  const auto add = [&](const char* what, uint64_t in_thousand) {
    if (in_thousand > 0) text += ", " + std::string(what) + " " + std::to_string(in_thousand);
  };
  add("lose", lose);
  add("twice", twice);
  add("late", late);
  add("kill", kill);
  add("join", join);
  add("drain", drain);
  add("stop", stop);
  add("cut", cut);
  add("replace", replace);
  add("stop coordinator", stop_coordinator);
  add("slow log", slow_log);
  add("slow load", slow_load);
  add("little memory", little_memory);
  return text;
}

}  // namespace evergrove::sim
