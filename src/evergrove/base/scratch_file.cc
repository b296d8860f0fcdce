// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/scratch_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace evergrove {
namespace {

constexpr uint64_t kAlignment = 4096;
constexpr uint64_t kMostAtOnce = uint64_t{1} << 30;  // Linux moves no more than 2 GiB in one call

}  // namespace

Result<std::unique_ptr<ScratchFile>> ScratchFile::create(const std::string& folder) {
  std::string path = folder + "/evergrove-rows-XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) {
    return invalid_input(
        "No file can be made for rows that do not fit into memory; give a folder "
        "that may be written to",
        {{"folder", folder}, {"why", std::strerror(errno)}});
  }
  ::unlink(path.c_str());
  return std::unique_ptr<ScratchFile>(new ScratchFile(folder, descriptor));
}

ScratchFile::~ScratchFile() { ::close(descriptor_); }

ScratchPlace ScratchFile::reserve(uint64_t bytes) {
  const uint64_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return {end_.fetch_add(room), bytes};
}

Status ScratchFile::failed(std::string_view what, int error) const {
  const std::string sentence =
      error == ENOSPC || error == EDQUOT || error == EFBIG
          ? "The disk is full: rows that do not fit into memory have no room; free some, or give "
            "another folder"
          : "Rows that do not fit into memory cannot be " + std::string(what) +
                "; give a folder on another disk";
  return storage_error(sentence, {{"folder", folder_}, {"why", std::strerror(error)}});
}

Status ScratchFile::write(const ScratchPlace& place, const void* from) {
  const auto* bytes = static_cast<const char*>(from);
  for (uint64_t done = 0; done < place.bytes;) {
    const ssize_t count =
        ::pwrite(descriptor_, bytes + done, std::min(place.bytes - done, kMostAtOnce),
                 static_cast<off_t>(place.begin + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("written", errno);
    done += static_cast<uint64_t>(count);
  }
  return {};
}

Status ScratchFile::read(const ScratchPlace& place, void* to) const {
  auto* bytes = static_cast<char*>(to);
  for (uint64_t done = 0; done < place.bytes;) {
    const ssize_t count =
        ::pread(descriptor_, bytes + done, std::min(place.bytes - done, kMostAtOnce),
                static_cast<off_t>(place.begin + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return failed("read", count < 0 ? errno : EIO);
    done += static_cast<uint64_t>(count);
  }
  return {};
}

}  // namespace evergrove
