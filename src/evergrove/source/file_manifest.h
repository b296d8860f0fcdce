// FileManifest: the manifest of a data set of files, with fingerprints made when first asked for.
//
// Who only scores never asks, and reading every byte of every file is not free. A file that cannot
// be read by then has the fingerprint "unreadable", which is no other's.
// Safe to read from many threads. For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "evergrove/source/data_file.h"
#include "evergrove/table/row_source.h"

namespace evergrove::source {

class FileManifest {
 public:
  using Fingerprint = std::function<Result<std::string>(const DataFile& file)>;

  FileManifest() = default;
  // Requires: as many row counts as files.
  FileManifest(std::vector<DataFile> files, std::span<const uint64_t> row_counts,
               Fingerprint fingerprint);

  const std::vector<DataFile>& files() const { return files_; }
  std::vector<std::string> paths() const;
  const table::Manifest& manifest() const;

 private:
  std::vector<DataFile> files_;
  Fingerprint fingerprint_;
  mutable table::Manifest manifest_;
  mutable std::once_flag once_;
};

}  // namespace evergrove::source
