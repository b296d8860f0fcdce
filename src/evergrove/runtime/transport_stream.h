// TransportStream: bytes over a TCP connection, as they are or by TLS, or over a local socket
// (transport_local.h); of the transport, and of the status page.
//
// One thread may read while another writes; several that write take turns. Nothing waits but
// read_waiting() and wait_for(), and these only until cut(), which any thread may call.
//
//   std::unique_ptr<TransportStream> stream = plain_transport_stream(std::move(socket));
//   while (stream->shake_hands().state == Io::wants_read) stream->wait_for(POLLIN);
//   const Io io = stream->read_waiting(room);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {

struct Io {
  enum State : uint8_t { done, wants_read, wants_write, over };
  State state = over;  // over: the other end has closed or failed
  size_t bytes = 0;
};

class TransportStream {
 public:
  explicit TransportStream(Descriptor socket) : socket_(std::move(socket)) {}
  virtual ~TransportStream() = default;

  // Is done at once without TLS. Comes before the others, again until it is done.
  virtual Io shake_hands() { return {Io::done}; }
  // Why shaking hands is over; ok if it only ended.
  virtual Status why_no_hands() const { return {}; }
  // Reads what is there, or waits until something is.
  virtual Io read(std::span<char> room) = 0;
  virtual Io read_waiting(std::span<char> room) = 0;
  // Whether read() has something that has left the socket already.
  virtual bool has_pending() { return false; }
  // Writes as much as it can at once. After wants_write the next call has to begin with the bytes
  // that this one began with.
  virtual Io write(std::span<const iovec> pieces) = 0;
  // Says that nothing more will be written.
  virtual void finish() = 0;

  // Whether the other end can be given descriptors. Then one goes with the first byte written, and
  // the last one that came with what was read is taken; not open: none did.
  virtual bool may_share() const { return false; }
  virtual Io write_with(std::span<const iovec> pieces, int /*descriptor*/) { return write(pieces); }
  virtual Descriptor take_descriptor() { return {}; }

  // Ends both directions now; what has arrived can still be read.
  void cut() const;
  void wait_for(short events) const;
  int socket() const { return socket_.get(); }

 private:
  Descriptor socket_;
};

// Bytes as they are, over a socket of any family.
class PlainTransportStream : public TransportStream {
 public:
  using TransportStream::TransportStream;

  Io read(std::span<char> room) final;
  Io read_waiting(std::span<char> room) final;
  Io write(std::span<const iovec> pieces) final { return send(pieces, {}); }
  void finish() final;

 protected:
  // flags: of recv().
  virtual Io receive(std::span<char> room, int flags);
  // What it means that recv() or recvmsg() has just returned this.
  static Io received(ssize_t got);
  // message: what goes beside the pieces.
  Io send(std::span<const iovec> pieces, msghdr message);
};

std::unique_ptr<TransportStream> plain_transport_stream(Descriptor socket);

}  // namespace evergrove::runtime
