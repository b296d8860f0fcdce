// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_connection.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/flight/types.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace evergrove::runtime {
namespace {

using arrow::flight::FlightStreamChunk;

const std::shared_ptr<arrow::Schema>& part_schema() {
  static const std::shared_ptr<arrow::Schema> kSchema =
      arrow::schema({arrow::field("bytes", arrow::uint8(), /*nullable=*/false)});
  return kSchema;
}

// A part of a string, which lives as long as gRPC needs it.
class StringBuffer : public arrow::Buffer {
 public:
  StringBuffer(std::shared_ptr<const std::string> text, size_t offset, size_t size)
      : arrow::Buffer(reinterpret_cast<const uint8_t*>(text->data()) + offset,
                      static_cast<int64_t>(size)),
        text_(std::move(text)) {}

 private:
  std::shared_ptr<const std::string> text_;
};

Bytes bytes_of(const std::shared_ptr<arrow::Buffer>& buffer) {
  if (buffer == nullptr) return {};
  return {std::string_view(*buffer), buffer};
}

// The bytes of a part. Arrow has checked the buffers' places, but not that they are long enough.
Result<Bytes> body_of(const FlightStreamChunk& chunk) {
  if (chunk.data == nullptr) return Bytes{};
  const bool is_ours = chunk.data->num_columns() == 1 &&
                       chunk.data->schema()->field(0)->type()->id() == arrow::Type::UINT8;
  if (!is_ours) return corrupt("The peer sent a table that is no part of a message");
  const arrow::ArrayData& data = *chunk.data->column_data(0);
  if (data.offset != 0 || data.length < 0 || data.buffers.size() != 2) {
    return corrupt("The peer sent a part whose buffers are not as they should be");
  }
  Bytes bytes = bytes_of(data.buffers[1]);
  if (bytes.view.size() < static_cast<uint64_t>(data.length)) {
    return corrupt("The peer sent a part that is shorter than it says");
  }
  bytes.view = bytes.view.substr(0, static_cast<size_t>(data.length));
  return bytes;
}

Status write_frame(FlightStream& stream, std::string frame) {
  const arrow::Status status =
      stream.writer->WriteMetadata(arrow::Buffer::FromString(std::move(frame)));
  return status.ok() ? Status() : storage_error("The peer could not be sent to");
}

}  // namespace

Connection::Connection(ConnectionId id, bool is_dialled, std::string peer_address,
                       std::shared_ptr<ConnectionContext> context)
    : id_(id),
      is_dialled_(is_dialled),
      peer_address_(std::move(peer_address)),
      context_(std::move(context)),
      left_(context_->options.dial_max) {}

bool Connection::send(std::string bytes) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::open || bytes.size() > kMessageBytesMax) return false;
  const bool is_full = waiting_bytes_ + bytes.size() > context_->options.queue_bytes_max;
  if (is_full && waiting_bytes_ > 0) return false;
  // An empty message waits as well.
  waiting_bytes_ += bytes.size();
  queue_.push_back(std::make_shared<const std::string>(std::move(bytes)));
  changed_.notify_one();
  return true;
}

void Connection::close() {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::closing || phase_ == Phase::ended) return;
  // Before the welcome there is nobody to say goodbye to.
  const bool is_early = phase_ == Phase::dialling;
  phase_ = Phase::closing;
  left_ = context_->options.close_max;
  changed_.notify_one();
  if (!is_early) return;
  is_cut_ = true;
  if (cut_) cut_();
}

uint64_t Connection::waiting_bytes() const {
  const std::lock_guard lock(mutex_);
  return waiting_bytes_;
}

void Connection::cut(Status why) {
  const std::lock_guard lock(mutex_);
  if (!why_ && phase_ != Phase::ended) why_ = std::move(why);
  is_cut_ = true;
  if (cut_) cut_();
  changed_.notify_one();
}

bool Connection::is_ending() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::closing || phase_ == Phase::ended;
}

void Connection::tick(std::chrono::milliseconds elapsed) {
  Phase phase;
  bool is_late = false;
  bool has_stream = false;
  {
    const std::lock_guard lock(mutex_);
    phase = phase_;
    has_stream = has_stream_;
    if (phase != Phase::open) {
      left_ -= std::min(elapsed, left_);
      is_late = left_.count() == 0;
    }
  }
  Status why;
  if (is_late && phase == Phase::dialling) {
    why = storage_error("The peer did not answer in time; is it running, and not stopped?",
                        {{"address", peer_address_}});
  }
  // The thread that dials is somewhere in gRPC, and is not waited for.
  if (is_late && !has_stream) return end(std::move(why));
  if (is_late) return cut(std::move(why));
  if (phase != Phase::open || !is_reading_) return;
  const int64_t silent_ms = silent_ms_ += elapsed.count();
  if (silent_ms < context_->options.silence_max.count()) return;
  cut(storage_error("Nothing was heard from the peer; it is stopped, or the network is cut",
                    {{"address", peer_address_}, {"silent_ms", std::to_string(silent_ms)}}));
}

void Connection::run(FlightStream stream, const Greeting& peer) {
  {
    const std::lock_guard lock(mutex_);
    if (has_closed_) return;
    has_stream_ = true;
    cut_ = stream.cut;
    if (is_cut_) cut_();
  }
  if (!is_dialled_) emit_opened(peer.name);
  std::thread sender([&] { send_all(stream); });
  Status why = receive_all(stream);
  end(std::move(why));
  sender.join();
  const std::lock_guard lock(mutex_);
  cut_ = nullptr;
}

void Connection::fail(Status why) { end(std::move(why)); }

void Connection::emit_opened(const std::string& peer_name) {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::dialling) phase_ = Phase::open;
  }
  has_opened_ = true;
  context_->emit(Opened{id_, peer_name, peer_address_, is_dialled_});
}

void Connection::end(Status why) {
  {
    const std::lock_guard lock(mutex_);
    if (has_closed_) return;
    has_closed_ = true;
    // What we did ourselves is the reason of whatever was seen after it.
    if (why_) {
      why = *why_;
    } else if (phase_ == Phase::closing) {
      why = Status();
    }
    phase_ = Phase::ended;
    left_ = context_->options.close_max;  // for the sender to leave its last write
    queue_.clear();
    waiting_bytes_ = 0;
    changed_.notify_one();
  }
  context_->emit(Closed{id_, std::move(why)});
}

Status Connection::receive_all(FlightStream& stream) {
  FrameReader frames(kMessageBytesMax);
  std::vector<Bytes> messages;
  for (;;) {
    silent_ms_ = 0;
    is_reading_ = true;
    arrow::Result<FlightStreamChunk> chunk = stream.reader->Next();
    is_reading_ = false;
    const bool is_end = chunk.ok() && chunk->app_metadata == nullptr && chunk->data == nullptr;
    if (!chunk.ok() || is_end) return stream.why(chunk.status());
    const Bytes frame = bytes_of(chunk->app_metadata);
    EVERGROVE_ASSIGN_OR_RETURN(const Bytes body, body_of(*chunk));
    EVERGROVE_ASSIGN_OR_RETURN(const FrameKind kind, frames.take(frame, body, messages));
    if (kind == FrameKind::goodbye) return {};
    const bool is_first = !has_opened_;
    if (is_first != (kind == FrameKind::welcome)) {
      return corrupt("The peer's welcome is missing, or not the first that it says");
    }
    if (is_first) EVERGROVE_RETURN_IF_ERROR(welcome(frame.view));
    for (Bytes& message : messages) {
      context_->received_bytes += message.view.size();
      context_->emit(Received{id_, std::move(message)});
    }
    messages.clear();
  }
}

Status Connection::welcome(std::string_view frame) {
  EVERGROVE_ASSIGN_OR_RETURN(const Greeting peer,
                             decode_greeting(welcome_of(frame), context_->options.version));
  const std::string& run = context_->options.run;
  if (!run.empty() && !peer.run.empty() && peer.run != run) {
    return invalid_input("The peer is of another run; give the address of one of this run",
                         {{"address", peer_address_}, {"its_run", peer.run}, {"our_run", run}});
  }
  emit_opened(peer.name);
  return {};
}

bool Connection::wait_for_messages(std::vector<Message>& messages) {
  std::unique_lock lock(mutex_);
  const auto is_something = [&] {
    return !queue_.empty() || is_cut_ || phase_ == Phase::closing || phase_ == Phase::ended;
  };
  changed_.wait_for(lock, context_->options.ping_every, is_something);
  if (is_cut_ || phase_ == Phase::ended) return false;
  // As many small ones as a frame takes, or one large one.
  size_t frame_bytes = 0;
  while (!queue_.empty()) {
    const size_t size = queue_.front()->size();
    const bool is_small = size <= kSmallMessageMax;
    if (!messages.empty() && (!is_small || frame_bytes + size + 4 > kMessagesFrameMax)) break;
    frame_bytes += size + 4;
    messages.push_back(std::move(queue_.front()));
    queue_.pop_front();
    if (!is_small) break;
  }
  return !messages.empty() || phase_ != Phase::closing;
}

void Connection::send_all(FlightStream& stream) {
  Status status;
  if (is_dialled_) {
    // The listener's call begins with the first frame.
    status = write_frame(stream, plain_frame(FrameKind::ping));
  } else {
    const TransportOptions& options = context_->options;
    status = write_frame(stream, welcome_frame({options.version, options.name, options.run}));
  }
  if (status.ok() && !stream.writer->Begin(part_schema()).ok()) {
    status = storage_error("The peer could not be sent to");
  }
  std::vector<Message> messages;
  while (status.ok() && wait_for_messages(messages)) {
    status = send_some(stream, std::exchange(messages, {}));
  }
  if (status.ok()) (void)write_frame(stream, plain_frame(FrameKind::goodbye));
}

Status Connection::send_some(FlightStream& stream, std::vector<Message> messages) {
  if (messages.empty()) return write_frame(stream, plain_frame(FrameKind::ping));
  uint64_t bytes = 0;
  for (const Message& message : messages) bytes += message->size();
  if (messages.front()->size() > kSmallMessageMax) {
    EVERGROVE_RETURN_IF_ERROR(send_parts(stream, messages.front()));
  } else {
    std::string frame;
    for (const Message& message : messages) append_small_message(frame, *message);
    EVERGROVE_RETURN_IF_ERROR(write_frame(stream, std::move(frame)));
  }
  context_->sent_bytes += bytes;
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::ended) waiting_bytes_ -= bytes;
  return {};
}

Status Connection::send_parts(FlightStream& stream, const Message& message) {
  const size_t size = message->size();
  for (size_t offset = 0; offset < size; offset += kPartBytesMax) {
    const size_t part = std::min(kPartBytesMax, size - offset);
    auto data = arrow::ArrayData::Make(
        arrow::uint8(), static_cast<int64_t>(part),
        {nullptr, std::make_shared<StringBuffer>(message, offset, part)}, /*null_count=*/0);
    const auto batch =
        arrow::RecordBatch::Make(part_schema(), static_cast<int64_t>(part),
                                 std::vector<std::shared_ptr<arrow::ArrayData>>{std::move(data)});
    const arrow::Status status = stream.writer->WriteWithMetadata(
        *batch, arrow::Buffer::FromString(part_frame(size, offset)));
    if (!status.ok()) return storage_error("The peer could not be sent to");
    const std::lock_guard lock(mutex_);
    if (is_cut_ || phase_ == Phase::ended) return storage_error("The connection has ended");
  }
  return {};
}

}  // namespace evergrove::runtime
