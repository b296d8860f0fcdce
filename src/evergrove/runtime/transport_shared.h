// SharedRoom: memory that a sender shares with one receiver on the same machine, for messages that
// then go through no socket; SharedView: the receiver's side of it.
//
// A message is copied to a place of the room, the receiver is told where, reads it there, and gives
// the place back when nobody uses its bytes any more, in whatever order. A receiver that keeps all
// it gets fills the room, which has a limit; then nothing can be put. The room may not shrink, so
// that no reader faults, and is gone with the last process that has it: it has no name.
// Both ends are of one user, who could as well look into either process: bytes that the sender
// changes after it said where they are are its own fault. Places and sizes are checked.
// One owner each, one thread at a time; bytes may be given back from any thread.
//
//   std::unique_ptr<SharedRoom> room = SharedRoom::make();        // null: the system gives none
//   std::optional<SharedPlace> place = room->put(message);        // nothing: no room
//   EVERGROVE_ASSIGN_OR_RETURN(auto view, SharedView::open(std::move(descriptor)));
//   EVERGROVE_ASSIGN_OR_RETURN(Bytes bytes, SharedView::at(view, place));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {

// Where a message is in a room.
struct SharedPlace {
  static constexpr size_t kEncodedBytes = 8;

  uint32_t offset = 0;
  uint32_t bytes = 0;

  std::string encode() const;
  // Requires: kEncodedBytes bytes.
  static SharedPlace decode(std::string_view bytes);
};

// Some pages of memory that several processes have.
class SharedPages {
 public:
  // Not open: they could not be had.
  SharedPages(const Descriptor& descriptor, size_t size);
  ~SharedPages();
  SharedPages(SharedPages&& other) noexcept;
  SharedPages& operator=(SharedPages&&) = delete;

  bool is_open() const { return data_ != nullptr; }
  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

// Memory to be shared, which nobody can cut while another uses it.
struct SealedMemory {
  Descriptor descriptor;
  SharedPages pages;

  // Nothing: the system gives none.
  static std::optional<SealedMemory> make(const char* name, size_t size);
};
// The size of what a peer gives to be shared; 0: it is no such memory.
uint64_t sealed_size(const Descriptor& descriptor);

class SharedRoom {
 public:
  static constexpr size_t kBytes = size_t{32} << 20;  // at most; taken as they are used

  static std::unique_ptr<SharedRoom> make();
  // What the receiver is to be given.
  int descriptor() const { return descriptor_.get(); }
  // Copies a message. Nothing: there is no room for it now.
  std::optional<SharedPlace> put(std::string_view message);
  // The same of pieces that follow one another, of so many bytes in all.
  std::optional<SharedPlace> put(std::span<const Bytes> pieces, size_t size);

 private:
  struct Slot {
    size_t begin = 0, end = 0;
  };
  SharedRoom(Descriptor descriptor, SharedPages pages)
      : descriptor_(std::move(descriptor)), pages_(std::move(pages)) {}

  Descriptor descriptor_;
  SharedPages pages_;
  std::vector<Slot> slots_;  // that were taken, by their place
};

class SharedView {
 public:
  // corrupt for what is no room.
  static Result<std::shared_ptr<const SharedView>> open(Descriptor descriptor);
  // The bytes at a place, which is given back with the last of them. corrupt: there is no such one.
  static Result<Bytes> at(const std::shared_ptr<const SharedView>& view, const SharedPlace& place);

 private:
  explicit SharedView(SharedPages pages) : pages_(std::move(pages)) {}

  SharedPages pages_;
};

}  // namespace evergrove::runtime
