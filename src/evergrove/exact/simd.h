// Which SIMD instructions are used: the best the CPU has, or what EVERGROVE_SIMD asks for
// (scalar, avx2, avx512, neon, sve, sve2). The choice never alters a bit of any result.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "evergrove/base/status.h"

namespace evergrove::exact {

// Applies EVERGROVE_SIMD from the environment. Call once, before any kernel and any thread.
// Refuses a name that is not known, or that the CPU does not have.
Status select_simd();

// What is in use: "scalar", "sse4", "avx2", "avx512", "neon", ...
std::string_view simd_name();

}  // namespace evergrove::exact
