// Epochs: each is taken once, by one coordinator, whoever wants it at the same time.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/epoch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "evergrove/runtime/testing_log_store.h"

namespace evergrove::runtime {
namespace {

class Epoch : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_ = testing::TempDir() + "epoch_" + std::to_string(::getpid());
};

// Takes epochs from several threads, and checks that they are 1, 2, 3 ... without a double.
void check_takers(const std::function<Result<uint64_t>(uint64_t taker)>& take) {
  constexpr uint64_t kTakers = 8;
  constexpr uint64_t kEach = 10;
  std::vector<std::vector<uint64_t>> taken(kTakers);
  std::vector<std::thread> threads;
  for (uint64_t taker = 0; taker < kTakers; ++taker) {
    threads.emplace_back([&, taker] {
      for (uint64_t i = 0; i < kEach; ++i) {
        const Result<uint64_t> epoch = take(taker);
        ASSERT_TRUE(epoch.ok()) << epoch.status().message();
        if (!taken[taker].empty()) {
          EXPECT_LT(taken[taker].back(), *epoch);
        }
        taken[taker].push_back(*epoch);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<uint64_t> all;
  for (const auto& one : taken) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), kTakers * kEach);
  for (uint64_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i + 1);
}

TEST_F(Epoch, InAFolderEachIsTakenOnce) {
  EXPECT_EQ(current_epoch(folder_).value(), 0u);
  check_takers([&](uint64_t taker) { return take_epoch(folder_, std::to_string(taker)); });
  EXPECT_EQ(current_epoch(folder_).value(), 80u);
}

TEST_F(Epoch, OnAnObjectStoreEachIsTakenOnceAlsoWhenAnswersAreLost) {
  const auto objects = std::make_shared<TestingObjects>();
  std::atomic<uint64_t> seed = 0;
  check_takers([&](uint64_t taker) {
    TestingLogStore store(objects, {.seed = ++seed,
                                    .fail_percent = 10,
                                    .lose_answer_percent = 20,
                                    .delay_max = std::chrono::microseconds(200)});
    return take_epoch(store, std::to_string(taker));
  });
  TestingLogStore store(objects);
  EXPECT_EQ(current_epoch(store).value(), 80u);
}

TEST_F(Epoch, TellsWhoHasOvertaken) {
  ASSERT_EQ(take_epoch(folder_, "one").value(), 1u);
  EXPECT_TRUE(check_not_overtaken(folder_, 1).ok());
  ASSERT_EQ(take_epoch(folder_, "host:1 two").value(), 2u);
  const Status status = check_not_overtaken(folder_, 1);
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("by: host:1 two)"), std::string::npos) << status.message();
  EXPECT_TRUE(check_not_overtaken(folder_, 2).ok());
}

TEST_F(Epoch, OneThatIsTakenButEmptyStaysTaken) {
  ASSERT_EQ(take_epoch(folder_, "one").value(), 1u);
  // As if the power had failed after the name was made.
  std::ofstream(folder_ + "/epochs/" + numbered_name(2)).close();
  EXPECT_EQ(take_epoch(folder_, "three").value(), 3u);
  EXPECT_EQ(check_not_overtaken(folder_, 1).kind(), StatusKind::storage);
}

TEST_F(Epoch, OtherFilesAreNotTakenForEpochs) {
  ASSERT_EQ(take_epoch(folder_, "one").value(), 1u);
  for (const char* name : {"7", "0000000000000000007", "00000000000000000007.tmp",
                           "99999999999999999999", "0000000000000000000x"}) {
    std::ofstream(folder_ + "/epochs/" + name);
  }
  EXPECT_EQ(take_epoch(folder_, "two").value(), 2u);
}

TEST_F(Epoch, APlaceThatCannotBeWrittenIsRefused) {
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ + "/epochs") << "a file";
  EXPECT_EQ(take_epoch(folder_, "one").status().kind(), StatusKind::invalid_input);
  EXPECT_EQ(take_epoch("ftp://host/run", "one").status().kind(), StatusKind::unsupported);
}

}  // namespace
}  // namespace evergrove::runtime
