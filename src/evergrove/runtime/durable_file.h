// Files that survive a crash: one written beside its place and renamed, one that is appended to.
//
// Promise: what sync() or publish() has returned ok for is on the disk, names included; a crash at
// any instant leaves an UnfinishedFile's place as it was or wholly new.
// A missing or forbidden folder is invalid_input (the user can mend it by another path); a full or
// failing disk is storage. Each object has one owner, one thread at a time.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto file, UnfinishedFile::create("model.evergrove"));
//   EVERGROVE_RETURN_IF_ERROR(file.write(bytes));
//   EVERGROVE_RETURN_IF_ERROR(file.publish());     // else the destructor removes it
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

// An open file descriptor; closed by its destructor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  void reset();

 private:
  int number_ = -1;
};

class UnfinishedFile {
 public:
  // Creates a file of a name of its own in the folder of `path`, and locks it. Removes what
  // processes that were killed left there unfinished of the same path.
  static Result<UnfinishedFile> create(const std::string& path);
  ~UnfinishedFile();
  UnfinishedFile(UnfinishedFile&& other) noexcept;
  UnfinishedFile& operator=(UnfinishedFile&&) = delete;

  Status write(std::string_view bytes);
  // Syncs, closes and renames it to its place, and syncs the folder.
  Status publish();

  // Where it is for now, for writers that open files themselves; they must be done before
  // publish().
  const std::string& unfinished_path() const { return unfinished_path_; }

 private:
  UnfinishedFile(std::string path, std::string unfinished_path, Descriptor descriptor);

  std::string path_;
  std::string unfinished_path_;  // empty: published, or moved from
  Descriptor descriptor_;
};

class AppendFile {
 public:
  // Opens or creates the file, and locks it against other processes; invalid_input if one has it.
  static Result<AppendFile> open(const std::string& path);

  Result<std::string> read_all() const;
  // Cuts the file off after `size_bytes` and makes that durable.
  Status truncate(uint64_t size_bytes);
  // Writes at the end. After a failure the file may end in a part of the bytes.
  Status append(std::string_view bytes);
  Status sync();
  // Whether open() created it.
  bool is_new() const { return is_new_; }
  // Removes it from its folder, for a file in which nothing is worth keeping.
  void remove();

 private:
  AppendFile(std::string path, Descriptor descriptor, bool is_new)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), is_new_(is_new) {}

  std::string path_;
  Descriptor descriptor_;
  bool is_new_ = false;
};

// Reads a whole file; not_found, invalid_input (a folder) or storage.
Result<std::string> read_file(const std::string& path);
// Removes what processes that were killed left unfinished in a folder, of whatever path.
void remove_unfinished(const std::string& folder);
// Makes a folder and those it is in.
Status make_folder(const std::string& path);
// The folders that make_folder() would make, the innermost first.
std::vector<std::string> missing_folders(std::string path);

}  // namespace evergrove::runtime
