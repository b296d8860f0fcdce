// Connection: one stream of a Transport, whichever side dialled it; its queue, its two threads.
//
// run() reads on the thread that calls it and sends on one more, until either side has closed it,
// it is cut, or nothing is heard; it emits Opened, Received and Closed. A cut ends both at once,
// by a function that whoever made the stream gives. tick() is called regularly by the Transport.
// Shared by the Transport and the thread that runs it; all methods but run() from any thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_frame.h"

namespace arrow {
class Status;
}
namespace arrow::flight {
class MetadataRecordBatchReader;
class MetadataRecordBatchWriter;
}  // namespace arrow::flight

namespace evergrove::runtime {

// What a connection needs of its Transport; outlives it.
struct ConnectionContext {
  TransportOptions options;
  std::function<void(TransportEvent)> emit;
  std::atomic<uint64_t> sent_bytes = 0;
  std::atomic<uint64_t> received_bytes = 0;
};

// A stream of Flight, of a client or a server.
struct FlightStream {
  arrow::flight::MetadataRecordBatchReader* reader = nullptr;
  arrow::flight::MetadataRecordBatchWriter* writer = nullptr;
  // Makes both fail at once; from any thread.
  std::function<void()> cut;
  // Why it ended, given what reading said: a failure, or ok for an end.
  std::function<Status(const arrow::Status&)> why;
};

class Connection {
 public:
  Connection(ConnectionId id, bool is_dialled, std::string peer_address,
             std::shared_ptr<ConnectionContext> context);

  ConnectionId id() const { return id_; }
  const std::string& peer_address() const { return peer_address_; }

  bool send(std::string bytes);
  void close();
  uint64_t waiting_bytes() const;
  // Ends it now; `why` is what Closed says, if nothing was said before.
  void cut(Status why);
  // Takes note that some time has gone by: cuts it if it is silent or late.
  void tick(std::chrono::milliseconds elapsed);
  bool is_ending() const;

  // Runs the stream to its end. A dialled connection opens with the peer's welcome; another at
  // once, as `peer` has greeted already.
  void run(FlightStream stream, const Greeting& peer);
  // Ends a connection that got no stream; does nothing if tick() has.
  void fail(Status why);

 private:
  using Message = std::shared_ptr<const std::string>;
  enum class Phase : uint8_t { dialling, open, closing, ended };

  void send_all(FlightStream& stream);
  Status send_some(FlightStream& stream, std::vector<Message> messages);
  Status send_parts(FlightStream& stream, const Message& message);
  // Waits for something to send; false when there is nothing more to come.
  bool wait_for_messages(std::vector<Message>& messages);
  Status receive_all(FlightStream& stream);
  Status welcome(std::string_view frame);
  void emit_opened(const std::string& peer_name);
  void end(Status why);

  const ConnectionId id_;
  const bool is_dialled_;
  const std::string peer_address_;
  const std::shared_ptr<ConnectionContext> context_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::dialling;
  std::deque<Message> queue_;
  uint64_t waiting_bytes_ = 0;  // of the queue and of what is being written
  bool has_stream_ = false;
  bool has_closed_ = false;    // Closed was emitted, or is about to be
  std::function<void()> cut_;  // empty while there is no stream
  bool is_cut_ = false;
  std::optional<Status> why_;          // said by cut()
  std::chrono::milliseconds left_{0};  // to open, or to close

  std::atomic<bool> is_reading_ = false;
  std::atomic<int64_t> silent_ms_ = 0;  // of ticks: time in which we ran, too
  bool has_opened_ = false;             // of the reading thread
};

}  // namespace evergrove::runtime
