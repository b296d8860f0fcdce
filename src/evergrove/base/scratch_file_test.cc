// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/scratch_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <thread>
#include <vector>

#include "evergrove/base/testing_file_limit.h"

namespace evergrove {
namespace {

class ScratchFileTest : public ::testing::Test {
 protected:
  ScratchFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "evergrove_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ScratchFileTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(ScratchFileTest, GivesBackWhatWasWrittenAndLeavesNoName) {
  auto file = ScratchFile::create(folder_);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  std::vector<ScratchPlace> places;
  for (const uint64_t count : {1, 0, 5000, 300'000}) {
    places.push_back((*file)->reserve(count * sizeof(uint32_t)));
  }
  const auto values_of = [](const ScratchPlace& place) {
    std::vector<uint32_t> values(place.bytes / sizeof(uint32_t));
    std::iota(values.begin(), values.end(), static_cast<uint32_t>(place.begin));
    return values;
  };
  std::vector<std::thread> threads;
  for (const ScratchPlace& place : places) {
    threads.emplace_back([&] {
      const Status status = (*file)->write(place, values_of(place).data());
      EXPECT_TRUE(status.ok()) << status.message();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const ScratchPlace& place : places) {
    std::vector<uint32_t> values(place.bytes / sizeof(uint32_t));
    const Status status = (*file)->read(place, values.data());
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(values, values_of(place));
  }
}

TEST_F(ScratchFileTest, SaysWhyNoFileCanBeMade) {
  const auto file = ScratchFile::create(folder_ + "/missing");
  ASSERT_EQ(file.status().kind(), StatusKind::invalid_input);
  EXPECT_NE(file.status().message().find(folder_ + "/missing"), std::string::npos);
}

TEST_F(ScratchFileTest, SaysThatTheDiskIsFull) {
  auto file = ScratchFile::create(folder_);
  ASSERT_TRUE(file.ok()) << file.status().message();
  const std::vector<char> bytes(100'000, 'x');
  const ScratchPlace place = (*file)->reserve(bytes.size());
  Status status;
  {
    const FileLimit limit(10'000);
    status = (*file)->write(place, bytes.data());
  }
  ASSERT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("disk is full"), std::string::npos) << status.message();
  std::vector<char> read(bytes.size());
  EXPECT_EQ((*file)->read(place, read.data()).kind(), StatusKind::storage) << "of what is missing";
}

}  // namespace
}  // namespace evergrove
