// Whole runs: stopped, killed, cut off and gone on with, they end with the same model; where they
// may not go on, they say why.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/training_run.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/run_log.h"
#include "evergrove/runtime/testing_rows.h"

namespace evergrove::runtime {
namespace {

constexpr int64_t kIterations = 12;

class TrainingRun : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    ASSERT_TRUE(make_folder(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  TrainingRequest logged(int64_t iterations = kIterations) const {
    TrainingRequest request = testing_request(iterations);
    request.log_folder = folder_ + "/run";
    request.resume = true;
    return request;
  }
  static std::string digest(const TrainingRequest& request) {
    const auto report = train(request);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? report->digest : "";
  }
  void stop_after(uint64_t iterations) const {
    TrainingRequest request = logged();
    request.progress = [&](const TrainingProgress& progress) {
      return progress.phase != "training" || progress.iteration < iterations;
    };
    const Status status = train(request).status();
    EXPECT_EQ(status.kind(), StatusKind::interrupted) << status.message();
    EXPECT_NE(status.message().find("--resume"), std::string::npos);
  }
  std::string log_bytes() const { return read_file(folder_ + "/run/run.log").value(); }
  void set_log_bytes(std::string_view bytes) const {
    std::ofstream(folder_ + "/run/run.log", std::ios::binary) << bytes;
  }

  std::string folder_ = testing::TempDir() + "training_run_" + std::to_string(::getpid());
  std::string undisturbed_ = digest(testing_request(kIterations));
};

TEST_F(TrainingRun, StoppedAnywhereAndResumedIsTheUndisturbedRun) {
  for (uint64_t stop = 0; stop < kIterations; ++stop) {
    std::filesystem::remove_all(folder_ + "/run");
    stop_after(stop);
    const auto report = train(logged());
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_EQ(report->resumed_iterations, stop);
    EXPECT_EQ(report->digest, undisturbed_) << "stopped after " << stop;
  }
}

TEST_F(TrainingRun, CutOffAtAnyByteIsTheUndisturbedRun) {
  EXPECT_EQ(digest(logged()), undisturbed_);
  const std::string whole = log_bytes();
  for (size_t size = 0; size < whole.size(); size += size < 40 ? 1 : whole.size() / 23) {
    set_log_bytes(std::string_view(whole).substr(0, size));
    EXPECT_EQ(digest(logged()), undisturbed_) << "cut after " << size << " bytes";
    // The log that was gone on with holds the whole run again.
    EXPECT_EQ(read_run_log(folder_ + "/run")->iterations.size(), size_t{kIterations});
  }
}

TEST_F(TrainingRun, ASpoiltRecordInTheMiddleIsRefused) {
  stop_after(3);
  EXPECT_EQ(digest(logged()), undisturbed_);
  std::string bytes = log_bytes();
  bytes[bytes.size() / 3] ^= 1;
  set_log_bytes(bytes);
  EXPECT_EQ(train(logged()).status().kind(), StatusKind::corrupt);
  EXPECT_EQ(log_bytes(), bytes) << "what is damaged must be left as it is";
}

TEST_F(TrainingRun, AFinishedRunIsReplayedAndALongerOneGoesOn) {
  EXPECT_EQ(digest(logged()), undisturbed_);
  const auto again = train(logged());
  EXPECT_EQ(again->digest, undisturbed_);
  EXPECT_EQ(again->resumed_iterations, uint64_t{kIterations});
  EXPECT_EQ(digest(logged(20)), digest(testing_request(20)));
  EXPECT_EQ(digest(logged(5)), digest(testing_request(5))) << "a shorter run is its beginning";
}

TEST_F(TrainingRun, WithoutResumeALogIsNotTouched) {
  stop_after(4);
  const std::string before = log_bytes();
  TrainingRequest request = logged();
  request.resume = false;
  EXPECT_EQ(train(request).status().kind(), StatusKind::invalid_input);
  EXPECT_EQ(log_bytes(), before);
}

TEST_F(TrainingRun, OtherDataParametersOrColumnsAreRefusedByName) {
  stop_after(4);
  const std::string before = log_bytes();
  const auto refused = [&](const std::string& word,
                           const std::function<void(TrainingRequest&)>& alter) {
    TrainingRequest request = logged();
    alter(request);
    const Status status = train(request).status();
    EXPECT_EQ(status.kind(), StatusKind::invalid_input) << word;
    EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
    EXPECT_EQ(log_bytes(), before);
  };
  refused("rows.parquet", [](auto& r) { r.data.data = testing_rows(1'500, false, "2"); });
  refused("rows.parquet", [](auto& r) { r.data.data = testing_rows(1'400); });
  refused("learning_rate", [](auto& r) { r.parameters.learning_rate = 0.3; });
  refused("seed", [](auto& r) { r.parameters.seed = 99; });
  refused("columns", [](auto& r) { r.data.exclude = {"b"}; });
  refused("label", [](auto& r) { r.data.label = "a"; });
  refused("validation fraction", [](auto& r) { r.data.valid_fraction = 0.5; });
  refused("validation sets", [](auto& r) { r.data.valid.push_back({"v", testing_rows(100)}); });
}

TEST_F(TrainingRun, AContinuedModelIsThatOfALongerRun) {
  const std::string path = folder_ + "/model";
  TrainingRequest first = testing_request(5);
  first.model_path = path;
  ASSERT_TRUE(train(first).ok());
  TrainingRequest second = logged();
  second.continue_from = read_model(path).value();
  const auto report = train(second);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->digest, undisturbed_);
  EXPECT_EQ(report->resumed_iterations, 5u);
  // Its log has the first iterations too, so it needs the model no more.
  EXPECT_EQ(digest(logged()), undisturbed_);
  second.log_folder.clear();
  second.parameters.max_leaves = 8;
  EXPECT_NE(train(second).status().message().find("max_leaves"), std::string::npos);
}

TEST_F(TrainingRun, AContinuedModelIsEvaluatedOnTheSetsOfNow) {
  TrainingRequest first = testing_request(5);
  first.data.valid_fraction = 0;
  const auto short_run = train(first);
  ASSERT_TRUE(short_run.ok());
  TrainingRequest second = testing_request(30);
  second.data.valid_fraction = 0;
  second.data.valid.push_back({"valid", testing_rows(900)});
  second.parameters.early_stopping_rounds = 2;
  const auto from_start = train(second);
  second.continue_from = short_run->model;
  const auto continued = train(second);
  ASSERT_TRUE(continued.ok()) << continued.status().message();
  EXPECT_EQ(continued->digest, from_start->digest);
}

TEST_F(TrainingRun, SaysBeforeTrainingThatTheModelCannotBeWritten) {
  TrainingRequest request = testing_request(kIterations);
  request.model_path = folder_ + "/none/model";
  bool began = false;
  request.progress = [&](const TrainingProgress&) { return began = true; };
  EXPECT_EQ(train(request).status().kind(), StatusKind::not_found);
  EXPECT_FALSE(began);
}

TEST_F(TrainingRun, WritesTheModelItReports) {
  TrainingRequest request = testing_request(kIterations, true);
  request.model_path = folder_ + "/model";
  const auto report = train(request);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(model::digest(read_model(request.model_path).value()), report->digest);
  EXPECT_EQ(report->model.trees.size(), size_t{3 * kIterations});
  EXPECT_GT(report->peak_rss_bytes, 0u);
  EXPECT_EQ(report->feature_count, 3u);
}

TEST_F(TrainingRun, ALogThatNeverBeganLeavesNothingBehind) {
  ASSERT_TRUE(RunLog::open(folder_ + "/new/run").ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new"));
  ASSERT_TRUE(make_folder(folder_ + "/mine").ok());
  ASSERT_TRUE(RunLog::open(folder_ + "/mine").ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/mine"));
}

TEST_F(TrainingRun, ChecksWhatDependsOnTheObjectiveOnceTheLabelHasChosenIt) {
  TrainingRequest request = testing_request(3);
  request.data.label = "a";  // numbers: a regression
  request.parameters.base_score = 5;
  request.parameters.metrics = {"r2"};
  const auto report = train(request);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->model.objective, model::ObjectiveKind::regression);
  request.parameters.scale_pos_weight = 2;
  EXPECT_NE(train(request).status().message().find("scale_pos_weight"), std::string::npos);
  request.parameters.scale_pos_weight = 1;
  request.data.label = "y";
  EXPECT_NE(train(request).status().message().find("base_score"), std::string::npos);
}

TEST_F(TrainingRun, OneProcessHasALogAtATime) {
  const auto log = RunLog::open(folder_ + "/run");
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(train(logged()).status().kind(), StatusKind::invalid_input);
}

}  // namespace
}  // namespace evergrove::runtime
