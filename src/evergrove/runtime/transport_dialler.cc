// A connection that has failed is to be seen, and dialled again by who knows why: nothing here is
// tried twice.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_dialler.h"

#include <poll.h>

#include <array>
#include <string>
#include <utility>

#include "evergrove/runtime/tls_credentials.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_greeting.h"
#include "evergrove/runtime/transport_local.h"
#include "evergrove/runtime/transport_sockets.h"

namespace evergrove::runtime {
namespace {

constexpr char kTlsAlert = 0x15;  // how an answer of who expects TLS begins

Status gone(const TransportOptions& options) {
  return storage_error(options.tls_ca_pem.empty() ? "The peer is gone, or the network is cut, or "
                                                    "it speaks TLS, for which --tls-ca is to be "
                                                    "given"
                                                  : "The peer is gone, or the network is cut");
}

std::string name_to_check(const TransportOptions& options, const std::string& host) {
  if (!options.tls_server_name.empty()) return options.tls_server_name;
  return is_made_by_us(options.tls_ca_pem) ? kCredentialsName : host;
}

Status shake_hands(const TransportOptions& options, TransportStream& stream) {
  for (;;) {
    const Io io = stream.shake_hands();
    if (io.state == Io::done) return {};
    if (io.state == Io::over) {
      Status why = stream.why_no_hands();
      return why.ok() ? gone(options) : why;
    }
    stream.wait_for(io.state == Io::wants_read ? POLLIN : POLLOUT);
  }
}

Status write_all(const TransportOptions& options, TransportStream& stream, std::string_view bytes) {
  while (!bytes.empty()) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    const Io io = stream.write(std::span(&piece, 1));
    if (io.state == Io::over) return gone(options);
    bytes.remove_prefix(io.bytes);
    if (io.state != Io::done) stream.wait_for(POLLOUT);
  }
  return {};
}

Result<GreetingFrame> read_frame(const TransportOptions& options, TransportStream& stream) {
  GreetingFrame frame;
  while (!frame.is_whole()) {
    std::array<char, 512> bytes;
    const size_t size = std::min(bytes.size(), frame.missing());
    const Io io = stream.read_waiting(std::span(bytes).first(size));
    if (io.state == Io::over) return gone(options);
    const Status status = frame.take(std::string_view(bytes.data(), io.bytes));
    if (!status.ok() && options.tls_ca_pem.empty() && bytes[0] == kTlsAlert) {
      return invalid_input("The peer speaks TLS; give by --tls-ca the ca.pem of its run");
    }
    EVERGROVE_RETURN_IF_ERROR(status);
  }
  return frame;
}

// Returns the peer's name.
Result<std::string> greet(const TransportOptions& options, TransportStream& stream) {
  Greeting greeting(Greeting::Side::dialler,
                    {options.version, options.name, options.run, options.token}, make_nonce());
  EVERGROVE_RETURN_IF_ERROR(write_all(options, stream, greeting.begin()));
  while (!greeting.is_done()) {
    EVERGROVE_ASSIGN_OR_RETURN(const GreetingFrame frame, read_frame(options, stream));
    const Result<std::string> answer = greeting.take(frame);
    if (!answer.ok() && frame.kind() == FrameKind::refused) {
      return answer.status().with_context("it refuses us");
    }
    EVERGROVE_RETURN_IF_ERROR(answer.status());
    EVERGROVE_RETURN_IF_ERROR(write_all(options, stream, *answer));
  }
  return greeting.peer_name();
}

Result<std::unique_ptr<TransportStream>> open_stream(const TransportOptions& options,
                                                     const TransportTls* tls,
                                                     const Connection& connection) {
  EVERGROVE_ASSIGN_OR_RETURN(const HostPort place, parse_host_port(connection.peer_address()));
  if (tls == nullptr && options.is_local && is_loopback(place.host)) {
    Descriptor socket = connect_locally(place);
    if (socket.is_open()) return local_transport_stream(std::move(socket));
  }
  EVERGROVE_ASSIGN_OR_RETURN(Descriptor socket, connect_to(place, options.dial_max,
                                                           [&] { return connection.is_ending(); }));
  if (tls == nullptr) return plain_transport_stream(std::move(socket));
  return tls->stream(std::move(socket), name_to_check(options, place.host));
}

// Returns the peer's name.
Result<std::string> connect(const TransportOptions& options, const TransportTls* tls,
                            Connection& connection) {
  EVERGROVE_ASSIGN_OR_RETURN(std::unique_ptr<TransportStream> stream,
                             open_stream(options, tls, connection));
  if (!connection.adopt(std::move(stream))) return gone(options);
  EVERGROVE_RETURN_IF_ERROR(shake_hands(options, connection.stream()));
  return greet(options, connection.stream());
}

}  // namespace

bool open_dialled(const TransportOptions& options, const TransportTls* tls,
                  Connection& connection) {
  const Result<std::string> peer_name = connect(options, tls, connection);
  if (!peer_name.ok()) {
    connection.fail(peer_name.status().with_context(connection.peer_address()));
    return false;
  }
  return connection.open(*peer_name);
}

}  // namespace evergrove::runtime
