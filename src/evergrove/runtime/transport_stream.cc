// Sockets are in blocking mode, and each call that is not to block says so.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace evergrove::runtime {
namespace {

bool is_for_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Io PlainTransportStream::read(std::span<char> room) { return receive(room, MSG_DONTWAIT); }

Io PlainTransportStream::read_waiting(std::span<char> room) {
  for (;;) {
    const Io io = receive(room, 0);
    if (io.state != Io::wants_read) return io;
  }
}

void PlainTransportStream::finish() { ::shutdown(socket(), SHUT_WR); }

Io PlainTransportStream::receive(std::span<char> room, int flags) {
  return received(::recv(socket(), room.data(), room.size(), flags));
}

Io PlainTransportStream::received(ssize_t got) {
  if (got > 0) return {Io::done, static_cast<size_t>(got)};
  return {got < 0 && is_for_later(errno) ? Io::wants_read : Io::over};
}

Io PlainTransportStream::send(std::span<const iovec> pieces, msghdr message) {
  message.msg_iov = const_cast<iovec*>(pieces.data());  // which sendmsg() only reads
  message.msg_iovlen = pieces.size();
  const ssize_t sent = ::sendmsg(socket(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return {Io::done, static_cast<size_t>(sent)};
  return {is_for_later(errno) ? Io::wants_write : Io::over};
}

void TransportStream::cut() const { ::shutdown(socket(), SHUT_RDWR); }

void TransportStream::wait_for(short events) const {
  pollfd one{socket(), events, 0};
  (void)::poll(&one, 1, -1);
}

std::unique_ptr<TransportStream> plain_transport_stream(Descriptor socket) {
  return std::make_unique<PlainTransportStream>(std::move(socket));
}

}  // namespace evergrove::runtime
