// For tests: the same with all the instructions that this machine has, one kind after the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <hwy/highway.h>

namespace evergrove::exact {

template <typename Visit>
void with_each_simd(Visit visit) {
  visit();  // what is chosen here, which may be of more kinds than this file is compiled for
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    visit();
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace evergrove::exact
