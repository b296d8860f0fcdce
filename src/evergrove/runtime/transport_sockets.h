// The sockets that gRPC has accepted for us, seen from outside of gRPC.
//
// gRPC's C++ library gives a server no way to end a connection, nor to limit those that have not
// said who they are; but the sockets are our process's own, so they can be found by the port they
// were accepted on, and shut down, after which gRPC finds them ended. Linux only (/proc/self/fd).
//
//   for (const AcceptedSocket& socket : accepted_sockets(port)) ...
//   shut_down(port, "127.0.0.1:43210");
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

// Whether the port could be listened on just now; says why not, which gRPC does not.
Status check_can_listen(const std::string& host, uint16_t port);
// Lets this process have as many sockets as the system allows it; the usual limit is 1024.
void raise_socket_limit();
// The other ends, as HOST:PORT, of all sockets of this process that were accepted on the port.
std::vector<std::string> accepted_peers(uint16_t port);
// Ends the accepted sockets whose other end is named true; both directions, at once.
void shut_down_peers(uint16_t port, const std::function<bool(const std::string&)>& is_meant);
// HOST:PORT of what gRPC calls a peer, such as ipv4:127.0.0.1:43210 or ipv6:%5B::1%5D:43210.
std::string peer_of_grpc(std::string_view text);
// Connects and closes at once: whether somebody listens there, and if not, why not, within the
// time given, or until `is_stopped`. gRPC's own words for it are long and uncertain.
Status probe(const std::string& host, uint16_t port, std::chrono::milliseconds time_max,
             const std::function<bool()>& is_stopped);

// Who is connected without having said who he is, for how long: pure.
class Strangers {
 public:
  Strangers(std::chrono::milliseconds time_max, size_t count_max)
      : time_max_(time_max), count_max_(count_max) {}

  // Takes who is connected now, and who of them is known; returns who is to be cut off: who is
  // unknown for too long, and the first come of too many. Nobody is one too many at the first look:
  // when many come at once, as after a restart, most will have said who they are by the next.
  std::vector<std::string> look(std::chrono::steady_clock::time_point now,
                                const std::vector<std::string>& connected,
                                const std::set<std::string>& known);

 private:
  struct Stranger {
    std::chrono::steady_clock::time_point since;
    uint64_t order = 0;
  };

  std::chrono::milliseconds time_max_;
  size_t count_max_;
  uint64_t next_order_ = 0;
  std::map<std::string, Stranger> strangers_;
};

}  // namespace evergrove::runtime
