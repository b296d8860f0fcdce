// To be included before Highway, by kernels that keep vectors in arrays or structs, which those of
// SVE cannot be in: a machine that has SVE has NEON, too, and uses that.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
