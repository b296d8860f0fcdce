// whole_number(): a check for options that take a whole number, in decimal.
//
// CLI11 itself would take -1 for 2^64 - 1, 010 for 8, and what is too large for the largest there
// is.
//
//   command->add_option("--seed", seed)->check(whole_number(0, UINT64_MAX));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace CLI {
class Validator;
}

namespace evergrove::cli {

inline constexpr uint64_t kThreadsMax = 4096;

CLI::Validator whole_number(uint64_t least, uint64_t most);

}  // namespace evergrove::cli
