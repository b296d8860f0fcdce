// A file is named after its key. It is touched when it is used, so that its time of change is that
// of its last use. Who makes room and writes holds the lock of the folder: two writers would not
// see each other's bytes.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/shard_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "evergrove/base/hex.h"
#include "evergrove/base/sha256.h"

namespace evergrove::runtime {
namespace {

// To be raised with whatever makes other bins of the same rows and cuts, or writes other bytes.
constexpr uint32_t kFormatVersion = 1;
constexpr std::string_view kFolderName = "evergrove-shards";
constexpr std::string_view kFileEnd = ".bins";
constexpr int kLockTries = 100;
constexpr useconds_t kLockTryEvery = 100'000;

int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

Status system_error(std::string_view message, const std::string& path) {
  return storage_error(message, {{"path", path}, {"reason", std::strerror(errno)}});
}

struct CachedFile {
  std::string name;
  int64_t used_ns = 0;
  uint64_t bytes = 0;
};

// All that takes up room, unfinished files too.
std::vector<CachedFile> files_in(const std::string& folder) {
  std::vector<CachedFile> files;
  DIR* entries = ::opendir(folder.c_str());
  if (entries == nullptr) return files;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string name = entry->d_name;
    struct stat about = {};
    const bool is_file =
        ::fstatat(::dirfd(entries), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(about.st_mode);
    if (!is_file || name.find(kFileEnd) == std::string::npos) continue;
    files.push_back({name, nanoseconds(about.st_mtim), static_cast<uint64_t>(about.st_size)});
  }
  ::closedir(entries);
  return files;
}

// The lock of a folder, for as long as this lives. Its holder may be stopped, so nobody waits for
// it for ever.
class FolderLock {
 public:
  explicit FolderLock(int folder) : folder_(folder) {
    for (int i = 0; i < kLockTries && !is_held_; ++i) {
      if (i > 0) ::usleep(kLockTryEvery);
      is_held_ = ::flock(folder_, LOCK_EX | LOCK_NB) == 0;
    }
  }
  ~FolderLock() {
    if (is_held_) ::flock(folder_, LOCK_UN);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  bool is_held() const { return is_held_; }

 private:
  int folder_;
  bool is_held_ = false;
};

// What the header says that matters to how rows are binned.
train::RunHeader binning_of(const train::RunHeader& header) {
  train::RunHeader binning;
  binning.parameters.objective = header.parameters.objective;
  if (header.valid_fraction > 0) binning.parameters.seed = header.parameters.seed;
  binning.label = header.label;
  binning.weight = header.weight;
  binning.valid_fraction = header.valid_fraction;
  binning.valid_names = header.valid_names;
  binning.classes = header.classes;
  binning.features = header.features;
  return binning;
}

}  // namespace

std::optional<ShardKey> shard_key(const DataDescription& data, const train::RunHeader& header,
                                  const train::Shard& shard) {
  if (shard.set > header.valid_manifests.size()) return std::nullopt;
  const table::Manifest& manifest =
      shard.set == 0 ? header.manifest : header.valid_manifests[shard.set - 1];
  ByteWriter out;
  out.u32(kFormatVersion).string(train::encode_header(binning_of(header)));
  for (const auto& [name, type] : data.column_types) out.string(name).string(type);
  for (const std::string& name : data.categorical) out.string(name);
  train::Shard place = shard;
  place.id = 0;
  place.encode(out);
  for (const table::ManifestFile& file : manifest.files) {
    if (file.first_row >= shard.first_row + shard.row_count) break;
    if (file.first_row + file.row_count <= shard.first_row) continue;
    if (file.fingerprint.empty() || file.fingerprint == table::kUnreadable) return std::nullopt;
    out.string(file.fingerprint).u64(file.size_bytes).u64(file.first_row).u64(file.row_count);
    // The fingerprint is what the coordinator saw. What this machine has in that place may have
    // been changed since, and must not be found again by it.
    struct stat about = {};
    const bool is_local = ::stat(file.path.c_str(), &about) == 0;
    out.i64(is_local ? nanoseconds(about.st_mtim) : 0).i64(is_local ? about.st_size : 0);
  }
  Sha256 hash;
  hash.update(out.bytes());
  return hash.digest();
}

Result<ShardCache> ShardCache::open(ShardCacheOptions options) {
  ShardCache cache(std::move(options));
  EVERGROVE_RETURN_IF_ERROR(make_folder(cache.options_.folder));
  cache.folder_ = cache.options_.folder + "/" + std::string(kFolderName);
  if (::mkdir(cache.folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error("The folder of binned shards could not be made; give another --cache",
                        cache.folder_);
  }
  cache.folder_descriptor_ =
      Descriptor(::open(cache.folder_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat about = {};
  if (!cache.folder_descriptor_.is_open() || ::fstat(cache.folder_descriptor_.get(), &about) != 0) {
    return system_error("The folder of binned shards could not be opened; give another --cache",
                        cache.folder_);
  }
  if (about.st_uid != ::geteuid() || (about.st_mode & 077) != 0) {
    return invalid_input(
        "Others may enter the folder of binned shards, which hold the rows that are learnt from; "
        "make it yours alone (chown, chmod 700), or give another --cache",
        {{"folder", cache.folder_}});
  }
  remove_unfinished(cache.folder_);
  cache.bytes_max_ = cache.options_.bytes_max;
  if (cache.bytes_max_ == 0) {
    struct statvfs disk = {};
    if (::fstatvfs(cache.folder_descriptor_.get(), &disk) != 0) {
      return system_error("The disk of the cache does not say what is free; give --cache-size",
                          cache.folder_);
    }
    uint64_t bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
    for (const CachedFile& file : files_in(cache.folder_)) bytes += file.bytes;
    cache.bytes_max_ = bytes / 2;
  }
  return cache;
}

Result<train::TrainingData> ShardCache::read(const train::DataSpec& spec,
                                             const DataDescription& data,
                                             const train::RunHeader& header,
                                             const train::Shard& shard) {
  const std::optional<ShardKey> key = shard_key(data, header, shard);
  const std::string path = key ? folder_ + "/" + hex(*key) + std::string(kFileEnd) : "";
  if (key) {
    if (std::optional<train::TrainingData> found = find(path, *key, header, shard)) {
      ++found_count_;
      return std::move(*found);
    }
  }
  EVERGROVE_ASSIGN_OR_RETURN(train::TrainingData rows,
                             train::read_shards(spec, header, {&shard, 1}, {}));
  ++read_count_;
  // Not if a file was replaced while it was read.
  if (key && key == shard_key(data, header, shard)) {
    const Status kept = keep(path, *key, header, rows);
    if (!kept.ok()) note("A binned shard is not kept: " + kept.message());
  }
  return rows;
}

std::optional<train::TrainingData> ShardCache::find(const std::string& path, const ShardKey& key,
                                                    const train::RunHeader& header,
                                                    const train::Shard& shard) const {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat about = {};
  if (!file.is_open() || ::fstat(file.get(), &about) != 0) return std::nullopt;
  const ReadBytes read = [&](void* to, size_t byte_count) -> Status {
    auto* place = static_cast<char*>(to);
    while (byte_count > 0) {
      const ssize_t got = ::read(file.get(), place, byte_count);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return storage_error("It could not be read to its end");
      place += got;
      byte_count -= static_cast<size_t>(got);
    }
    return {};
  };
  Result<train::TrainingData> rows =
      read_shard_file(key, header, shard, static_cast<uint64_t>(about.st_size), read);
  if (rows.ok()) {
    ::futimens(file.get(), nullptr);
    return std::move(rows).value();
  }
  note(rows.status().message() + "; it is made again: " + path);
  ::unlink(path.c_str());
  return std::nullopt;
}

Status ShardCache::keep(const std::string& path, const ShardKey& key,
                        const train::RunHeader& header, const train::TrainingData& rows) const {
  const uint64_t bytes = shard_file_bytes(header, rows);
  if (bytes > bytes_max_) {
    return storage_error("It is larger than all that the cache may hold; raise --cache-size",
                         {{"bytes", std::to_string(bytes)}, {"limit", std::to_string(bytes_max_)}});
  }
  const FolderLock lock(folder_descriptor_.get());
  if (!lock.is_held()) return storage_error("Another process holds the lock of the cache");
  if (::access(path.c_str(), F_OK) == 0) return {};  // another process was first
  EVERGROVE_RETURN_IF_ERROR(make_room(bytes));
  EVERGROVE_ASSIGN_OR_RETURN(UnfinishedFile file, UnfinishedFile::create(path));
  EVERGROVE_RETURN_IF_ERROR(
      write_shard_file(key, rows, [&](std::string_view part) { return file.write(part); }));
  return file.publish();
}

// Removes what was used longest ago until so many bytes more may be written.
Status ShardCache::make_room(uint64_t bytes) const {
  std::vector<CachedFile> files = files_in(folder_);
  std::sort(files.begin(), files.end(), [](const CachedFile& a, const CachedFile& b) {
    return std::pair(a.used_ns, a.name) < std::pair(b.used_ns, b.name);
  });
  uint64_t taken = 0;
  for (const CachedFile& file : files) taken += file.bytes;
  for (const CachedFile& file : files) {
    if (taken + bytes <= bytes_max_) return {};
    if (::unlinkat(folder_descriptor_.get(), file.name.c_str(), 0) != 0 && errno != ENOENT) {
      return system_error("An old file of the cache could not be removed", file.name);
    }
    taken -= file.bytes;
  }
  return {};
}

}  // namespace evergrove::runtime
