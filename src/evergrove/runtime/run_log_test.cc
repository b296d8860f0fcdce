// The log in a folder: taking it over from a writer that lives, is stopped, or was killed.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_log.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "evergrove/base/hash.h"
#include "evergrove/base/testing_sanitizers.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/epoch.h"
#include "evergrove/runtime/run_log_segment.h"
#include "evergrove/runtime/testing_log_store.h"

namespace evergrove::runtime {
namespace {

class RunLogInAFolder : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<RunLog> open(RunLogOptions options = {}) const {
    auto log = RunLog::open(folder_, std::move(options));
    EXPECT_TRUE(log.ok()) << log.status().message();
    return log.ok() ? std::move(log).value() : nullptr;
  }
  std::unique_ptr<RunLog> open_as_coordinator() const {
    RunLogOptions options;
    options.epoch = take_epoch(folder_, "coordinator").value();
    return open(options);
  }
  RunLogContents read() const {
    auto contents = read_run_log(folder_);
    EXPECT_TRUE(contents.ok()) << contents.status().message();
    return contents.ok() ? std::move(contents).value() : RunLogContents();
  }
  static void append(RunLog& log, uint64_t from, uint64_t to, double decided = 0) {
    for (uint64_t i = from; i < to; ++i) {
      ASSERT_TRUE(log.append(testing_iteration(i, decided)).ok());
    }
    ASSERT_TRUE(log.drain().ok());
  }

  std::string folder_ = testing::TempDir() + "run_log_" + std::to_string(::getpid());
};

TEST_F(RunLogInAFolder, ACoordinatorAloneWritesTheSameFileAsATraining) {
  std::string bytes;
  {
    const auto log = open();
    ASSERT_TRUE(log->start(testing_header()).ok());
    for (uint64_t i = 0; i < 3; ++i) append(*log, i, i + 1);
    bytes = read_file(run_log_path(folder_)).value();
  }
  std::filesystem::remove_all(folder_);
  const auto log = open_as_coordinator();
  ASSERT_TRUE(log->start(testing_header()).ok());
  for (uint64_t i = 0; i < 3; ++i) append(*log, i, i + 1);
  EXPECT_EQ(read_file(run_log_path(folder_)).value(), bytes);
}

TEST_F(RunLogInAFolder, WithoutAnEpochALogThatIsBeingWrittenIsRefused) {
  const auto first = open();
  EXPECT_EQ(RunLog::open(folder_).status().kind(), StatusKind::invalid_input);
  ASSERT_TRUE(first->start(testing_header()).ok());
  EXPECT_EQ(RunLog::open(folder_).status().kind(), StatusKind::invalid_input);
}

TEST_F(RunLogInAFolder, ReportsWhatIsDurable) {
  std::vector<uint64_t> reported;
  RunLogOptions options;
  options.on_durable = [&](uint64_t count) { reported.push_back(count); };
  const auto log = open(options);
  ASSERT_TRUE(log->start(testing_header()).ok());
  append(*log, 0, 20);
  EXPECT_EQ(log->durable_count(), 20u);
  ASSERT_FALSE(reported.empty());
  EXPECT_EQ(reported.back(), 20u);
}

TEST_F(RunLogInAFolder, ANewCoordinatorTakesOverFromOneThatHoldsTheLock) {
  const auto old = open_as_coordinator();
  ASSERT_TRUE(old->start(testing_header()).ok());
  append(*old, 0, 5);
  auto now = open_as_coordinator();
  ASSERT_TRUE(now->header());
  EXPECT_EQ(now->take_iterations().size(), 5u);
  // The old one wakes up: what it writes does not count, and it is told.
  ASSERT_TRUE(old->append(testing_iteration(5, 1)).ok());
  const Status status = old->drain();
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("owns the log"), std::string::npos) << status.message();
  EXPECT_EQ(old->durable_count(), 5u);
  EXPECT_EQ(read().iterations.size(), 5u);
  append(*now, 5, 8);
  EXPECT_EQ(read().iterations.size(), 8u);
  EXPECT_EQ(read().iterations[5].metrics[1].value, 0) << "the new coordinator's decision";
  // The next one, and a plain training, go on in the newest file.
  now.reset();
  const auto next = open_as_coordinator();
  EXPECT_EQ(next->take_iterations().size(), 8u);
  EXPECT_EQ(RunLog::open(folder_).status().kind(), StatusKind::invalid_input);
  append(*next, 8, 9);
  EXPECT_EQ(read().iterations.size(), 9u);
}

TEST_F(RunLogInAFolder, ATrainingIsOvertakenByACoordinatorToo) {
  const auto training = open();
  ASSERT_TRUE(training->start(testing_header()).ok());
  append(*training, 0, 2);
  const auto coordinator = open_as_coordinator();
  append(*coordinator, 2, 3);
  ASSERT_TRUE(training->append(testing_iteration(2)).ok());
  EXPECT_EQ(training->drain().kind(), StatusKind::storage);
  EXPECT_EQ(read().iterations.size(), 3u);
}

TEST_F(RunLogInAFolder, TakesOverFromOneThatHadNotBegun) {
  const auto old = open_as_coordinator();
  const auto now = open_as_coordinator();
  EXPECT_FALSE(now->header());
  ASSERT_TRUE(now->start(testing_header()).ok());
  append(*now, 0, 2);
  EXPECT_EQ(old->start(testing_header()).kind(), StatusKind::storage);
  EXPECT_EQ(read().iterations.size(), 2u);
}

TEST_F(RunLogInAFolder, ATakeoverThatWasTornInItsFirstRecordDoesNotCount) {
  {
    const auto log = open();
    ASSERT_TRUE(log->start(testing_header()).ok());
    append(*log, 0, 4);
  }
  ASSERT_EQ(take_epoch(folder_, "torn").value(), 1u);
  std::ofstream(segment_path(folder_, 1)) << "EVERGROVE LOG 1\n\x18";
  EXPECT_EQ(read().iterations.size(), 4u);
  EXPECT_EQ(open_as_coordinator()->take_iterations().size(), 4u);
}

TEST_F(RunLogInAFolder, AFileThatDoesNotGoOnFromTheOneBeforeIsRefused) {
  const auto old = open_as_coordinator();
  ASSERT_TRUE(old->start(testing_header()).ok());
  append(*old, 0, 5);
  open_as_coordinator();
  std::filesystem::resize_file(run_log_path(folder_), 40);
  EXPECT_EQ(read_run_log(folder_).status().kind(), StatusKind::corrupt);
  EXPECT_EQ(read_run_log(segment_path(folder_, 2)).status().kind(), StatusKind::invalid_input);
}

// Writes until it fails; returns in the child as the exit code what it failed with.
int write_until_overtaken(const std::string& folder) {
  auto log = RunLog::open(folder);
  if (!log.ok() || !(*log)->start(testing_header()).ok()) return 100;
  for (uint64_t i = 0;; ++i) {
    if (Status status = (*log)->append(testing_iteration(i)); !status.ok()) {
      return static_cast<int>(status.kind());
    }
    if (Status status = (*log)->drain(); !status.ok()) return static_cast<int>(status.kind());
  }
}

// Starts a process that writes until it is overtaken, and waits until it has written some.
// Returns 0 if it did not come so far; it is then ended.
pid_t start_writer(const std::string& folder) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(write_until_overtaken(folder));
  for (int wait = 0; wait < 30'000; ++wait) {
    const auto contents = read_run_log(folder);
    if (contents.ok() && contents->iterations.size() > 3) return child;
    ::usleep(1000);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return 0;
}

// The thread sanitizer takes no threads in a process that was forked.
constexpr bool kMayFork = EVERGROVE_THREAD_SANITIZER == 0;

TEST_F(RunLogInAFolder, AProcessThatIsStoppedIsOvertakenAndEndsWhenItWakesUp) {
  if (!kMayFork) GTEST_SKIP() << "not under the thread sanitizer";
  const pid_t child = start_writer(folder_);
  ASSERT_NE(child, 0);
  ASSERT_EQ(::kill(child, SIGSTOP), 0);
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(state));
  const auto log = open_as_coordinator();
  ASSERT_TRUE(log->header());
  const uint64_t count = log->take_iterations().size();
  append(*log, count, count + 3);
  ASSERT_EQ(::kill(child, SIGCONT), 0);
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFEXITED(state));
  EXPECT_EQ(WEXITSTATUS(state), static_cast<int>(StatusKind::storage));
  append(*log, count + 3, count + 5);
  EXPECT_EQ(read().iterations.size(), count + 5);
}

TEST_F(RunLogInAFolder, AfterSigkillACoordinatorGoesOnInTheSameFile) {
  if (!kMayFork) GTEST_SKIP() << "not under the thread sanitizer";
  const pid_t child = start_writer(folder_);
  ASSERT_NE(child, 0);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  const auto log = open_as_coordinator();
  const uint64_t count = log->take_iterations().size();
  EXPECT_GT(count, 3u);
  append(*log, count, count + 2);
  EXPECT_EQ(read().iterations.size(), count + 2);
  EXPECT_FALSE(std::filesystem::exists(segment_path(folder_, 1)));
}

// Coordinators that decide differently take over from one another and go on writing, in any order:
// what one of them was told to be durable is the log for ever.
TEST_F(RunLogInAFolder, WhateverTheInterleavingNothingReportedIsLostOrChanged) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::filesystem::remove_all(folder_);
    const RandomKey draws(seed, "interleaving");
    struct Reign {
      std::unique_ptr<RunLog> log;
      std::vector<double> decided;  // by iteration
    };
    std::vector<Reign> reigns;
    std::map<uint64_t, double> durable;
    const auto note = [&](const Reign& reign) {
      for (uint64_t i = 0; i < reign.log->durable_count(); ++i) {
        const auto [place, is_new] = durable.emplace(i, reign.decided[i]);
        EXPECT_EQ(place->second, reign.decided[i]) << "seed " << seed << ", iteration " << i;
      }
    };
    for (uint64_t step = 0; step < 40; ++step) {
      const uint64_t draw = draws.at(step);
      if (reigns.empty() || draw % 6 == 0) {
        Reign reign;
        reign.log = open_as_coordinator();
        ASSERT_NE(reign.log, nullptr);
        if (!reign.log->header()) {
          ASSERT_TRUE(reign.log->start(testing_header()).ok());
        }
        for (const train::Iteration& iteration : reign.log->take_iterations()) {
          reign.decided.push_back(iteration.metrics[1].value);
        }
        reigns.push_back(std::move(reign));
      } else {
        const size_t who = (draw >> 16) % reigns.size();
        Reign& reign = reigns[who];
        if (reign.log == nullptr) continue;
        const uint64_t index = reign.decided.size();
        const double decided = double(who + 1);
        if (reign.log->append(testing_iteration(index, decided)).ok()) {
          reign.decided.push_back(decided);
        }
        if (draw % 6 == 1) {
          reign.log.reset();  // its process ends
        } else if (draw % 6 > 2) {
          const Status status = reign.log->drain();
          EXPECT_EQ(status.ok(), who + 1 == reigns.size()) << status.message();
        }
      }
      for (const Reign& reign : reigns) {
        if (reign.log != nullptr) note(reign);
      }
      const RunLogContents contents = read();
      ASSERT_GE(contents.iterations.size(), durable.size()) << "seed " << seed;
      for (const auto& [index, decided] : durable) {
        EXPECT_EQ(contents.iterations[index].index, index);
        EXPECT_EQ(contents.iterations[index].metrics[1].value, decided) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace evergrove::runtime
