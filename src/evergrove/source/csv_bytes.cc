// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_bytes.h"

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/result.h>
#include <arrow/util/compression.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace evergrove::source {
namespace {

Status cannot_read(const std::string& path, const arrow::Status& status) {
  return storage_error("A CSV file cannot be read", {{"file", path}, {"error", status.message()}});
}

// A file in the folder for temporary files that vanishes with the object.
class TemporaryFile {
 public:
  TemporaryFile() {
    std::error_code ignored;
    folder_ = std::filesystem::temp_directory_path(ignored).string();
    if (folder_.empty()) folder_ = "/tmp";
    path_ = folder_ + "/evergrove-csv-XXXXXX";
    descriptor_ = mkstemp(path_.data());
  }
  ~TemporaryFile() {
    if (descriptor_ < 0) return;
    close(descriptor_);
    unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  const std::string& path() const { return path_; }
  bool write_all(const uint8_t* data, size_t byte_count) {
    while (byte_count > 0) {
      const ssize_t written = write(descriptor_, data, byte_count);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      data += written;
      byte_count -= static_cast<size_t>(written);
    }
    return true;
  }
  // Says what errno says.
  Status failure(const std::string& packed_path) const {
    return storage_error(
        "A gzip file cannot be unpacked into the folder for temporary files; make room there, or "
        "set TMPDIR to a folder that has room",
        {{"file", packed_path}, {"folder", folder_}, {"error", std::strerror(errno)}});
  }

 private:
  std::string folder_;
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace

Result<uint64_t> file_size(arrow::io::RandomAccessFile& file, const std::string& path) {
  const arrow::Result<int64_t> size = file.GetSize();
  if (!size.ok()) return cannot_read(path, size.status());
  return static_cast<uint64_t>(*size);
}

Result<std::shared_ptr<arrow::Buffer>> read_bytes(arrow::io::RandomAccessFile& file,
                                                  const std::string& path, uint64_t offset,
                                                  uint64_t byte_count) {
  auto buffer = file.ReadAt(static_cast<int64_t>(offset), static_cast<int64_t>(byte_count));
  if (!buffer.ok()) return cannot_read(path, buffer.status());
  if (static_cast<uint64_t>((*buffer)->size()) != byte_count) {
    return storage_error("A CSV file became shorter while it was read; keep it as it is",
                         {{"file", path}});
  }
  return *std::move(buffer);
}

std::string_view text_of(const arrow::Buffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(buffer.size())};
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> unpack_gzip(
    std::shared_ptr<arrow::io::RandomAccessFile> file, const std::string& path) {
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t packed_bytes, file_size(*file, path));
  auto packed = arrow::io::RandomAccessFile::GetStream(file, 0, static_cast<int64_t>(packed_bytes));
  if (!packed.ok()) return cannot_read(path, packed.status());
  auto codec = arrow::util::Codec::Create(arrow::Compression::GZIP);
  if (!codec.ok()) return unsupported("This Arrow cannot unpack gzip files", {{"file", path}});
  auto stream = arrow::io::CompressedInputStream::Make(codec->get(), *packed);
  if (!stream.ok()) return cannot_read(path, stream.status());

  TemporaryFile unpacked;
  if (!unpacked.is_open()) return unpacked.failure(path);
  std::vector<uint8_t> chunk(size_t{1} << 20);
  uint64_t unpacked_bytes = 0;
  while (true) {
    const auto count = (*stream)->Read(static_cast<int64_t>(chunk.size()), chunk.data());
    if (!count.ok()) {
      return corrupt("A gzip file is damaged or cut short; get it again",
                     {{"file", path}, {"error", count.status().message()}});
    }
    if (*count == 0) break;
    if (!unpacked.write_all(chunk.data(), static_cast<size_t>(*count))) {
      return unpacked.failure(path);
    }
    unpacked_bytes += static_cast<uint64_t>(*count);
  }
  if (unpacked_bytes == 0) {  // which cannot be mapped
    return std::shared_ptr<arrow::io::RandomAccessFile>(
        std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(nullptr, 0)));
  }
  auto mapped = arrow::io::MemoryMappedFile::Open(unpacked.path(), arrow::io::FileMode::READ);
  if (!mapped.ok()) return cannot_read(unpacked.path(), mapped.status());
  return std::shared_ptr<arrow::io::RandomAccessFile>(*std::move(mapped));
}

}  // namespace evergrove::source
