// EVERGROVE_SIMD: what it chooses and what it refuses.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/simd.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace evergrove::exact {
namespace {

class Simd : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* value = std::getenv("EVERGROVE_SIMD")) before_ = value;
  }
  void TearDown() override {
    if (before_)
      ask(before_->c_str());
    else
      unsetenv("EVERGROVE_SIMD");
    EXPECT_TRUE(select_simd().ok());
  }
  static void ask(const char* name) { setenv("EVERGROVE_SIMD", name, 1); }

 private:
  std::optional<std::string> before_;
};

TEST_F(Simd, ScalarIsAlwaysThere) {
  ask("scalar");
  ASSERT_TRUE(select_simd().ok());
  EXPECT_EQ(simd_name(), "scalar");
}

TEST_F(Simd, UnsetOrEmptyGivesTheBestAgain) {
  unsetenv("EVERGROVE_SIMD");
  ASSERT_TRUE(select_simd().ok());
  const std::string best(simd_name());
  ask("scalar");
  ASSERT_TRUE(select_simd().ok());
  ask("");
  ASSERT_TRUE(select_simd().ok());
  EXPECT_EQ(simd_name(), best);
}

TEST_F(Simd, AnAskedForTargetIsUsedOrRefused) {
  for (const char* name : {"avx2", "avx512", "neon"}) {
    ask(name);
    const Status status = select_simd();
    if (status.ok())
      EXPECT_EQ(simd_name(), name);
    else
      EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
  }
}

TEST_F(Simd, AnUnknownNameIsRefusedWithTheKnownOnes) {
  ask("mmx");
  const Status status = select_simd();
  EXPECT_EQ(status.kind(), StatusKind::invalid_input);
  EXPECT_NE(status.message().find("scalar"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("mmx"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace evergrove::exact
