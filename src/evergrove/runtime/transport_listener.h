// Listener: the Flight server of a Transport, and who is let in.
//
// A call is let in if it brings the token and a greeting of our run and of no later version; it is
// then handed to `accept`, which runs it to its end on gRPC's thread. Everybody else is told why
// not, and `refuse` is called with a note. Connections that bring no call that was let in are cut
// by look_for_strangers(), which is to be called about once a second.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_connection.h"

namespace evergrove::runtime {

struct ListenerHost {
  std::function<void(const Greeting&, const std::string& peer, FlightStream)> accept;
  std::function<void(const std::string& note)> refuse;
};

class Listener {
 public:
  static Result<std::unique_ptr<Listener>> open(const TransportOptions& options, ListenerHost host);
  // Cuts what is still connected, and waits for the calls to return.
  ~Listener();

  uint16_t port() const;
  void look_for_strangers(std::chrono::steady_clock::time_point now);

 private:
  class Server;
  Listener();

  std::unique_ptr<Server> server_;
};

// Why the options may not listen as they say: a host beyond loopback without TLS and a token.
Status check_may_listen(const TransportOptions& options);
// Whether two secrets are equal, in a time that does not tell where they differ.
bool is_same_secret(std::string_view a, std::string_view b);

}  // namespace evergrove::runtime
