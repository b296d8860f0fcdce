// The sockets of a transport: one that listens, those that it accepts, those that dial.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const ListeningSocket listening, listen_on({"127.0.0.1", 0, 0}));
//   EVERGROVE_ASSIGN_OR_RETURN(Descriptor socket, connect_to(place, time_max, is_stopped));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport_address.h"

namespace evergrove::runtime {

struct ListeningSocket {
  Descriptor socket;  // does not block
  uint16_t port = 0;
};

struct AcceptedSocket {
  Descriptor socket;      // blocks; not open: there was none, or no room for one
  std::string peer;       // HOST:PORT
  bool is_short = false;  // of descriptors or memory, so that others may be waiting
};

// Has a thread that polls end its wait; it is readable from then on, for good or until drain().
class WakeUp {
 public:
  WakeUp();
  void call() const;
  void drain() const;
  bool is_open() const { return event_.is_open(); }  // false: there was no room for it
  int get() const { return event_.get(); }           // to be polled

 private:
  Descriptor event_;
};

// On the first port of the range that is free. invalid_input for a host that is not of this
// machine, storage if the ports are taken.
Result<ListeningSocket> listen_on(const PortRange& places);
// Whether accept() fails by it for want of descriptors or memory.
bool is_shortage(int error);
// The next that has connected, if there is one.
AcceptedSocket accept_from(const ListeningSocket& listening);
// Connects within the time given, or until `is_stopped`; the socket blocks.
Result<Descriptor> connect_to(const HostPort& place, std::chrono::milliseconds time_max,
                              const std::function<bool()>& is_stopped);
// Lets this process have as many sockets as the system allows it; the usual limit is 1024.
void raise_socket_limit();

}  // namespace evergrove::runtime
