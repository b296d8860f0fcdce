// Transport: connections between the processes of a run, over TCP and TLS; bytes in, bytes out.
//
// Promise: messages of one connection arrive whole, once, and in the order in which they were
// sent; each connection that was dialled or opened ends with exactly one Closed. Nobody gets as far
// as Opened who lacks the token, is of another run or speaks a later protocol, and a host other
// than loopback is listened on only with TLS and a token. A peer that is gone, stopped or cut off
// is noticed within `silence_max`, and can neither block send() nor the destructor.
// It knows nothing of what the messages mean. All methods may be called from any thread.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto transport, Transport::open(options, [&](TransportEvent event) {
//     inbox.push(std::move(event));
//   }));
//   ConnectionId coordinator = transport->dial("10.0.0.7:7070");   // Opened or Closed follows
//   if (!transport->send(coordinator, bytes)) ...                  // gone, or too much is waiting
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"

namespace evergrove::runtime {

inline constexpr uint32_t kTransportVersion = 4;
inline constexpr uint64_t kMessageBytesMax = uint64_t{1} << 30;

using ConnectionId = uint64_t;  // never 0, never used twice by one Transport

struct TransportOptions {
  std::string listen;           // HOST:PORT, port 0 for any, or HOST:FIRST-LAST; empty: only dials
  std::string advertised_host;  // what peers are to dial; empty: the host of `listen`, or, where
                                // that is 0.0.0.0 or [::], this machine's first address
  std::string token;            // the same in all processes of a run; empty: only on loopback
  std::string tls_cert_pem;     // of the listener, with its key; empty: no TLS
  std::string tls_key_pem;
  std::string tls_ca_pem;       // who dials trusts what this has signed; empty: no TLS
  std::string tls_server_name;  // the name to be in the certificate; empty: the host dialled, or
                                // kCredentialsName if the CA is one of make_credentials()
  std::string name;             // who we are, for people to read
  std::string run;              // a peer of another run is refused; empty: not known yet
  uint64_t queue_bytes_max = uint64_t{256} << 20;  // waiting to be sent, of each connection

  std::chrono::milliseconds dial_max{5000};    // from dial() to Opened
  std::chrono::milliseconds ping_every{5000};  // after as much time without a message
  std::chrono::milliseconds silence_max{20000};
  std::chrono::milliseconds close_max{500};  // to send what waits when a connection is closed
  std::chrono::milliseconds unauthenticated_max{10000};  // a stranger's connection is cut then
  uint32_t unauthenticated_count_max = 64;               // and the oldest of more than these

  size_t reading_threads = 1;  // where nobody attends
  // Whether processes of this user on this machine are talked to by a local socket, where TLS is
  // not asked for (transport_local.h).
  bool is_local = true;

  // For tests of what a later version is told.
  uint32_t version = kTransportVersion;
};

struct Opened {
  ConnectionId connection = 0;
  std::string peer_name;
  // HOST:PORT of the socket's other end, or what was dialled; "HOST:PORT (local)", as it was
  // dialled here, of one that came by a local socket.
  std::string peer_address;
  bool is_dialled = false;  // by us
};
struct Received {
  ConnectionId connection = 0;
  Bytes bytes;
};
// `why` is ok if either side closed it on purpose; storage if the network or the peer failed;
// invalid_input if it was refused (token, certificate, run); unsupported for another version;
// corrupt if the peer sent what is no message of ours.
struct Closed {
  ConnectionId connection = 0;
  Status why;
};
// Somebody was refused, for people to read; at most one a second, `count` since the last.
struct Refused {
  std::string note;
  uint64_t count = 0;
};
using TransportEvent = std::variant<Opened, Received, Closed, Refused>;

class Transport {
 public:
  // The events of one connection come in order, one at a time; those of several from several
  // threads. A callback that blocks holds back who reads; it must not call the destructor. It may
  // use the Transport (by a plain pointer: a unique_ptr is null while it is being reset) until the
  // destructor returns, and is not called after that.
  using Callback = std::function<void(TransportEvent)>;

  // Listens, if it is to. invalid_input for a host, certificate or key that cannot be, and for
  // listening beyond loopback without TLS and a token; storage if the port is taken.
  static Result<std::unique_ptr<Transport>> open(TransportOptions options, Callback callback);
  // Sends what waits for at most close_max, and ends all connections without further events.
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // HOST:PORT as peers should dial it; empty if it does not listen.
  std::string address() const;
  // Begins to connect, and returns at once; Opened or Closed follows.
  ConnectionId dial(std::string address);
  // Takes a message to be sent; never blocks. False, and nothing is sent, if the connection is not
  // open (yet), or if with it more than queue_bytes_max would wait. One message may always wait.
  // Requires: bytes.size() <= kMessageBytesMax.
  bool send(ConnectionId connection, std::string bytes);
  // The same of pieces that follow one another; where memory is shared they are copied once.
  bool send(ConnectionId connection, const std::vector<Bytes>& pieces);
  // Whether large messages to the peer lie in memory that is shared with it.
  bool is_near(ConnectionId connection) const;
  // Reads what comes, on this thread, with its callbacks, until something came, or wake() was
  // called since the last time, or `until`. count: of messages from processes of this machine there
  // need be so many, as far as they are all that comes. While somebody does so again and again a
  // message costs no change of thread; after 10 ms without, and where nobody ever does, threads of
  // the transport's own read. One thread at a time.
  void attend(std::chrono::steady_clock::time_point until, uint32_t count = 1);
  void wake();
  // Sends what waits for at most close_max, then ends the connection; Closed follows.
  void close(ConnectionId connection);
  // How many bytes wait to be sent on a connection; 0 for one that is gone.
  uint64_t waiting_bytes(ConnectionId connection) const;
  // How many were refused: connections and calls without the right token, run or version.
  uint64_t refused_count() const;
  // Bytes of messages sent and received since open(), for measuring.
  uint64_t sent_bytes() const;
  uint64_t received_bytes() const;

 private:
  struct State;
  explicit Transport(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace evergrove::runtime
