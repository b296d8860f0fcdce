// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_sockets.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport_address.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// An address of IPv4 that is written as one of IPv6 counts as what it is, as it does for gRPC.
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

bool is_accepted_on(int descriptor, uint16_t port) {
  sockaddr_storage local = {};
  socklen_t size = sizeof local;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&local), &size) != 0) return false;
  int listens = 0;
  socklen_t listens_size = sizeof listens;
  ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size);
  return listens == 0 && place_of(local).port == port;
}

// Calls visit(descriptor, peer) for each. The descriptor is a duplicate, so that it goes on
// meaning the same socket whatever gRPC does with its own.
template <typename Visit>
void for_each_accepted(uint16_t port, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    // Asked first without a duplicate: most are no sockets of ours.
    if (number < 0 || !is_accepted_on(number, port)) continue;
    const Descriptor duplicate(::fcntl(number, F_DUPFD_CLOEXEC, 0));
    if (!duplicate.is_open() || !is_accepted_on(duplicate.get(), port)) continue;
    sockaddr_storage peer = {};
    socklen_t size = sizeof peer;
    if (::getpeername(duplicate.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    visit(duplicate.get(), to_text(place_of(peer)));
  }
}

// Whether a connection in the making was made within the time.
Status wait_connected(int descriptor, steady_clock::time_point end,
                      const std::function<bool()>& is_stopped) {
  constexpr int kLookMs = 20;  // how soon is_stopped is noticed
  while (steady_clock::now() < end && !is_stopped()) {
    pollfd one{descriptor, POLLOUT, 0};
    if (::poll(&one, 1, kLookMs) <= 0) continue;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return {};
    return storage_error("The connection could not be made", {{"reason", std::strerror(error)}});
  }
  return storage_error("The connection could not be made in time; is the host there?");
}

}  // namespace

Status check_can_listen(const std::string& host, uint16_t port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const HostPort place{host, port};
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return invalid_input("The host to listen on is not known; give one of this machine's",
                         {{"address", to_text(place)}, {"reason", ::gai_strerror(error)}});
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  const Descriptor socket(::socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0));
  const int on = 1;
  // As gRPC does: a port that was listened on a moment ago may be taken again.
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) == 0 &&
      ::listen(socket.get(), 1) == 0) {
    return {};
  }
  switch (errno) {
    case EADDRINUSE:
      return storage_error("Somebody listens on the port already; give another, or 0 for any",
                           {{"address", to_text(place)}});
    case EADDRNOTAVAIL:
      return invalid_input("The host to listen on is not of this machine; give one that is",
                           {{"address", to_text(place)}});
    case EACCES:
      return invalid_input("Only root may listen on this port; give one above 1023, or 0 for any",
                           {{"address", to_text(place)}});
    default:
      return storage_error("This cannot be listened on; give another host or port",
                           {{"address", to_text(place)}, {"reason", std::strerror(errno)}});
  }
}

void raise_socket_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::vector<std::string> accepted_peers(uint16_t port) {
  std::vector<std::string> peers;
  for_each_accepted(port, [&](int, std::string peer) { peers.push_back(std::move(peer)); });
  return peers;
}

void shut_down_peers(uint16_t port, const std::function<bool(const std::string&)>& is_meant) {
  for_each_accepted(port, [&](int descriptor, const std::string& peer) {
    if (is_meant(peer)) ::shutdown(descriptor, SHUT_RDWR);
  });
}

std::string peer_of_grpc(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "%5B" || text.substr(i, 3) == "%5D") {
      plain += text[i + 2] == 'B' ? '[' : ']';
      i += 2;
    } else {
      plain += text[i];
    }
  }
  for (std::string_view kind : {"ipv4:", "ipv6:"}) {
    if (plain.starts_with(kind)) return plain.substr(kind.size());
  }
  return plain;
}

Status probe(const std::string& host, uint16_t port, milliseconds time_max,
             const std::function<bool()>& is_stopped) {
  const auto end = steady_clock::now() + time_max;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return storage_error("The host is not known", {{"reason", ::gai_strerror(error)}});
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  Status status = storage_error("The host has no address");
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const Descriptor socket(
        ::socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) continue;
    if (::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0) return {};
    if (errno == EINPROGRESS) {
      status = wait_connected(socket.get(), end, is_stopped);
      if (status.ok()) return status;
    } else {
      status =
          storage_error("The connection could not be made", {{"reason", std::strerror(errno)}});
    }
  }
  return status;
}

std::vector<std::string> Strangers::look(steady_clock::time_point now,
                                         const std::vector<std::string>& connected,
                                         const std::set<std::string>& known) {
  std::map<std::string, Stranger> still;
  for (const std::string& peer : connected) {
    if (known.contains(peer)) continue;
    const auto before = strangers_.find(peer);
    still.emplace(peer, before == strangers_.end() ? Stranger{now, next_order_++} : before->second);
  }
  strangers_ = std::move(still);
  std::vector<std::pair<uint64_t, std::string>> by_age;
  for (const auto& [peer, stranger] : strangers_) by_age.emplace_back(stranger.order, peer);
  std::sort(by_age.begin(), by_age.end());
  std::vector<std::string> cut;
  size_t left = by_age.size();
  for (const auto& [order, peer] : by_age) {
    const auto age = now - strangers_.at(peer).since;
    const bool is_one_too_many = left > count_max_ && age.count() > 0;
    if (age < time_max_ && !is_one_too_many) continue;
    cut.push_back(peer);
    --left;
  }
  return cut;
}

}  // namespace evergrove::runtime
