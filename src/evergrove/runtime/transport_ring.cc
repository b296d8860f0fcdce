// Both count bytes from the first one on, each on a cache line of its own; a place in the ring is
// the count's remainder. Who finds it full says that it waits and looks again; who has read looks
// whether somebody waits: one of the two sees the other.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_ring.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

namespace evergrove::runtime {
namespace {

constexpr size_t kHeadBytes = 4096;
constexpr size_t kAllBytes = kHeadBytes + kRingBytes;

struct Head {
  alignas(64) uint64_t written = 0;
  alignas(64) uint64_t read = 0;
  uint32_t waits = 0;
};

Head& head_in(const SharedPages& pages) { return *reinterpret_cast<Head*>(pages.data()); }

// Calls copy(place in the ring, size) once or, around the ring's end, twice.
template <typename Copy>
void in_ring(const SharedPages& pages, uint64_t first, size_t size, const Copy& copy) {
  const size_t begin = first % kRingBytes;
  const size_t until_end = std::min(size, kRingBytes - begin);
  char* const bytes = pages.data() + kHeadBytes;
  copy(bytes + begin, until_end);
  if (size > until_end) copy(bytes, size - until_end);
}

}  // namespace

std::unique_ptr<RingWriter> RingWriter::make() {
  auto memory = SealedMemory::make("evergrove ring", kAllBytes);
  if (!memory) return nullptr;
  return std::unique_ptr<RingWriter>(
      new RingWriter(std::move(memory->descriptor), std::move(memory->pages)));
}

// None, where the other side says what cannot be.
size_t RingWriter::room() const {
  const uint64_t read = std::atomic_ref(head_in(pages_).read).load();
  const uint64_t used = written_ - read;
  return used <= kRingBytes ? kRingBytes - used : 0;
}

size_t RingWriter::write(std::span<const iovec> pieces) {
  size_t wanted = 0;
  for (const iovec& piece : pieces) wanted += piece.iov_len;
  size_t left = room();
  if (left < wanted) {
    std::atomic_ref(head_in(pages_).waits).store(1);
    left = room();
  }
  const uint64_t before = written_;
  for (const iovec& piece : pieces) {
    const size_t size = std::min(piece.iov_len, left);
    const char* from = static_cast<const char*>(piece.iov_base);
    in_ring(pages_, written_, size, [&](char* to, size_t some) {
      std::memcpy(to, from, some);
      from += some;
    });
    written_ += size;
    left -= size;
  }
  std::atomic_ref(head_in(pages_).written).store(written_);
  return written_ - before;
}

Result<std::unique_ptr<RingReader>> RingReader::open(Descriptor descriptor) {
  if (sealed_size(descriptor) != kAllBytes) return corrupt("The peer writes to what is no ring");
  SharedPages pages(descriptor, kAllBytes);
  if (!pages.is_open()) return storage_error("There is no memory for what a peer shares");
  return std::unique_ptr<RingReader>(new RingReader(std::move(pages)));
}

// Whatever the other side says it has written, no more than the ring has is read.
size_t RingReader::read(std::span<char> room) {
  const uint64_t written = std::atomic_ref(head_in(pages_).written).load();
  const size_t size = std::min<uint64_t>({written - read_, kRingBytes, room.size()});
  char* to = room.data();
  in_ring(pages_, read_, size, [&](const char* from, size_t some) {
    std::memcpy(to, from, some);
    to += some;
  });
  read_ += size;
  if (size > 0) std::atomic_ref(head_in(pages_).read).store(read_);
  return size;
}

bool RingReader::is_waited_for() {
  std::atomic_ref waits(head_in(pages_).waits);
  return waits.load() != 0 && waits.exchange(0) != 0;
}

}  // namespace evergrove::runtime
