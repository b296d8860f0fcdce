// Listener: where a Transport is connected to, and who is let in.
//
// Who shows that he has the token, is of our run and of no later version is handed to `accept`.
// Everybody else is told why not, and `refuse` is called with a note. One thread talks to all
// strangers and waits for none, so that they can slow each other down but nobody else; there are at
// most unauthenticated_count_max of them, and kJustComeMax who have just come.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {

// Both are called by the listener's thread, and are not to wait.
struct ListenerHost {
  std::function<void(const std::string& name, const std::string& address,
                     std::unique_ptr<TransportStream>)>
      accept;
  std::function<void(const std::string& note)> refuse;
};

class Listener {
 public:
  static Result<std::unique_ptr<Listener>> open(const TransportOptions& options, ListenerHost host);
  // Cuts off all strangers; no more calls of the host follow.
  ~Listener();

  uint16_t port() const;

  static constexpr size_t kJustComeMax = 1000;

 private:
  class Thread;
  Listener();

  std::unique_ptr<Thread> thread_;
};

// Why the options may not listen as they say: a host beyond loopback without TLS and a token; no
// certificate where those who are to connect expect one, for all of a run have the same CA.
Status check_may_listen(const TransportOptions& options);

}  // namespace evergrove::runtime
