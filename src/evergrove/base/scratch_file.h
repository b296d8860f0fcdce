// ScratchFile: arrays that do not fit into memory, in a file that nobody else sees.
//
// The file has no name once it is made, so that nothing of it is left however the process ends.
// Arrays are read and written whole; different ones from different threads at once.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto file, ScratchFile::create("/var/tmp"));
//   ScratchPlace place = file->reserve(bytes);
//   EVERGROVE_RETURN_IF_ERROR(file->write(place, data));
//   EVERGROVE_RETURN_IF_ERROR(file->read(place, data));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "evergrove/base/status.h"

namespace evergrove {

// Where an array lies in a ScratchFile.
struct ScratchPlace {
  uint64_t begin = 0;
  uint64_t bytes = 0;
};

class ScratchFile {
 public:
  // invalid_input for a folder that is not there or may not be written to.
  static Result<std::unique_ptr<ScratchFile>> create(const std::string& folder);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  // Takes no room on the disk before it is written to.
  ScratchPlace reserve(uint64_t bytes);
  // Write and read place.bytes bytes; storage_error where the disk is full or fails.
  Status write(const ScratchPlace& place, const void* from);
  Status read(const ScratchPlace& place, void* to) const;

 private:
  ScratchFile(std::string folder, int descriptor)
      : folder_(std::move(folder)), descriptor_(descriptor) {}
  Status failed(std::string_view what, int error) const;

  std::string folder_;
  int descriptor_;
  std::atomic<uint64_t> end_ = 0;
};

}  // namespace evergrove
