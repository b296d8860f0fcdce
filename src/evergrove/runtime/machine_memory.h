// How much memory this process may take: that of the machine, or of its control group (a
// container's or a batch system's limit), whichever is less.
//
//   uint64_t bytes = shard_memory_bytes();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace evergrove::runtime {

// root: where /proc and /sys are, for tests.
uint64_t machine_memory_bytes(const std::string& root = "");

// What this process may write to, by its own limits (ulimit, prlimit) and by that of the machine or
// group: for a limit of address space, what it leaves beside code and files that are mapped.
uint64_t process_memory_bytes();

// Whether it has a limit of its own, as ulimit sets it.
bool has_memory_limit();

// What a worker gives to rows if nobody says: 80 % of it. The rest is for histograms, messages, a
// shard that is being read, and the system.
inline uint64_t shard_memory_bytes() { return machine_memory_bytes() / 5 * 4; }

}  // namespace evergrove::runtime
