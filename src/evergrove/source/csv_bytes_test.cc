// The files below CSV: gzip, files that are read and not mapped, and every read failing in turn.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_bytes.h"

#include <arrow/api.h>
#include <arrow/io/api.h>
#include <arrow/util/compression.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "evergrove/source/csv_source.h"
#include "evergrove/source/source_values.h"
#include "evergrove/source/temporary_files.h"

namespace evergrove::source {
namespace {

std::string numbered_text(size_t row_count) {
  std::string text = "n,word\n";
  for (size_t i = 0; i < row_count; ++i) {
    text += std::to_string(i) + ",\"word, " + std::to_string(i % 10) + "\"\n";
  }
  return text;
}

std::vector<double> counted(size_t row_count) {
  std::vector<double> numbers;
  for (size_t i = 0; i < row_count; ++i) numbers.push_back(static_cast<double>(i));
  return numbers;
}

std::string gzipped(std::string_view text) {
  auto codec = arrow::util::Codec::Create(arrow::Compression::GZIP).ValueOrDie();
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  auto stream = arrow::io::CompressedOutputStream::Make(codec.get(), sink).ValueOrDie();
  EXPECT_TRUE(stream->Write(text.data(), static_cast<int64_t>(text.size())).ok());
  EXPECT_TRUE(stream->Close().ok());
  return sink->Finish().ValueOrDie()->ToString();
}

Result<std::shared_ptr<table::RowSource>> open_gzip(std::string bytes) {
  auto buffer = arrow::Buffer::FromString(std::move(bytes));
  return open_csv({{"f.csv.gz", std::make_shared<arrow::io::BufferReader>(buffer), true}}, {});
}

void expect_refusal(const Result<std::shared_ptr<table::RowSource>>& source, StatusKind kind,
                    const char* words) {
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.status().kind(), kind);
  EXPECT_NE(source.status().message().find(words), std::string::npos) << source.status().message();
  EXPECT_NE(source.status().message().find("f.csv.gz"), std::string::npos);
}

TEST(CsvBytes, UnpacksGzip) {
  const std::string packed = gzipped(numbered_text(200000));
  const auto source = open_gzip(packed);
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(numbers_of(**source, "n"), counted(200000));
  EXPECT_EQ(names_of(**source, "word")[13], "word, 3");
  EXPECT_EQ((*source)->manifest().files[0].size_bytes, packed.size());
}

TEST(CsvBytes, TakesGzipFilesOneAfterTheOtherAsOne) {
  const auto source = open_gzip(gzipped("n\n0\n1\n") + gzipped("2\n"));
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(numbers_of(**source, "n"), counted(3));
}

TEST(CsvBytes, RefusesDamagedGzip) {
  const char* const words = "damaged or cut short";
  const std::string packed = gzipped(numbered_text(2000));
  for (size_t size : {size_t{2}, size_t{12}, packed.size() / 2, packed.size() - 1}) {
    expect_refusal(open_gzip(packed.substr(0, size)), StatusKind::corrupt, words);
  }
  for (size_t place = 20; place < packed.size(); place += packed.size() / 7) {
    std::string altered = packed;
    altered[place] = static_cast<char>(altered[place] ^ 0x55);
    expect_refusal(open_gzip(altered), StatusKind::corrupt, words);
  }
  expect_refusal(open_gzip("a,b\n1,2\n"), StatusKind::corrupt, words);
  expect_refusal(open_gzip(gzipped("")), StatusKind::invalid_input, "is empty");
}

// Sets TMPDIR for a test, and back.
class TemporaryFolderSetting {
 public:
  explicit TemporaryFolderSetting(const char* folder) {
    if (const char* old = std::getenv("TMPDIR")) old_ = old;
    setenv("TMPDIR", folder, 1);
  }
  ~TemporaryFolderSetting() {
    if (old_.empty()) {
      unsetenv("TMPDIR");
    } else {
      setenv("TMPDIR", old_.c_str(), 1);
    }
  }

 private:
  std::string old_;
};

TEST(CsvBytes, SaysWhereUnpackingFoundNoFolder) {
  const TemporaryFolderSetting setting("/no/such/folder");
  expect_refusal(open_gzip(gzipped("n\n0\n")), StatusKind::storage, "folder: /no/such/folder");
}

TEST(CsvBytes, SaysWhereUnpackingFoundNoRoomAndLeavesNothing) {
  const TemporaryFiles files;
  const TemporaryFolderSetting setting(files.folder().c_str());
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100000, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto source = open_gzip(gzipped(numbered_text(100000)));
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  expect_refusal(source, StatusKind::storage, "make room there");
  EXPECT_TRUE(std::filesystem::is_empty(files.folder()));
}

TEST(CsvBytes, ReadsFilesThatAreNotMapped) {
  const TemporaryFiles files;
  const std::string path = files.bytes("a.csv", numbered_text(50000));
  auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  const auto source = open_csv({{path, file, false}}, {}, {.piece_bytes = 5000});
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(numbers_of(**source, "n"), counted(50000));
}

TEST(CsvBytes, SaysWhenAFileIsCutShortAfterItWasOpened) {
  const TemporaryFiles files;
  const std::string path = files.bytes("a.csv", numbered_text(50000));
  auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  const auto source = open_csv({{path, file, false}}, {}, {.piece_bytes = 5000});
  ASSERT_TRUE(source.ok()) << source.status().message();
  std::filesystem::resize_file(path, 1000);
  const size_t columns[] = {0};
  const auto block = (*source)->read((*source)->blocks().size() - 1, columns);
  ASSERT_FALSE(block.ok());
  EXPECT_EQ(block.status().kind(), StatusKind::storage);
  EXPECT_NE(block.status().message().find("became shorter"), std::string::npos);
}

// A file whose read number `failing` fails; those before and after are right.
class FailingFile final : public arrow::io::RandomAccessFile {
 public:
  FailingFile(const std::string& text, int failing)
      : file_(arrow::Buffer::FromString(text)), failing_(failing) {}

  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override {
    if (read_count_++ == failing_) return arrow::Status::IOError("the disk is on fire");
    return file_.ReadAt(position, nbytes);
  }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    if (read_count_++ == failing_) return arrow::Status::IOError("the disk is on fire");
    return file_.ReadAt(position, nbytes, out);
  }
  bool has_failed() const { return read_count_ > failing_; }

  arrow::Result<int64_t> GetSize() override { return file_.GetSize(); }
  arrow::Status Close() override { return file_.Close(); }
  bool closed() const override { return file_.closed(); }
  arrow::Result<int64_t> Tell() const override { return file_.Tell(); }
  arrow::Status Seek(int64_t position) override { return file_.Seek(position); }
  arrow::Result<int64_t> Read(int64_t nbytes, void* out) override {
    return file_.Read(nbytes, out);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    return file_.Read(nbytes);
  }

 private:
  arrow::io::BufferReader file_;
  int failing_;
  std::atomic<int> read_count_ = 0;
};

// Opens and reads all; returns the first failure.
Status read_through(std::shared_ptr<arrow::io::RandomAccessFile> file, bool gzip) {
  EVERGROVE_ASSIGN_OR_RETURN(
      const auto source, open_csv({{"f.csv", std::move(file), gzip}}, {}, {.piece_bytes = 2000}));
  const size_t columns[] = {0};
  uint64_t row_count = 0;
  for (size_t b = 0; b < source->blocks().size(); ++b) {
    EVERGROVE_ASSIGN_OR_RETURN(const table::RowBlock block, source->read(b, columns));
    row_count += block.row_count;
  }
  EXPECT_EQ(row_count, 1000u);
  return {};
}

TEST(CsvBytes, PassesOnAFailureOfAnyRead) {
  for (const bool gzip : {false, true}) {
    const std::string text = gzip ? gzipped(numbered_text(1000)) : numbered_text(1000);
    int failing = 0;
    for (;; ++failing) {
      ASSERT_LT(failing, 1000);
      const auto file = std::make_shared<FailingFile>(text, failing);
      const Status status = read_through(file, gzip);
      if (!file->has_failed()) {
        EXPECT_TRUE(status.ok()) << status.message();
        break;
      }
      EXPECT_EQ(status.kind(), StatusKind::storage) << failing << ": " << status.message();
      EXPECT_NE(status.message().find("on fire"), std::string::npos) << status.message();
    }
    EXPECT_GT(failing, gzip ? 0 : 10);
  }
}

}  // namespace
}  // namespace evergrove::source
