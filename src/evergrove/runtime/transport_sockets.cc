// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

// Null, and why, if there is none.
std::pair<Addresses, std::string> addresses_of(const HostPort& place, int flags) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(place.host.c_str(), std::to_string(place.port).c_str(), &hints, &found);
  return {Addresses(error == 0 ? found : nullptr, ::freeaddrinfo),
          error == 0 ? "" : ::gai_strerror(error)};
}

// An address of IPv4 that is written as one of IPv6 counts as what it is.
HostPort place_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
    return {text, ntohs(four->sin_port)};
  }
  if (address.ss_family != AF_INET6) return {};
  const auto* six = reinterpret_cast<const sockaddr_in6*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
    inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
  }
  return {text, ntohs(six->sin6_port)};
}

void send_at_once(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Status why_not_listening(const PortRange& places, int error) {
  const bool is_one = places.port_first == places.port_last;
  const std::string address = to_text(places);
  switch (error) {
    case EADDRINUSE:
      return storage_error(is_one
                               ? "Somebody listens on the port already; give another, or 0 for any"
                               : "Somebody listens on all of the ports already; give a wider range",
                           {{"address", address}});
    case EADDRNOTAVAIL:
      return invalid_input("The host to listen on is not of this machine; give one that is",
                           {{"address", address}});
    case EACCES:
      return invalid_input("Only root may listen on this port; give one above 1023, or 0 for any",
                           {{"address", address}});
    default:
      return storage_error("This cannot be listened on; give another host or port",
                           {{"address", address}, {"reason", std::strerror(error)}});
  }
}

// Returns 0, or why not.
int listen_on_one(const addrinfo& address, Descriptor& made) {
  made = Descriptor(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // A port that was listened on a moment ago may be taken again.
  const int on = 1;
  ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool is_made = ::bind(made.get(), address.ai_addr, address.ai_addrlen) == 0 &&
                       ::listen(made.get(), SOMAXCONN) == 0;
  return is_made ? 0 : errno;
}

Status not_connected(int error) {
  return storage_error("The connection could not be made", {{"reason", std::strerror(error)}});
}

// Whether a connection in the making was made within the time.
Status wait_connected(int socket, steady_clock::time_point end,
                      const std::function<bool()>& is_stopped) {
  constexpr int kLookMs = 20;  // how soon is_stopped is noticed
  while (steady_clock::now() < end && !is_stopped()) {
    pollfd one{socket, POLLOUT, 0};
    if (::poll(&one, 1, kLookMs) <= 0) continue;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? Status() : not_connected(error);
  }
  return storage_error("The connection could not be made in time; is the host there?");
}

}  // namespace

Result<ListeningSocket> listen_on(const PortRange& places) {
  ListeningSocket listening;
  int error = EADDRINUSE;
  for (uint32_t port = places.port_first; port <= places.port_last && error == EADDRINUSE; ++port) {
    const HostPort place{places.host, static_cast<uint16_t>(port)};
    const auto [addresses, reason] = addresses_of(place, AI_PASSIVE);
    if (addresses == nullptr) {
      return invalid_input("The host to listen on is not known; give one of this machine's",
                           {{"address", to_text(place)}, {"reason", reason}});
    }
    error = listen_on_one(*addresses, listening.socket);
  }
  if (error != 0) return why_not_listening(places, error);
  sockaddr_storage own = {};
  socklen_t size = sizeof own;
  const int socket = listening.socket.get();
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return why_not_listening(places, errno);
  }
  listening.port = place_of(own).port;
  return listening;
}

WakeUp::WakeUp() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void WakeUp::call() const {
  const uint64_t one = 1;
  (void)!::write(event_.get(), &one, sizeof one);
}

void WakeUp::drain() const {
  uint64_t count = 0;
  (void)!::read(event_.get(), &count, sizeof count);
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

AcceptedSocket accept_from(const ListeningSocket& listening) {
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  AcceptedSocket accepted;
  accepted.socket = Descriptor(
      ::accept4(listening.socket.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
  if (accepted.socket.is_open()) {
    send_at_once(accepted.socket.get());
    accepted.peer = to_text(place_of(peer));
  } else {
    accepted.is_short = is_shortage(errno);
  }
  return accepted;
}

Result<Descriptor> connect_to(const HostPort& place, milliseconds time_max,
                              const std::function<bool()>& is_stopped) {
  const auto end = steady_clock::now() + time_max;
  const auto [addresses, reason] = addresses_of(place, 0);
  if (addresses == nullptr) return storage_error("The host is not known", {{"reason", reason}});
  Status status = storage_error("The host has no address");
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    Descriptor socket(::socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    status = Status();
    if (!socket.is_open()) {
      status = not_connected(errno);
    } else if (::connect(socket.get(), one->ai_addr, one->ai_addrlen) != 0) {
      status = errno == EINPROGRESS ? wait_connected(socket.get(), end, is_stopped)
                                    : not_connected(errno);
    }
    if (!status.ok()) continue;
    send_at_once(socket.get());
    ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
    return socket;
  }
  return status;
}

void raise_socket_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace evergrove::runtime
