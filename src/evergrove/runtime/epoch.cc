// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/epoch.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "evergrove/base/check.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/log_store.h"

namespace evergrove::runtime {
namespace {

constexpr std::string_view kFolder = "epochs";
constexpr int kAttemptsMax = 10'000;  // each lost to another coordinator

std::string epoch_name(uint64_t epoch) { return std::string(kFolder) + "/" + numbered_name(epoch); }

// Who took an epoch. The number makes it unlike any other, so that a put of which the answer was
// lost is known again.
std::string record_of(const std::string& name) {
  uint64_t number = 0;
  CHECK(::getentropy(&number, sizeof number) == 0);
  return name + " " + std::to_string(number) + "\n";
}

std::string taker(const std::string& record) {
  return record.substr(0, std::min(record.rfind(' '), record.size()));
}

Status disk_error(const std::string& doing, const std::string& path) {
  const int error = errno;
  const Details details = {{"path", path}, {"reason", std::strerror(error)}};
  const std::string sentence = "Cannot " + doing + "; look at the disk and the rights, then repeat";
  const bool is_forbidden = error == EACCES || error == EPERM || error == EROFS;
  return is_forbidden ? invalid_input(sentence, details) : storage_error(sentence, details);
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.is_open() && ::fsync(folder.get()) == 0) return {};
  return disk_error("make an epoch of the log durable", path);
}

// Returns whether the file was made by this call; false: there was one.
Result<bool> make_file_once(const std::string& path, const std::string& bytes) {
  const Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file.is_open() && errno == EEXIST) return false;
  if (!file.is_open()) return disk_error("take an epoch of the log", path);
  // Taken it is already, by its name; should the bytes fail, nobody else gets this number.
  const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
  if (written != static_cast<ssize_t>(bytes.size()) || ::fsync(file.get()) != 0) {
    return disk_error("take an epoch of the log", path);
  }
  return true;
}

Result<uint64_t> current_epoch_in(const std::string& folder) {
  const std::string epochs = folder + "/" + std::string(kFolder);
  DIR* entries = ::opendir(epochs.c_str());
  if (entries == nullptr) {
    if (errno == ENOENT) return uint64_t{0};
    return disk_error("list the epochs of the log", epochs);
  }
  uint64_t largest = 0;
  errno = 0;
  while (const dirent* entry = ::readdir(entries)) {
    uint64_t number = 0;
    if (parse_numbered_name(entry->d_name, number)) largest = std::max(largest, number);
    errno = 0;
  }
  const int error = errno;
  ::closedir(entries);
  errno = error;
  if (error != 0) return disk_error("list the epochs of the log", epochs);
  return largest;
}

Result<uint64_t> take_epoch_in(const std::string& folder, const std::string& name) {
  const std::string epochs = folder + "/" + std::string(kFolder);
  EVERGROVE_RETURN_IF_ERROR(make_folder(epochs).with_context("The log"));
  EVERGROVE_ASSIGN_OR_RETURN(uint64_t epoch, current_epoch_in(folder));
  const std::string record = record_of(name);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    ++epoch;
    EVERGROVE_ASSIGN_OR_RETURN(const bool is_ours,
                               make_file_once(folder + "/" + epoch_name(epoch), record));
    if (!is_ours) continue;
    // The smaller epochs' names become durable with ours, so that there is no gap.
    EVERGROVE_RETURN_IF_ERROR(sync_folder(epochs));
    return epoch;
  }
  return storage_error("Too many coordinators want this log at once; start one", {{"log", folder}});
}

}  // namespace

Result<uint64_t> take_epoch(LogStore& store, const std::string& name) {
  EVERGROVE_ASSIGN_OR_RETURN(uint64_t epoch, current_epoch(store));
  const std::string record = record_of(name);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    ++epoch;
    EVERGROVE_ASSIGN_OR_RETURN(const bool is_ours, store.put_once(epoch_name(epoch), record));
    if (is_ours) return epoch;
  }
  return storage_error("Too many coordinators want this log at once; start one",
                       {{"log", store.place()}});
}

Result<uint64_t> take_epoch(const std::string& place, const std::string& name) {
  if (!is_object_place(place)) return take_epoch_in(place, name);
  EVERGROVE_ASSIGN_OR_RETURN(const auto store, open_log_store(place));
  return take_epoch(*store, name);
}

Result<uint64_t> current_epoch(LogStore& store) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<uint64_t> epochs,
                             store.numbers_in(std::string(kFolder)));
  return epochs.empty() ? 0 : epochs.back();
}

Result<uint64_t> current_epoch(const std::string& place) {
  if (!is_object_place(place)) return current_epoch_in(place);
  EVERGROVE_ASSIGN_OR_RETURN(const auto store, open_log_store(place));
  return current_epoch(*store);
}

Status check_not_overtaken(const std::string& folder, uint64_t epoch) {
  const std::string next = folder + "/" + epoch_name(epoch + 1);
  if (::access(next.c_str(), F_OK) == 0) {
    const Result<std::string> record = read_file(next);
    return overtaken(folder, epoch, record.ok() ? taker(*record) : "?");
  }
  if (errno == ENOENT || errno == ENOTDIR) return {};
  return disk_error("look at the epochs of the log", next);
}

Result<std::optional<std::string>> overtaker(LogStore& store, uint64_t epoch) {
  const Result<std::string> record = store.get(epoch_name(epoch + 1));
  if (record.ok()) return std::optional(taker(*record));
  if (record.status().kind() == StatusKind::not_found) return std::optional<std::string>();
  return record.status();
}

Status check_not_overtaken(LogStore& store, uint64_t epoch) {
  EVERGROVE_ASSIGN_OR_RETURN(const auto by, overtaker(store, epoch));
  return by ? overtaken(store.place(), epoch, *by) : Status();
}

Status overtaken(const std::string& place, uint64_t epoch, const std::string& by) {
  return storage_error(
      "Another coordinator owns the log now, and this one stops; what was durable is in the log",
      {{"log", place}, {"epoch", std::to_string(epoch)}, {"by", by}});
}

}  // namespace evergrove::runtime
