// Highway gives every target one bit, the better the lower, so "at most AVX2" is a mask.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/simd.h"

#include <hwy/highway.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace evergrove::exact {
namespace {

// True once "scalar" was asked for: on some machines the baseline is SIMD under another name.
bool scalar_was_asked_for = false;

struct NamedTarget {
  std::string_view name;
  int64_t target;
};
constexpr NamedTarget kNamed[] = {
    {"scalar", HWY_STATIC_TARGET},
#if HWY_ARCH_X86
    {"ssse3", HWY_SSSE3},
    {"sse4", HWY_SSE4},
    {"avx2", HWY_AVX2},
    {"avx512", HWY_AVX3},
#endif
#if HWY_ARCH_ARM
    {"neon", HWY_NEON},
#endif
#if HWY_ARCH_ARM_A64
    {"sve", HWY_SVE},
    {"sve2", HWY_SVE2},
    {"sve_256", HWY_SVE_256},
    {"sve2_128", HWY_SVE2_128},
#endif
};

constexpr bool one_target_only = (HWY_TARGETS & (HWY_TARGETS - 1)) == 0;

// The targets that were compiled and that the CPU has, less those that are disabled.
int64_t usable_targets() {
  if constexpr (one_target_only) return HWY_TARGETS;
  return hwy::SupportedTargets() & HWY_TARGETS;
}

void disable_targets(int64_t targets) {
  if constexpr (!one_target_only) hwy::DisableTargets(targets);
}

std::string known_names() {
  std::string names;
  for (const NamedTarget& named : kNamed) {
    if (!names.empty()) names += ", ";
    names += named.name;
  }
  return names;
}

}  // namespace

Status select_simd() {
  disable_targets(0);
  scalar_was_asked_for = false;
  const char* environment = std::getenv("EVERGROVE_SIMD");
  const std::string_view asked = environment == nullptr ? "" : environment;
  if (asked.empty()) return Status();
  for (const NamedTarget& named : kNamed) {
    if (named.name != asked) continue;
    if (asked == "scalar") {
      scalar_was_asked_for = true;
      disable_targets(~named.target);
      return Status();
    }
    if ((usable_targets() & named.target) == 0) {
      return unsupported(
          "EVERGROVE_SIMD asks for instructions that this CPU does not have; unset it",
          {{"EVERGROVE_SIMD", std::string(asked)}});
    }
    disable_targets(named.target - 1);
    return Status();
  }
  return invalid_input("EVERGROVE_SIMD is not a name known on this machine; use one of " +
                           known_names() + ", or unset it",
                       {{"EVERGROVE_SIMD", std::string(asked)}});
}

std::string_view simd_name() {
  if (scalar_was_asked_for) return "scalar";
  const int64_t targets = usable_targets();
  const int64_t best = targets & (~targets + 1);
  for (const NamedTarget& named : kNamed) {
    if (named.target == best && named.name != "scalar") return named.name;
  }
  return "scalar";
}

}  // namespace evergrove::exact
