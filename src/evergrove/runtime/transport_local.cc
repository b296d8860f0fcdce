// Names are abstract ones: they are in no folder, and gone with their socket.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_local.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

namespace evergrove::runtime {
namespace {

struct LocalName {
  sockaddr_un address = {};
  socklen_t size = 0;

  explicit LocalName(const HostPort& place) {
    const std::string text = "evergrove " + to_text(place);
    address.sun_family = AF_UNIX;  // an abstract name begins with a zero
    const size_t length = std::min(text.size(), sizeof(address.sun_path) - 1);
    std::memcpy(address.sun_path + 1, text.data(), length);
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Descriptor new_socket(int flags) {
  return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

bool is_of_this_user(const Descriptor& socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == ::geteuid();
}

class LocalTransportStream : public PlainTransportStream {
 public:
  using PlainTransportStream::PlainTransportStream;

  bool may_share() const override { return true; }
  Io write_with(std::span<const iovec> pieces, int descriptor) override {
    Beside beside;
    msghdr message = beside.message();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof(int));
    return send(pieces, message);
  }
  Descriptor take_descriptor() override { return std::move(came_); }

 private:
  // Room for one descriptor beside the bytes; the system closes those that do not fit.
  union Beside {
    char bytes[CMSG_SPACE(sizeof(int))] = {};
    cmsghdr alignment;

    // Of no pieces yet. This outlives it.
    msghdr message() {
      msghdr message = {};
      message.msg_control = bytes;
      message.msg_controllen = sizeof bytes;
      return message;
    }
  };

  Io receive(std::span<char> room, int flags) override {
    iovec piece{room.data(), room.size()};
    Beside beside;
    msghdr message = beside.message();
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    const Io io = received(::recvmsg(socket(), &message, flags | MSG_CMSG_CLOEXEC));
    if (io.state == Io::done) keep_descriptor(message);
    return io;
  }

  void keep_descriptor(msghdr& message) {
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
      const bool is_one = head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
                          head->cmsg_len == CMSG_LEN(sizeof(int));
      if (!is_one) continue;
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(head), sizeof(int));
      came_ = Descriptor(descriptor);  // whoever sends several has the last one used
    }
  }

  Descriptor came_;
};

}  // namespace

Descriptor listen_locally(const HostPort& place) {
  Descriptor socket = new_socket(SOCK_NONBLOCK);
  const LocalName name(place);
  const bool listens = socket.is_open() && ::bind(socket.get(), name.get(), name.size) == 0 &&
                       ::listen(socket.get(), SOMAXCONN) == 0;
  return listens ? std::move(socket) : Descriptor();
}

AcceptedSocket accept_locally(const Descriptor& listening) {
  for (;;) {
    AcceptedSocket accepted;
    accepted.socket = Descriptor(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    accepted.is_short = !accepted.socket.is_open() && is_shortage(errno);
    if (!accepted.socket.is_open() || is_of_this_user(accepted.socket)) return accepted;
  }
}

// It does not wait: where too many wait to be let in already, another goes by TCP.
Descriptor connect_locally(const HostPort& place) {
  Descriptor socket = new_socket(SOCK_NONBLOCK);
  const LocalName name(place);
  const bool is_connected = socket.is_open() &&
                            ::connect(socket.get(), name.get(), name.size) == 0 &&
                            is_of_this_user(socket);
  if (!is_connected) return {};
  ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
  return socket;
}

std::unique_ptr<TransportStream> local_transport_stream(Descriptor socket) {
  return std::make_unique<LocalTransportStream>(std::move(socket));
}

}  // namespace evergrove::runtime
