// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/find_files.h"

#include <arrow/api.h>
#include <arrow/filesystem/filesystem.h>

#include <algorithm>

#include "evergrove/source/file_format.h"
#include "evergrove/source/glob.h"
#include "evergrove/source/store.h"

namespace evergrove::source {
namespace {

using arrow::fs::FileInfo;
using arrow::fs::FileType;

DataFile make_file(const StorePlace& base, const FileInfo& info) {
  DataFile file;
  file.place = info.path();
  // What follows the base in the store follows it in the path as well.
  file.path = base.path + info.path().substr(std::min(base.place.size(), info.path().size()));
  if (base.path == ".") file.place = file.path = info.path().substr(2);
  if (!base.is_local) file.store = base.store;
  file.size_bytes = std::max<int64_t>(info.size(), 0);
  if (base.is_local && info.mtime() != arrow::fs::kNoTime) {
    file.changed_ns = info.mtime().time_since_epoch().count();
  }
  return file;
}

// A failure of the store about a path, in words.
Status path_status(const arrow::Status& status, const StorePlace& base) {
  DataFile asked;
  asked.path = base.path;
  if (!base.is_local) asked.store = base.store;
  const Status plain = file_status(status, asked);
  if (plain.kind() != StatusKind::corrupt) return plain;
  return storage_error("A path cannot be looked up; check its rights",
                       {{"path", base.path}, {"error", brief(status.message())}});
}

Status refuse_empty_file(const std::string& path) {
  return invalid_input("A file is empty (0 bytes); write it anew or leave it out",
                       {{"file", path}});
}

// All files below a folder for which take(path below the folder) holds, sorted.
Result<std::vector<DataFile>> list_files(const StorePlace& base, bool recursive,
                                         const std::function<bool(std::string_view)>& take) {
  arrow::fs::FileSelector selector;
  selector.base_dir = base.place;
  selector.recursive = recursive;
  selector.allow_not_found = true;
  const auto infos = without_throwing([&] { return base.store->GetFileInfo(selector); });
  if (!infos.ok()) return path_status(infos.status(), base);
  std::vector<DataFile> files;
  for (const FileInfo& info : *infos) {
    if (info.type() != FileType::File) continue;
    std::string_view below = std::string_view(info.path()).substr(base.place.size());
    below.remove_prefix(std::min(below.find_first_not_of('/'), below.size()));
    if (!take(below)) continue;
    if (info.size() == 0 && !has_data_ending(info.path())) continue;
    files.push_back(make_file(base, info));
    if (info.size() == 0) return refuse_empty_file(files.back().path);
  }
  std::sort(files.begin(), files.end(),
            [](const DataFile& a, const DataFile& b) { return a.path < b.path; });
  return files;
}

Result<std::vector<DataFile>> match_glob(const std::string& path, Stores& stores) {
  const Glob glob = split_glob(path, is_url(path));
  const bool recursive =
      glob.pattern.find('/') != std::string::npos || glob.pattern.find("**") != std::string::npos;
  // The parameters of a URL belong to its store, whatever is asked of it.
  std::string pattern = glob.pattern;
  std::string folder = glob.folder.empty() ? "." : glob.folder;
  const size_t query = is_url(path) ? pattern.find('?') : std::string::npos;
  if (query != std::string::npos) {
    folder += pattern.substr(query);
    pattern.resize(query);
  }
  EVERGROVE_ASSIGN_OR_RETURN(const StorePlace base, stores.place_of(folder));
  EVERGROVE_ASSIGN_OR_RETURN(auto files, list_files(base, recursive, [&](std::string_view below) {
                               return matches(pattern, below);
                             }));
  if (!files.empty()) return files;
  return not_found("No file matches the pattern; check the path",
                   {{"path", without_credentials(path)}});
}

Result<std::vector<DataFile>> find_one(const std::string& path, Stores& stores) {
  if (path.empty()) return invalid_input("A path is empty; name a file, folder, glob or URL");
  const bool is_glob = has_wildcard(path, is_url(path));
  if (is_glob && is_url(path)) return match_glob(path, stores);
  EVERGROVE_ASSIGN_OR_RETURN(StorePlace base, stores.place_of(path));
  while (base.place.size() > 1 && base.place.ends_with('/')) base.place.pop_back();
  while (base.path.size() > 1 && base.path.ends_with('/')) base.path.pop_back();
  const auto info = without_throwing([&] { return base.store->GetFileInfo(base.place); });
  if (!info.ok()) return path_status(info.status(), base);
  switch (info->type()) {
    case FileType::NotFound:
      if (is_glob) return match_glob(path, stores);
      return not_found("There is no such file or folder; check the path", {{"path", base.path}});
    case FileType::Unknown:
      return invalid_input("Only regular files can be read; write the data to a file",
                           {{"path", base.path}});
    case FileType::File: {
      if (info->size() == 0) return refuse_empty_file(base.path);
      return std::vector<DataFile>{make_file(base, *info)};
    }
    case FileType::Directory:
      break;
  }
  EVERGROVE_ASSIGN_OR_RETURN(auto files,
                             list_files(base, /*recursive=*/true,
                                        [](std::string_view below) { return !is_hidden(below); }));
  if (!files.empty()) return files;
  return not_found("A folder holds no data file; check the path", {{"path", base.path}});
}

}  // namespace

Result<std::vector<DataFile>> find_files(std::span<const std::string> paths) {
  if (paths.empty()) return invalid_input("No path is given; name a file, folder, glob or URL");
  Stores stores;
  std::vector<DataFile> files;
  for (const std::string& path : paths) {
    EVERGROVE_ASSIGN_OR_RETURN(auto found, find_one(path, stores));
    files.insert(files.end(), std::make_move_iterator(found.begin()),
                 std::make_move_iterator(found.end()));
  }
  return files;
}

}  // namespace evergrove::source
