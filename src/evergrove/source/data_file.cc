// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/data_file.h"

#include <arrow/api.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/io/file.h>
#include <arrow/util/io_util.h>
#include <sys/stat.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

namespace evergrove::source {
namespace {

// An answer of a store takes tens of milliseconds, during which a core has nothing to do.
constexpr size_t kStoreThreads = 16;

Status refuse_changed(const DataFile& file) {
  return storage_error("A file changed while it was being read; run again when it is left alone",
                       {{"file", file.path}});
}

Status check_unchanged(const DataFile& file, int descriptor, int64_t size) {
  if (static_cast<uint64_t>(size) != file.size_bytes) return refuse_changed(file);
  struct stat facts = {};
  if (descriptor < 0 || file.changed_ns == 0 || fstat(descriptor, &facts) != 0) return {};
  const int64_t changed_ns = facts.st_mtim.tv_sec * 1'000'000'000 + facts.st_mtim.tv_nsec;
  return changed_ns == file.changed_ns ? Status() : refuse_changed(file);
}

bool contains_any(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

// Arrow's decoders use IOError for bad bytes too; an error of a store says so in its text.
bool is_of_the_store(const arrow::Status& status) {
  return contains_any(status.message(), {"AWS Error", "google::cloud", "Azure", "curl", "HTTP",
                                         "Connection", "connection", "timed out", "Timeout"});
}

}  // namespace

arrow::Status store_exception(const char* what) {
  return arrow::Status::IOError("HTTP client: ", what);  // is_of_the_store() knows these words
}

std::string brief(std::string_view error) {
  constexpr size_t kBytesMax = 400;
  std::string text(error.substr(0, kBytesMax));
  const bool is_cut = error.size() > kBytesMax;
  while (is_cut && !text.empty() && (text.back() & 0x80) != 0) text.pop_back();  // whole characters
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return is_cut ? text + "..." : text;
}

Status file_status(const arrow::Status& status, const DataFile& file) {
  if (status.ok()) return {};
  const std::string error = brief(status.message());
  if (status.IsOutOfMemory()) {
    return storage_error(
        "There is not enough memory to read a file; write it with smaller row groups",
        {{"file", file.path}, {"error", error}});
  }
  const int number = arrow::internal::ErrnoFromStatus(status);
  if (number == ENOENT || (status.IsIOError() && !file.is_local() &&
                           contains_any(error, {"NoSuchKey", "NoSuchBucket", "RESOURCE_NOT_FOUND",
                                                "does not exist", "Path does not exist"}))) {
    return not_found("There is no such file; check the path", {{"path", file.path}});
  }
  // Arrow says of a failed mmap what happened, but not its number.
  if (number != 0 || contains_any(error, {"Memory mapping file failed"})) {
    return storage_error(
        "A file cannot be read; check its rights and the disk",
        {{"file", file.path}, {"error", number != 0 ? std::strerror(number) : error}});
  }
  if (!file.is_local() && status.IsIOError() && is_of_the_store(status)) {
    return storage_error("An object store did not give a file; check its access and the network",
                         {{"file", file.path}, {"error", error}});
  }
  if (status.IsNotImplemented()) {
    return unsupported(
        "A file uses something that this version of Arrow cannot read; write it with other "
        "settings",
        {{"file", file.path}, {"error", error}});
  }
  return corrupt("A file is damaged; write it anew", {{"file", file.path}, {"error", error}});
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> open_file(const DataFile& file,
                                                               FileAccess access) {
  std::shared_ptr<arrow::io::RandomAccessFile> opened;
  int descriptor = -1;
  if (file.store != nullptr) {
    arrow::fs::FileInfo info(file.place, arrow::fs::FileType::File);
    info.set_size(static_cast<int64_t>(file.size_bytes));  // saves a question to the store
    auto result = without_throwing([&] { return file.store->OpenInputFile(info); });
    if (!result.ok()) return file_status(result.status(), file);
    opened = *std::move(result);
  } else if (access == FileAccess::memory_map && file.size_bytes > 0) {
    auto result = arrow::io::MemoryMappedFile::Open(file.place, arrow::io::FileMode::READ);
    if (!result.ok()) return file_status(result.status(), file);
    descriptor = (*result)->file_descriptor();
    opened = *std::move(result);
  } else {
    auto result = arrow::io::ReadableFile::Open(file.place);
    if (!result.ok()) return file_status(result.status(), file);
    descriptor = (*result)->file_descriptor();
    opened = *std::move(result);
  }
  const auto size = without_throwing([&] { return opened->GetSize(); });
  if (!size.ok()) return file_status(size.status(), file);
  EVERGROVE_RETURN_IF_ERROR(check_unchanged(file, descriptor, *size));
  return opened;
}

Result<std::string> read_first_bytes(const DataFile& file, size_t byte_count) {
  EVERGROVE_ASSIGN_OR_RETURN(const auto opened, open_file(file, FileAccess::read));
  std::string bytes(std::min<uint64_t>(byte_count, file.size_bytes), '\0');
  const auto read_count = without_throwing(
      [&] { return opened->ReadAt(0, static_cast<int64_t>(bytes.size()), bytes.data()); });
  if (!read_count.ok()) return file_status(read_count.status(), file);
  bytes.resize(*read_count);
  return bytes;
}

Status for_each_file(std::span<const DataFile> files,
                     const std::function<Status(size_t index)>& visit) {
  std::vector<Status> statuses(files.size());
  const bool any_remote = std::any_of(files.begin(), files.end(),
                                      [](const DataFile& file) { return !file.is_local(); });
  if (any_remote && files.size() > 1) {
    std::atomic<size_t> next = 0;
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < std::min(kStoreThreads, files.size()); ++t) {
      threads.emplace_back([&] {
        for (size_t i = next++; i < files.size(); i = next++) statuses[i] = visit(i);
      });
    }
    threads.clear();  // joins
  } else {
    tbb::parallel_for(size_t{0}, files.size(), [&](size_t i) { statuses[i] = visit(i); });
  }
  for (const Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace evergrove::source
