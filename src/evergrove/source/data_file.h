// DataFile: where a file is, on the local disk or in an object store, and how it is opened.
//
// `path` is what people see: as they gave it, without credentials. An opened file is checked to be
// the one that was found (size and, locally, time of change), because a file that is replaced while
// it is being read would give a model of neither.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace arrow {
class Status;
namespace fs {
class FileSystem;
}
namespace io {
class RandomAccessFile;
}
}  // namespace arrow

namespace evergrove::source {

struct DataFile {
  std::string path;
  std::string place;                             // within the store, or on the local disk
  std::shared_ptr<arrow::fs::FileSystem> store;  // null: the local disk
  uint64_t size_bytes = 0;
  int64_t changed_ns = 0;  // since 1970; 0 if not known

  bool is_local() const { return store == nullptr; }
};

enum class FileAccess : uint8_t {
  read,        // bytes are copied out of the file
  memory_map,  // buffers point into the file; the same as read for what is not local
};

Result<std::shared_ptr<arrow::io::RandomAccessFile>> open_file(const DataFile& file,
                                                               FileAccess access);

// Reads up to byte_count bytes from the start, fewer if the file ends before.
Result<std::string> read_first_bytes(const DataFile& file, size_t byte_count);

arrow::Status store_exception(const char* what);

// What Arrow or a store says, on one line and cut where it begins to repeat itself.
std::string brief(std::string_view error);

// Does what work does, which returns an arrow::Status or arrow::Result; what a store's client
// throws beneath Arrow becomes an IOError.
auto without_throwing(auto work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    // In a template of its own, for Arrow's status is known only where this is used.
    const auto as_status = [](auto what) { return store_exception(what); };
    return as_status(error.what());
  }
}

// What an Arrow failure means for someone who reads this file: not_found and storage for what the
// disk or store said, corrupt for what is in the file.
Status file_status(const arrow::Status& status, const DataFile& file);

// Calls visit(i) for i in [0, files.size()) from several threads: as many as there are cores, or
// sixteen where a store's answers must be waited for. Returns the first failure in file order.
Status for_each_file(std::span<const DataFile> files,
                     const std::function<Status(size_t index)>& visit);

}  // namespace evergrove::source
