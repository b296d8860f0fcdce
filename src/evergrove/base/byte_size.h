// parse_byte_size(): how many bytes "500M", "4GiB" or "1.5 GB" are.
//
// K, M, G and T are powers of 1000, with or without a B behind them; Ki, Mi, Gi and Ti of 1024.
// Capital or small letters are the same.
//
//   EVERGROVE_ASSIGN_OR_RETURN(uint64_t bytes, parse_byte_size("--memory", "4GiB"));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace evergrove {

// At least one byte. option: for the message.
Result<uint64_t> parse_byte_size(std::string_view option, const std::string& text);

}  // namespace evergrove
