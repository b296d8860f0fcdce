// CHECK: what can only fail through our own bug. Always on; prints the condition and ends the
// process with 70, for a wrong model must never be published. DCHECK is for hot loops and is
// there in debug builds only. One condition per check.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace evergrove {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace evergrove

#define CHECK(condition) \
  ((condition) ? (void)0 : ::evergrove::check_failed(#condition, __FILE__, __LINE__))
#ifdef NDEBUG
#define DCHECK(condition) ((void)sizeof(condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif
