// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/durable_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>

namespace evergrove::runtime {
namespace {

constexpr std::string_view kUnfinished = ".unfinished-";
constexpr int kAttemptsMax = 100;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What the user can mend by naming another place, and what is wrong with the disk.
Status file_error(int error, std::string_view doing, const std::string& path) {
  const std::string sentence = "Cannot " + std::string(doing);
  const Details details = {{"path", path}, {"reason", std::strerror(error)}};
  switch (error) {
    case ENOENT:
      return not_found(sentence + "; its folder does not exist", details);
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return invalid_input(sentence + "; give another path", details);
    case EACCES:
    case EPERM:
    case EROFS:
      return invalid_input(sentence + "; it is not allowed there, give another path or the right",
                           details);
    case ENOSPC:
    case EDQUOT:
      return storage_error(sentence + "; the disk is full, make room", details);
    case EFBIG:
      return storage_error(sentence + "; there is a limit on the size of files, raise it", details);
    default:
      return storage_error(sentence + "; look at the disk, then repeat the command", details);
  }
}

Status write_all(int descriptor, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error(errno, "write the file", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status sync_descriptor(int descriptor, const std::string& path) {
  // EINVAL and EROFS: what cannot be synced, such as a pipe, has nothing to be lost by a crash.
  if (::fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS) return {};
  return file_error(errno, "make the file durable", path);
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return file_error(errno, "open the folder", path);
  return sync_descriptor(folder.get(), path);
}

enum class Lock : uint8_t { ours, of_another, impossible };

Lock lock(int descriptor) {
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return Lock::ours;
  return errno == EWOULDBLOCK ? Lock::of_another : Lock::impossible;
}

// Whether an open file has no name any more.
bool is_removed(int descriptor) {
  struct stat about = {};
  return ::fstat(descriptor, &about) == 0 && about.st_nlink == 0;
}

// Removes the unfinished files of a folder whose locks went with the processes that made them.
void remove_leftovers(const std::string& folder,
                      const std::function<bool(std::string_view name)>& is_one) {
  DIR* entries = ::opendir(folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries)) {
    if (!is_one(entry->d_name)) continue;
    const std::string leftover = folder + "/" + entry->d_name;
    const Descriptor file(::open(leftover.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (file.is_open() && lock(file.get()) == Lock::ours) ::unlink(leftover.c_str());
  }
  ::closedir(entries);
}

Result<std::string> read_descriptor(int descriptor, const std::string& path) {
  std::string bytes;
  struct stat about = {};
  if (::fstat(descriptor, &about) == 0 && about.st_size > 0) {
    bytes.reserve(static_cast<size_t>(about.st_size));
  }
  char buffer[1 << 16];
  for (uint64_t offset = 0;;) {
    const ssize_t got = ::pread(descriptor, buffer, sizeof buffer, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(errno, "read the file", path);
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this == &other) return *this;
  reset();
  number_ = other.number_;
  other.number_ = -1;
  return *this;
}

void Descriptor::reset() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

UnfinishedFile::UnfinishedFile(std::string path, std::string unfinished_path, Descriptor descriptor)
    : path_(std::move(path)),
      unfinished_path_(std::move(unfinished_path)),
      descriptor_(std::move(descriptor)) {}

UnfinishedFile::UnfinishedFile(UnfinishedFile&& other) noexcept
    : path_(std::move(other.path_)),
      unfinished_path_(std::move(other.unfinished_path_)),
      descriptor_(std::move(other.descriptor_)) {
  other.unfinished_path_.clear();
}

Result<UnfinishedFile> UnfinishedFile::create(const std::string& path) {
  if (path.empty()) return invalid_input("The path of the file to write is empty; give one");
  struct stat about = {};
  const bool is_there = ::stat(path.c_str(), &about) == 0;
  if (is_there && S_ISDIR(about.st_mode)) {
    return invalid_input("A file is to be written where a folder is; give another path",
                         {{"path", path}});
  }
  // Renaming a file to /dev/null would do away with the device.
  if (is_there && !S_ISREG(about.st_mode)) {
    return invalid_input("A file is to be written where a device or pipe is; give another path",
                         {{"path", path}});
  }
  const size_t slash = path.rfind('/');
  const std::string start =
      path.substr(slash == std::string::npos ? 0 : slash + 1).append(kUnfinished);
  remove_leftovers(folder_of(path), [&](std::string_view name) { return name.starts_with(start); });
  const std::string first_name = path + kUnfinished.data() + std::to_string(::getpid());
  std::string name = first_name;
  for (int attempt = 1; attempt < kAttemptsMax; ++attempt) {
    Descriptor descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!descriptor.is_open()) return file_error(errno, "write the file", path);
    if (lock(descriptor.get()) != Lock::of_another && !is_removed(descriptor.get())) {
      UnfinishedFile file(path, name, std::move(descriptor));
      if (::ftruncate(file.descriptor_.get(), 0) == 0) return file;
      return file_error(errno, "write the file", path);
    }
    name = first_name + "-" + std::to_string(attempt);
  }
  return invalid_input("Too many processes are writing this file; give another path",
                       {{"path", path}});
}

UnfinishedFile::~UnfinishedFile() {
  if (!unfinished_path_.empty()) ::unlink(unfinished_path_.c_str());
}

Status UnfinishedFile::write(std::string_view bytes) {
  return write_all(descriptor_.get(), bytes, path_);
}

Status UnfinishedFile::publish() {
  EVERGROVE_RETURN_IF_ERROR(sync_descriptor(descriptor_.get(), path_));
  if (::rename(unfinished_path_.c_str(), path_.c_str()) != 0) {
    return file_error(errno, "rename the finished file to its place", path_);
  }
  unfinished_path_.clear();
  descriptor_.reset();  // with its lock, which is no longer needed
  return sync_folder(folder_of(path_));
}

Result<AppendFile> AppendFile::open(const std::string& path) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const bool is_new = ::access(path.c_str(), F_OK) != 0;
    Descriptor descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    if (!descriptor.is_open()) return file_error(errno, "open the file for appending", path);
    const Lock locked = lock(descriptor.get());
    if (locked == Lock::impossible) return file_error(errno, "lock the file", path);
    if (locked == Lock::of_another) break;
    // Who had it may have removed it after it was opened here: then another is to be made.
    if (is_removed(descriptor.get())) continue;
    AppendFile file(path, std::move(descriptor), is_new);
    if (!is_new) return file;
    const Status synced = sync_folder(folder_of(path));
    if (synced.ok()) return file;
    file.remove();
    return synced;
  }
  return invalid_input("Another process is writing this file; wait for it, or give another path",
                       {{"path", path}});
}

Result<std::string> AppendFile::read_all() const {
  return read_descriptor(descriptor_.get(), path_);
}

Status AppendFile::truncate(uint64_t size_bytes) {
  if (::ftruncate(descriptor_.get(), static_cast<off_t>(size_bytes)) != 0) {
    return file_error(errno, "cut off the torn end of the file", path_);
  }
  return sync();
}

Status AppendFile::append(std::string_view bytes) {
  return write_all(descriptor_.get(), bytes, path_);
}

Status AppendFile::sync() {
  if (::fdatasync(descriptor_.get()) == 0) return {};
  return file_error(errno, "make the file durable", path_);
}

void AppendFile::remove() { ::unlink(path_.c_str()); }

Result<std::string> read_file(const std::string& path) {
  const Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor.is_open()) {
    if (errno == ENOENT)
      return not_found("There is no such file; check the path", {{"path", path}});
    return file_error(errno, "open the file", path);
  }
  return read_descriptor(descriptor.get(), path);
}

void remove_unfinished(const std::string& folder) {
  remove_leftovers(folder, [](std::string_view name) {
    return name.find(kUnfinished) != std::string_view::npos;
  });
}

Status make_folder(const std::string& path) {
  struct stat about = {};
  if (::stat(path.c_str(), &about) == 0) {
    if (S_ISDIR(about.st_mode)) return {};
    return invalid_input("A folder is to be made where a file is; give another path",
                         {{"path", path}});
  }
  const std::string parent = folder_of(path);
  if (parent != path && parent != ".") EVERGROVE_RETURN_IF_ERROR(make_folder(parent));
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) {
    return file_error(errno, "make the folder", path);
  }
  return sync_folder(parent);
}

std::vector<std::string> missing_folders(std::string path) {
  std::vector<std::string> missing;
  struct stat about = {};
  while (::stat(path.c_str(), &about) != 0 && errno == ENOENT) {
    missing.push_back(path);
    path = folder_of(path);
  }
  return missing;
}

}  // namespace evergrove::runtime
