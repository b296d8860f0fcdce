// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_bytes.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/result.h>
#include <arrow/util/compression.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
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
    const char* const given = std::getenv("TMPDIR");
    folder_ = given == nullptr || *given == '\0' ? "/tmp" : given;
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

// The bytes of a gzip file, one megabyte after the other.
class PackedBytes {
 public:
  PackedBytes(arrow::io::RandomAccessFile& file, const std::string& path, uint64_t byte_count)
      : file_(file), path_(path), rest_(byte_count) {}

  std::string_view left() const { return left_; }
  void take(size_t byte_count) { left_.remove_prefix(byte_count); }
  // Makes left() not empty, unless the file is at its end.
  Status refill() {
    if (!left_.empty() || rest_ == 0) return {};
    const uint64_t byte_count = std::min<uint64_t>(rest_, uint64_t{1} << 20);
    EVERGROVE_ASSIGN_OR_RETURN(buffer_, read_bytes(file_, path_, offset_, byte_count));
    left_ = text_of(*buffer_);
    offset_ += byte_count;
    rest_ -= byte_count;
    return {};
  }

 private:
  arrow::io::RandomAccessFile& file_;
  const std::string& path_;
  uint64_t offset_ = 0;
  uint64_t rest_;
  std::shared_ptr<arrow::Buffer> buffer_;
  std::string_view left_;
};

// Writes all that the gzip file holds, which may be several, one after the other, as for gunzip.
Status unpack(arrow::io::RandomAccessFile& file, const std::string& path, TemporaryFile& unpacked) {
  const auto damaged = [&](const std::string& error) {
    return corrupt("A gzip file is damaged or cut short; get it again",
                   {{"file", path}, {"error", error}});
  };
  auto codec = arrow::util::Codec::Create(arrow::Compression::GZIP);
  if (!codec.ok()) return unsupported("This Arrow cannot unpack gzip files", {{"file", path}});
  auto made = (*codec)->MakeDecompressor();
  if (!made.ok()) return unsupported("This Arrow cannot unpack gzip files", {{"file", path}});
  arrow::util::Decompressor& decompressor = **made;
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t packed_bytes, file_size(file, path));
  PackedBytes packed(file, path, packed_bytes);
  std::vector<uint8_t> chunk(size_t{1} << 20);
  while (true) {
    EVERGROVE_RETURN_IF_ERROR(packed.refill());
    if (decompressor.IsFinished()) {
      if (packed.left().empty()) return {};
      const arrow::Status reset = decompressor.Reset();
      if (!reset.ok()) return damaged(reset.message());
    }
    const auto step =
        decompressor.Decompress(static_cast<int64_t>(packed.left().size()),
                                reinterpret_cast<const uint8_t*>(packed.left().data()),
                                static_cast<int64_t>(chunk.size()), chunk.data());
    if (!step.ok()) return damaged(step.status().message());
    if (step->bytes_read == 0 && step->bytes_written == 0 && !decompressor.IsFinished()) {
      return damaged("it ends too early");
    }
    packed.take(static_cast<size_t>(step->bytes_read));
    if (!unpacked.write_all(chunk.data(), static_cast<size_t>(step->bytes_written))) {
      return unpacked.failure(path);
    }
  }
}

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
  TemporaryFile unpacked;
  if (!unpacked.is_open()) return unpacked.failure(path);
  EVERGROVE_RETURN_IF_ERROR(unpack(*file, path, unpacked));
  auto opened = arrow::io::ReadableFile::Open(unpacked.path());
  if (!opened.ok()) return cannot_read(unpacked.path(), opened.status());
  return std::shared_ptr<arrow::io::RandomAccessFile>(*std::move(opened));
}

}  // namespace evergrove::source
