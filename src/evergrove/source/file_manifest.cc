// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/file_manifest.h"

#include <tbb/task_arena.h>

namespace evergrove::source {

FileManifest::FileManifest(std::vector<DataFile> files, std::span<const uint64_t> row_counts,
                           Fingerprint fingerprint)
    : files_(std::move(files)), fingerprint_(std::move(fingerprint)) {
  for (size_t i = 0; i < files_.size(); ++i) {
    manifest_.files.push_back(
        {files_[i].path, files_[i].size_bytes, manifest_.row_count, row_counts[i], ""});
    manifest_.row_count += row_counts[i];
  }
}

std::vector<std::string> FileManifest::paths() const {
  std::vector<std::string> paths;
  for (const DataFile& file : files_) paths.push_back(file.path);
  return paths;
}

const table::Manifest& FileManifest::manifest() const {
  std::call_once(once_, [this] {
    // Isolated: while it waits, this thread must not take up a task that asks for the manifest.
    tbb::this_task_arena::isolate([this] {
      const Status unreadable = for_each_file(files_, [this](size_t i) -> Status {
        Result<std::string> fingerprint = fingerprint_(files_[i]);
        manifest_.files[i].fingerprint =
            fingerprint.ok() ? *fingerprint : std::string(table::kUnreadable);
        return fingerprint.status();
      });
      (void)unreadable;  // said in the fingerprint; reading the rows will give the error itself
    });
  });
  return manifest_;
}

}  // namespace evergrove::source
