// Who rings first says what has come and then looks whether the other waits; who waits first says
// so and then looks what has come: one of the two sees the other (all of it sequentially
// consistent). SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_bell.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace evergrove::runtime {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr uint32_t kNever = ~uint32_t{0};

struct alignas(64) Page {
  uint64_t places = 0;
  uint32_t messages = 0;
  uint32_t call_from = 0;
};

Page& page_in(const SharedPages& pages) { return *reinterpret_cast<Page*>(pages.data()); }

// Returns whether there are now as many as somebody waits for, and the caller is to call.
bool announce(const SharedPages& pages, uint32_t place, uint32_t messages) {
  Page& page = page_in(pages);
  std::atomic_ref(page.places).fetch_or(uint64_t{1} << place);
  const uint32_t here = std::atomic_ref(page.messages).fetch_add(messages) + messages;
  uint32_t from = std::atomic_ref(page.call_from).load();
  return here >= from && std::atomic_ref(page.call_from).compare_exchange_strong(from, kNever);
}

}  // namespace

Bell::Bell() {
  auto memory = SealedMemory::make("evergrove bell", kPageBytes);
  if (!memory) return;
  page_ = std::move(memory->descriptor);
  pages_.emplace(std::move(memory->pages));
  page_in(*pages_).call_from = kNever;
}

bool Bell::begin_wait(uint32_t count) {
  Page& page = page_in(*pages_);
  const uint32_t wanted = std::max<uint32_t>(count, 1);
  std::atomic_ref(page.call_from).store(wanted);
  return std::atomic_ref(page.messages).load() < wanted;
}

void Bell::end_wait() { std::atomic_ref(page_in(*pages_).call_from).store(kNever); }

uint64_t Bell::take() {
  Page& page = page_in(*pages_);
  std::atomic_ref messages(page.messages);
  if (messages.load() == 0) return 0;
  messages.exchange(0);
  return std::atomic_ref(page.places).exchange(0);
}

void Bell::ring(uint32_t place) {
  if (announce(*pages_, place, 1)) call_.call();
}

Result<std::unique_ptr<PeerBell>> PeerBell::open(Descriptor page, Descriptor call, uint32_t place) {
  const bool is_page = sealed_size(page) == kPageBytes;
  // Whoever calls must not wait, whatever it is that was given.
  const int flags = call.is_open() ? ::fcntl(call.get(), F_GETFL) : -1;
  const bool is_call = flags >= 0 && (flags & O_NONBLOCK) != 0;
  if (!is_page || !is_call || place >= kBellPlaces) {
    return corrupt("The peer wants to be called by what is no bell");
  }
  SharedPages pages(page, kPageBytes);
  if (!pages.is_open()) return storage_error("There is no memory for what a peer shares");
  return std::unique_ptr<PeerBell>(new PeerBell(std::move(pages), std::move(call), place));
}

void PeerBell::ring(uint32_t messages) {
  if (!announce(pages_, place_, messages)) return;
  const uint64_t one = 1;
  (void)!::write(call_.get(), &one, sizeof one);
}

}  // namespace evergrove::runtime
