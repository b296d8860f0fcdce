// The least limit on the way up counts, of either version of control groups.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/machine_memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace evergrove::runtime {
namespace {

namespace fs = std::filesystem;

class MachineMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "machine-memory-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  std::string root_;
};

TEST_F(MachineMemoryTest, IsTheMachinesWithoutControlGroups) {
  const uint64_t all = machine_memory_bytes(root_);
  EXPECT_GT(all, uint64_t{64} << 20);
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(machine_memory_bytes(root_), all);
  write("/proc/self/cgroup", "nonsense\n3\n:\n0:\n");
  EXPECT_EQ(machine_memory_bytes(root_), all);
}

TEST_F(MachineMemoryTest, TheLeastLimitOfVersionTwoCounts) {
  write("/proc/self/cgroup", "0::/jobs/7/step\n");
  write("/sys/fs/cgroup/jobs/7/step/memory.max", "max\n");
  write("/sys/fs/cgroup/jobs/7/memory.max", "50000000\n");
  write("/sys/fs/cgroup/jobs/memory.max", "60000000\n");
  EXPECT_EQ(machine_memory_bytes(root_), 50'000'000u);
}

// The path is the one outside of the container, of which only the top is to be seen.
TEST_F(MachineMemoryTest, AContainersLimitIsAtTheTop) {
  write("/proc/self/cgroup", "0::/kubepods/pod1/abc\n");
  write("/sys/fs/cgroup/memory.max", "40000000\n");
  EXPECT_EQ(machine_memory_bytes(root_), 40'000'000u);
}

TEST_F(MachineMemoryTest, KnowsVersionOne) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/a\n9:memory:/docker/x\n");
  write("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "30000000\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(machine_memory_bytes(root_), 30'000'000u);
}

}  // namespace
}  // namespace evergrove::runtime
