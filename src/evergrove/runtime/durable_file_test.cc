// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/durable_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace evergrove::runtime {
namespace {

class DurableFile : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_folder(folder_ + "/deep/er").ok()); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  size_t file_count() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

  std::string folder_ = testing::TempDir() + "durable_file_" + std::to_string(::getpid());
};

TEST_F(DurableFile, IsTheOldOneUntilItIsPublished) {
  const std::string path = folder_ + "/file";
  for (const std::string text : {"first", "second"}) {
    auto file = UnfinishedFile::create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write(text).ok());
    if (text == "second") {
      EXPECT_EQ(read_file(path).value(), "first");
    }
    ASSERT_TRUE(file->publish().ok());
    EXPECT_EQ(read_file(path).value(), text);
  }
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(DurableFile, LeavesNothingWhenItIsNotPublished) {
  {
    auto file = UnfinishedFile::create(folder_ + "/file");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write("half").ok());
    const UnfinishedFile moved = std::move(file).value();
    EXPECT_EQ(file_count(), 1u);
  }
  EXPECT_EQ(file_count(), 0u);
}

TEST_F(DurableFile, RemovesWhatTheKilledLeftAndNothingElse) {
  const std::string path = folder_ + "/file";
  for (const char* left : {"/file.unfinished-1", "/file.unfinished-1-2", "/other.unfinished-1"}) {
    ASSERT_TRUE(AppendFile::open(folder_ + left).ok());
  }
  const auto alive = UnfinishedFile::create(path);
  ASSERT_TRUE(alive.ok());
  EXPECT_EQ(file_count(), 2u) << "that of the living, and another path's";
  auto second = UnfinishedFile::create(path);
  ASSERT_TRUE(second.ok());
  EXPECT_NE(second->unfinished_path(), alive->unfinished_path());
  EXPECT_EQ(file_count(), 3u);
  ASSERT_TRUE(second->write("whole").ok());
  ASSERT_TRUE(second->publish().ok());
  EXPECT_EQ(read_file(path).value(), "whole");
  EXPECT_TRUE(std::filesystem::exists(alive->unfinished_path()));
}

TEST_F(DurableFile, SaysWhereItCannotWrite) {
  const Status missing = UnfinishedFile::create(folder_ + "/no/file").status();
  EXPECT_EQ(missing.kind(), StatusKind::not_found);
  EXPECT_NE(missing.message().find("/no/file"), std::string::npos);
  EXPECT_EQ(UnfinishedFile::create(folder_).status().kind(), StatusKind::invalid_input);
  EXPECT_EQ(UnfinishedFile::create("").status().kind(), StatusKind::invalid_input);
  ASSERT_EQ(::mkfifo((folder_ + "/pipe").c_str(), 0666), 0);
  EXPECT_EQ(UnfinishedFile::create(folder_ + "/pipe").status().kind(), StatusKind::invalid_input);
  ASSERT_TRUE(UnfinishedFile::create(folder_ + "/file")->publish().ok());
  EXPECT_EQ(UnfinishedFile::create(folder_ + "/file/x").status().kind(), StatusKind::invalid_input);
  EXPECT_EQ(make_folder(folder_ + "/file").kind(), StatusKind::invalid_input);
  EXPECT_EQ(read_file(folder_ + "/none").status().kind(), StatusKind::not_found);
  EXPECT_EQ(read_file(folder_).status().kind(), StatusKind::invalid_input);
}

TEST_F(DurableFile, AFullDiskIsStorage) {
  auto file = AppendFile::open("/dev/full");
  if (!file.ok()) GTEST_SKIP() << "no /dev/full here: " << file.status().message();
  const Status status = file->append("x");
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("full"), std::string::npos);
}

TEST_F(DurableFile, AppendsBehindWhatIsThereAndCutsOff) {
  const std::string path = folder_ + "/log";
  for (const std::string text : {"abc", "def"}) {
    auto file = AppendFile::open(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->append(text).ok());
    ASSERT_TRUE(file->sync().ok());
  }
  auto file = AppendFile::open(path);
  EXPECT_EQ(file->read_all().value(), "abcdef");
  ASSERT_TRUE(file->truncate(2).ok());
  ASSERT_TRUE(file->append("Z").ok());
  EXPECT_EQ(file->read_all().value(), "abZ");
}

TEST_F(DurableFile, ThatWasRemovedIsNotWhatTheNextWriterHas) {
  const std::string path = folder_ + "/log";
  auto removed = AppendFile::open(path);
  ASSERT_TRUE(removed.ok());
  EXPECT_TRUE(removed->is_new());
  removed->remove();
  EXPECT_EQ(file_count(), 0u);
  auto next = AppendFile::open(path);
  ASSERT_TRUE(next.ok());
  EXPECT_TRUE(next->is_new());
  ASSERT_TRUE(next->append("abc").ok());
  EXPECT_EQ(read_file(path).value(), "abc");
  EXPECT_EQ(removed->read_all().value(), "");
}

TEST_F(DurableFile, KnowsWhichFoldersAreMissing) {
  EXPECT_EQ(missing_folders(folder_), std::vector<std::string>());
  const std::vector<std::string> both = {folder_ + "/new/est", folder_ + "/new"};
  EXPECT_EQ(missing_folders(folder_ + "/new/est"), both);
  ASSERT_TRUE(make_folder(folder_ + "/new/est").ok());
  EXPECT_EQ(missing_folders(folder_ + "/new/est"), std::vector<std::string>());
}

TEST_F(DurableFile, HasOneWriterAtATime) {
  const auto file = AppendFile::open(folder_ + "/log");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(AppendFile::open(folder_ + "/log").status().kind(), StatusKind::invalid_input);
}

}  // namespace
}  // namespace evergrove::runtime
