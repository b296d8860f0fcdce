// Connection: one connection of a Transport, whichever side dialled it: its queue, and its reading.
//
// open() emits Opened; read_some(), which whoever watches the sockets calls, emits Received, and
// Closed when either side has closed it, it is cut, or nothing is heard. There is no thread that
// sends: who calls send() writes, if nobody else does just then and the socket takes it; what it
// does not take at once is written by go_on(). tick() is called regularly.
// All methods but open() and read_some() from any thread; these by one thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_bell.h"
#include "evergrove/runtime/transport_frame.h"
#include "evergrove/runtime/transport_ring.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {

// What a connection needs of its Transport; outlives it.
struct ConnectionContext {
  TransportOptions options;
  std::function<void(TransportEvent)> emit;
  // Has go_on() called, once, as soon as the socket takes bytes again.
  std::function<void(ConnectionId, int socket)> call_when_writable;
  // From here on the peer rings our bell, so that nobody need watch the socket for what comes.
  std::function<void(ConnectionId, int socket)> is_rung_for;
  // Has read_some() called again, for it has left something.
  std::function<void(ConnectionId)> read_again;
  std::atomic<uint64_t> sent_bytes = 0;
  std::atomic<uint64_t> received_bytes = 0;
};

class Connection {
 public:
  Connection(ConnectionId id, bool is_dialled, std::string peer_address,
             std::shared_ptr<ConnectionContext> context);

  ConnectionId id() const { return id_; }
  const std::string& peer_address() const { return peer_address_; }

  bool send(std::string bytes);
  bool send(const std::vector<Bytes>& pieces);
  bool is_near() const;
  void close();
  uint64_t waiting_bytes() const;
  // Ends it now; `why` is what Closed says, if nothing was said before.
  void cut(Status why);
  // Takes note that some time has gone by: pings, and cuts it if it is silent or late. Who does not
  // listen to the connections hears nothing, and it does not count as silence.
  void tick(std::chrono::milliseconds elapsed, bool is_listening);
  // Writes more of what waits.
  void go_on();
  bool is_ending() const;

  // Takes the stream, before anything is said by it, so that it can be cut. False: it is too late.
  bool adopt(std::unique_ptr<TransportStream> stream);
  // Requires: adopt().
  TransportStream& stream() { return *stream_; }
  // Both have greeted each other. False: it has ended.
  bool open(const std::string& peer_name);
  // Reads what is there, or as much of it as others can wait for. is_over: the system says of the
  // socket that nothing more will come through it. False: it has ended.
  bool read_some(bool is_over = false);
  // Tells the peer how to call us; it then rings. Requires: is_near(), and it is read from now on.
  void give_bell(const Bell& bell, uint32_t place);
  // Ends a connection that got no further; does nothing if tick() has.
  void fail(Status why);

 private:
  enum class Phase : uint8_t { dialling, open, closing, ended };
  struct Outgoing {
    FrameKind kind = FrameKind::ping;
    std::string body;
    FrameHeaderBytes header;
    int descriptor = -1;         // goes with it
    uint64_t message_bytes = 0;  // that it stands for
  };

  void enqueue(FrameKind kind, std::string body, uint64_t message_bytes = 0, int descriptor = -1);
  Status take_bell(FrameKind kind, std::string_view body);
  void begin_ring();
  bool may_take(size_t bytes) const;
  void make_room();
  bool share(std::span<const Bytes> pieces, size_t size);
  FrameSharing sharing();
  Io read_from(std::span<char> room, bool is_over);
  Io write_to(std::span<const iovec> pieces, int descriptor);
  void write_some(std::unique_lock<std::mutex>& lock);
  void go_on_in_ring(std::unique_lock<std::mutex>& lock);
  size_t gather(std::span<iovec> pieces, size_t bytes_max) const;
  uint32_t drop_written(size_t bytes);
  void drop_all();
  void end(Status why);

  const ConnectionId id_;
  const bool is_dialled_;
  const std::string peer_address_;
  const std::shared_ptr<ConnectionContext> context_;
  std::unique_ptr<TransportStream> stream_;  // set once, under the lock

  mutable std::mutex mutex_;
  Phase phase_ = Phase::dialling;
  std::deque<Outgoing> queue_;  // its front stays where it is while it is being written
  size_t front_written_ = 0;    // bytes of the front, with its header
  uint64_t waiting_bytes_ = 0;  // of the messages in the queue
  bool is_writing_ = false;     // somebody does, without the lock
  bool is_waiting_ = false;     // for the socket to take more
  bool is_finished_ = false;    // the stream's writing end
  bool has_closed_ = false;     // Closed was emitted, or is about to be
  bool is_cut_ = false;
  std::optional<Status> why_;           // said by cut()
  std::chrono::milliseconds left_{0};   // to open, or to close
  std::chrono::milliseconds quiet_{0};  // since something was written

  // Of a stream that may share: what messages to the peer are put into, and those from it.
  std::unique_ptr<SharedRoom> room_;
  bool has_no_room_ = false;  // the system gave none
  std::shared_ptr<const SharedView> view_;
  Descriptor bell_page_;  // of the peer's, until it is whole
  bool has_given_bell_ = false;
  std::unique_ptr<PeerBell> bell_to_be_;  // until there is a ring
  std::unique_ptr<PeerBell> bell_;        // null: it watches the socket
  // What follows the frame that says so goes and comes through rings.
  std::unique_ptr<RingWriter> ring_out_, ring_to_be_;
  std::unique_ptr<RingReader> ring_in_;

  FrameReader frames_;
  std::vector<Bytes> messages_;         // just read
  std::atomic<int64_t> silent_ms_ = 0;  // of ticks: time in which we ran, too
};

}  // namespace evergrove::runtime
