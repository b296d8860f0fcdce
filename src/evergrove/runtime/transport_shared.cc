// A place begins with a cache line whose first word says whether it is taken; the message follows.
// The first gap that is large enough is taken, so that the same few pages are used again and again,
// and are in the processor's cache.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_shared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <utility>

namespace evergrove::runtime {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kPagesBytesMax = size_t{1} << 30;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

size_t slot_bytes(size_t message_bytes) {
  return kLine + (message_bytes + kLine - 1) / kLine * kLine;
}

std::atomic_ref<uint32_t> taken_at(char* slot) {
  return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(slot));
}

Status no_room() {
  return corrupt("The peer says that a message is where the memory that it shares has none");
}

}  // namespace

std::string SharedPlace::encode() const { return ByteWriter().u32(offset).u32(bytes).take(); }

SharedPlace SharedPlace::decode(std::string_view bytes) {
  ByteReader in(bytes);
  const uint32_t offset = in.u32();
  return {offset, in.u32()};
}

SharedPages::SharedPages(const Descriptor& descriptor, size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
  if (memory == MAP_FAILED) return;
  data_ = static_cast<char*>(memory);
  size_ = size;
}

SharedPages::~SharedPages() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

SharedPages::SharedPages(SharedPages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

std::optional<SealedMemory> SealedMemory::make(const char* name, size_t size) {
  Descriptor descriptor(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!descriptor.is_open() || ::ftruncate(descriptor.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(descriptor.get(), F_ADD_SEALS, kSeals) != 0) {
    return std::nullopt;
  }
  SharedPages pages(descriptor, size);
  if (!pages.is_open()) return std::nullopt;
  return SealedMemory{std::move(descriptor), std::move(pages)};
}

uint64_t sealed_size(const Descriptor& descriptor) {
  struct stat facts = {};
  if (!descriptor.is_open() || ::fstat(descriptor.get(), &facts) != 0) return 0;
  const int seals = ::fcntl(descriptor.get(), F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals ? static_cast<uint64_t>(facts.st_size) : 0;
}

std::unique_ptr<SharedRoom> SharedRoom::make() {
  auto memory = SealedMemory::make("evergrove messages", kBytes);
  if (!memory) return nullptr;
  return std::unique_ptr<SharedRoom>(
      new SharedRoom(std::move(memory->descriptor), std::move(memory->pages)));
}

std::optional<SharedPlace> SharedRoom::put(std::string_view message) {
  const Bytes piece{message, nullptr};
  return put({&piece, 1}, message.size());
}

std::optional<SharedPlace> SharedRoom::put(std::span<const Bytes> pieces, size_t size) {
  std::erase_if(slots_, [&](const Slot& slot) {
    return taken_at(pages_.data() + slot.begin).load(std::memory_order_acquire) == 0;
  });
  const size_t needed = slot_bytes(size);
  size_t begin = 0;
  auto next = slots_.begin();
  for (; next != slots_.end() && next->begin - begin < needed; ++next) begin = next->end;
  if (needed > pages_.size() - begin) return std::nullopt;
  slots_.insert(next, {begin, begin + needed});
  char* const slot = pages_.data() + begin;
  taken_at(slot).store(1, std::memory_order_relaxed);
  char* to = slot + kLine;
  for (const Bytes& piece : pieces) {
    std::memcpy(to, piece.view.data(), piece.view.size());
    to += piece.view.size();
  }
  return SharedPlace{static_cast<uint32_t>(begin), static_cast<uint32_t>(size)};
}

Result<std::shared_ptr<const SharedView>> SharedView::open(Descriptor descriptor) {
  const uint64_t size = sealed_size(descriptor);
  if (size < kLine || size > kPagesBytesMax) {
    return corrupt("The peer shares memory that messages cannot be read from");
  }
  SharedPages pages(descriptor, size);
  if (!pages.is_open()) return storage_error("There is no memory for what a peer shares");
  return std::shared_ptr<const SharedView>(new SharedView(std::move(pages)));
}

Result<Bytes> SharedView::at(const std::shared_ptr<const SharedView>& view,
                             const SharedPlace& place) {
  const SharedPages& pages = view->pages_;
  if (place.offset % kLine != 0 || place.offset > pages.size() ||
      slot_bytes(place.bytes) > pages.size() - place.offset) {
    return no_room();
  }
  char* const slot = pages.data() + place.offset;
  const std::shared_ptr<const void> owner(slot, [view](const void* begin) {
    char* const taken = const_cast<char*>(static_cast<const char*>(begin));
    taken_at(taken).store(0, std::memory_order_release);
  });
  return Bytes{std::string_view(slot + kLine, place.bytes), owner};
}

}  // namespace evergrove::runtime
