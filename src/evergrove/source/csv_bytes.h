// Bytes of a CSV file through Arrow, piece by piece; and gzip files, which have no pieces.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace arrow {
class Buffer;
namespace io {
class RandomAccessFile;
}  // namespace io
}  // namespace arrow

namespace evergrove::source {

Result<uint64_t> file_size(arrow::io::RandomAccessFile& file, const std::string& path);

// Reads exactly byte_count bytes; fewer in the file means that it has changed, and is an error.
// May be called from many threads at once.
Result<std::shared_ptr<arrow::Buffer>> read_bytes(arrow::io::RandomAccessFile& file,
                                                  const std::string& path, uint64_t offset,
                                                  uint64_t byte_count);

std::string_view text_of(const arrow::Buffer& buffer);

// Returns a file with what the gzip file holds: in the folder for temporary files (TMPDIR), without
// a name, so that it is gone when it is closed, however the process ends.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> unpack_gzip(
    std::shared_ptr<arrow::io::RandomAccessFile> file, const std::string& path);

}  // namespace evergrove::source
