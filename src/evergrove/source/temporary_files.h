// TemporaryFiles: a folder for one test, and files in it written by Arrow's own writers.
//
//   TemporaryFiles files;
//   const std::string path = files.parquet("a.parquet", *table, /*group_rows=*/100);
//
// For tests. The folder goes with the object.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>

namespace evergrove::source {

class TemporaryFiles {
 public:
  TemporaryFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "evergrove_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~TemporaryFiles() { std::filesystem::remove_all(folder_); }
  TemporaryFiles(const TemporaryFiles&) = delete;
  TemporaryFiles& operator=(const TemporaryFiles&) = delete;

  const std::string& folder() const { return folder_; }

  // The path of a file in the folder; makes the folders that the name has.
  std::string path(const std::string& name) const {
    const std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::filesystem::create_directories(path.parent_path());
    return path.string();
  }
  std::string bytes(const std::string& name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary).write(content.data(), content.size());
    return path(name);
  }
  std::string parquet(const std::string& name, const arrow::Table& table,
                      int64_t group_rows = 1 << 20) const {
    const auto file = arrow::io::FileOutputStream::Open(path(name)).ValueOrDie();
    const auto properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
    const arrow::Status status =
        parquet::arrow::WriteTable(table, arrow::default_memory_pool(), file, group_rows,
                                   parquet::default_writer_properties(), properties);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(file->Close().ok());
    return path(name);
  }
  enum class IpcForm { file, stream };
  std::string ipc(const std::string& name, const arrow::Table& table, IpcForm form,
                  int64_t batch_rows, arrow::Compression::type codec = {}) const {
    const auto file = arrow::io::FileOutputStream::Open(path(name)).ValueOrDie();
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    if (codec != arrow::Compression::UNCOMPRESSED) {
      options.codec = arrow::util::Codec::Create(codec).ValueOrDie();
    }
    const auto writer =
        form == IpcForm::file
            ? arrow::ipc::MakeFileWriter(file, table.schema(), options).ValueOrDie()
            : arrow::ipc::MakeStreamWriter(file, table.schema(), options).ValueOrDie();
    EXPECT_TRUE(writer->WriteTable(table, batch_rows).ok());
    EXPECT_TRUE(writer->Close().ok());
    EXPECT_TRUE(file->Close().ok());
    return path(name);
  }

 private:
  std::string folder_;
};

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace evergrove::source
