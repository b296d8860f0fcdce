// Ring: the bytes of one direction of a connection between two processes of a machine, in memory
// that both have: a system call less for who writes and for who reads than by a socket. Who is to
// be told of them is told by a bell (transport_bell.h).
//
// One thread writes, one reads. What the other side has written to the shared memory is checked.
//
//   std::unique_ptr<RingWriter> writer = RingWriter::make();        // null: the system gives none
//   size_t taken = writer->write(pieces);                           // less: it is full
//   EVERGROVE_ASSIGN_OR_RETURN(auto reader, RingReader::open(std::move(descriptor)));
//   size_t size = reader->read(room);                               // 0: it is empty
//   if (reader->is_waited_for()) ...tell the writer that there is room...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport_shared.h"

namespace evergrove::runtime {

inline constexpr size_t kRingBytes = size_t{1} << 18;

class RingWriter {
 public:
  static std::unique_ptr<RingWriter> make();
  // What the reader is to be given.
  int descriptor() const { return descriptor_.get(); }
  // Returns how many bytes it took; where not all, the reader will say when it has room.
  size_t write(std::span<const iovec> pieces);

 private:
  RingWriter(Descriptor descriptor, SharedPages pages)
      : descriptor_(std::move(descriptor)), pages_(std::move(pages)) {}
  size_t room() const;

  Descriptor descriptor_;
  SharedPages pages_;
  uint64_t written_ = 0;
};

class RingReader {
 public:
  // corrupt for what is no ring.
  static Result<std::unique_ptr<RingReader>> open(Descriptor descriptor);
  size_t read(std::span<char> room);
  // Whether the writer waits for room, since it was asked last.
  bool is_waited_for();

 private:
  explicit RingReader(SharedPages pages) : pages_(std::move(pages)) {}

  SharedPages pages_;
  uint64_t read_ = 0;
};

}  // namespace evergrove::runtime
