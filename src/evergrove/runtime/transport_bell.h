// Bell: how a process that waits is woken by others of its machine, and not before so many messages
// are there as it waits for: of a round that several have to answer, by the last one.
//
// A page of memory that both have says how many messages have come, in which places, and from how
// many on the one who waits wants to be called, which takes a system call; while it does not wait,
// nobody calls, and it sees what has come by a look at the page. Messages themselves come by their
// sockets. Any thread may ring; one waits.
//
//   Bell bell;                                              // peers get bell.page() and
//   bell.call() if (bell.begin_wait(2)) ...poll bell.call()... bell.end_wait(); for (uint64_t
//   places = bell.take(); ...) ...read what has come...
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto peer, PeerBell::open(std::move(page), std::move(call), place));
//   ...write a message...
//   peer->ring(1);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport_shared.h"
#include "evergrove/runtime/transport_sockets.h"

namespace evergrove::runtime {

inline constexpr uint32_t kBellPlaces = 64;

class Bell {
 public:
  Bell();
  // False: the system gives none.
  bool is_open() const { return pages_.has_value() && call_.is_open(); }
  // Descriptors that a peer is to have. The second one is readable from the first call on: each
  // call is an event to who polls for those alone (EPOLLET), and need not be read.
  int page() const { return page_.get(); }
  int call() const { return call_.get(); }

  // From `count` messages on who rings calls as well, once. False: they are there, so that there is
  // nothing to wait for. end_wait() follows, always.
  bool begin_wait(uint32_t count);
  void end_wait();
  // A bit for each place from which something has come since the last time.
  uint64_t take();
  // As a peer of that place does.
  void ring(uint32_t place);

 private:
  Descriptor page_;
  std::optional<SharedPages> pages_;
  WakeUp call_;
};

class PeerBell {
 public:
  // corrupt for what is no bell.
  static Result<std::unique_ptr<PeerBell>> open(Descriptor page, Descriptor call, uint32_t place);
  // So many messages are there.
  void ring(uint32_t messages);

 private:
  PeerBell(SharedPages pages, Descriptor call, uint32_t place)
      : pages_(std::move(pages)), call_(std::move(call)), place_(place) {}

  SharedPages pages_;
  Descriptor call_;
  uint32_t place_;
};

}  // namespace evergrove::runtime
