// Writing. Whoever finds nobody writing (is_writing_) writes, without the lock, so that others can
// put more behind; then it looks again, until nothing waits, the socket takes no more, or its turn
// is over: a caller of send() is not kept for a gigabyte. The rest is left to go_on().
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_connection.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace evergrove::runtime {
namespace {

constexpr size_t kTurnBytes = size_t{256} << 10;  // written, or read, by one call at most
constexpr size_t kPiecesMax = 64;  // of one write: the headers and bodies of 32 frames
// Smaller messages are through a socket as soon as they are put elsewhere.
constexpr size_t kSharedFrom = 8192;

}  // namespace

Connection::Connection(ConnectionId id, bool is_dialled, std::string peer_address,
                       std::shared_ptr<ConnectionContext> context)
    : id_(id),
      is_dialled_(is_dialled),
      peer_address_(std::move(peer_address)),
      context_(std::move(context)),
      left_(context_->options.dial_max),
      frames_(kMessageBytesMax, sharing()) {}

FrameSharing Connection::sharing() {
  FrameSharing sharing;
  sharing.take_room = [this]() -> Status {
    EVERGROVE_ASSIGN_OR_RETURN(view_, SharedView::open(stream_->take_descriptor()));
    return {};
  };
  sharing.message_at = [this](const SharedPlace& place) -> Result<Bytes> {
    if (view_ == nullptr) return corrupt("The peer says where a message is, and shares no memory");
    return SharedView::at(view_, place);
  };
  sharing.take_bell = [this](FrameKind kind, std::string_view body) {
    return take_bell(kind, body);
  };
  return sharing;
}

Status Connection::take_bell(FrameKind kind, std::string_view body) {
  if (kind == FrameKind::bell_page) {
    bell_page_ = stream_->take_descriptor();
    return {};
  }
  if (kind == FrameKind::rings) {
    EVERGROVE_ASSIGN_OR_RETURN(ring_in_, RingReader::open(stream_->take_descriptor()));
    context_->is_rung_for(id_, stream_->socket());
    return {};
  }
  EVERGROVE_ASSIGN_OR_RETURN(auto bell,
                             PeerBell::open(std::move(bell_page_), stream_->take_descriptor(),
                                            static_cast<uint8_t>(body[0])));
  std::unique_lock lock(mutex_);
  if (bell_ != nullptr || bell_to_be_ != nullptr) {
    return corrupt("The peer wants to be called by two bells");
  }
  bell_to_be_ = std::move(bell);
  begin_ring();
  write_some(lock);
  return {};
}

// As soon as both have the other's bell, whichever came first: who cannot be called itself could
// not be told when a ring has room again.
void Connection::begin_ring() {
  if (bell_to_be_ == nullptr || !has_given_bell_ || phase_ != Phase::open) return;
  ring_to_be_ = RingWriter::make();
  if (ring_to_be_ == nullptr) return;  // it watches the socket
  bell_ = std::move(bell_to_be_);
  make_room();  // no descriptor goes through a ring
  enqueue(FrameKind::rings, {}, 0, ring_to_be_->descriptor());
}

void Connection::give_bell(const Bell& bell, uint32_t place) {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::open) return;
  has_given_bell_ = true;
  enqueue(FrameKind::bell_page, {}, 0, bell.page());
  enqueue(FrameKind::bell_call, std::string(1, static_cast<char>(place)), 0, bell.call());
  begin_ring();
  write_some(lock);
}

bool Connection::send(std::string bytes) {
  std::unique_lock lock(mutex_);
  const size_t size = bytes.size();
  if (!may_take(size)) return false;
  const Bytes whole{bytes, nullptr};
  if (!share({&whole, 1}, size)) enqueue(FrameKind::message, std::move(bytes), size);
  write_some(lock);
  return true;
}

bool Connection::send(const std::vector<Bytes>& pieces) {
  std::unique_lock lock(mutex_);
  const size_t size = size_of(pieces);
  if (!may_take(size)) return false;
  if (!share(pieces, size)) enqueue(FrameKind::message, joined(pieces), size);
  write_some(lock);
  return true;
}

bool Connection::may_take(size_t bytes) const {
  if (phase_ != Phase::open || is_finished_ || bytes > kMessageBytesMax) return false;
  return waiting_bytes_ == 0 || waiting_bytes_ + bytes <= context_->options.queue_bytes_max;
}

bool Connection::is_near() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::open && !has_no_room_ && stream_->may_share();
}

void Connection::close() {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::closing || phase_ == Phase::ended) return;
  const bool is_early = phase_ == Phase::dialling;
  phase_ = Phase::closing;
  left_ = context_->options.close_max;
  if (is_early) {
    // There is nobody yet to say goodbye to.
    is_cut_ = true;
    if (stream_ != nullptr) stream_->cut();
    return;
  }
  enqueue(FrameKind::goodbye, {});
  write_some(lock);
}

uint64_t Connection::waiting_bytes() const {
  const std::lock_guard lock(mutex_);
  return waiting_bytes_;
}

void Connection::cut(Status why) {
  const std::lock_guard lock(mutex_);
  if (!why_ && phase_ != Phase::ended) why_ = std::move(why);
  is_cut_ = true;
  if (stream_ != nullptr) stream_->cut();
}

bool Connection::is_ending() const {
  const std::lock_guard lock(mutex_);
  return is_cut_ || phase_ == Phase::closing || phase_ == Phase::ended;
}

void Connection::tick(std::chrono::milliseconds elapsed, bool is_listening) {
  Phase phase;
  bool is_late = false;
  bool has_stream = false;
  {
    std::unique_lock lock(mutex_);
    phase = phase_;
    has_stream = stream_ != nullptr;
    if (phase == Phase::dialling || phase == Phase::closing) {
      left_ -= std::min(elapsed, left_);
      is_late = left_.count() == 0;
    } else if (phase == Phase::open) {
      go_on_in_ring(lock);
      quiet_ += elapsed;
      // What waits already is sign of life enough, if the peer can take it.
      if (quiet_ >= context_->options.ping_every && queue_.empty() && !is_finished_) {
        enqueue(FrameKind::ping, {});
        write_some(lock);
      }
    }
  }
  Status why;
  if (is_late && phase == Phase::dialling) {
    why = storage_error("The peer did not answer in time; is it running, and not stopped?",
                        {{"address", peer_address_}});
  }
  // The thread that dials asks for the host's address, perhaps for long, and is not waited for.
  if (is_late && !has_stream) return end(std::move(why));
  if (is_late) return cut(std::move(why));
  if (phase != Phase::open || !is_listening) return;
  const int64_t silent_ms = silent_ms_ += elapsed.count();
  if (silent_ms < context_->options.silence_max.count()) return;
  cut(storage_error("Nothing was heard from the peer; it is stopped, or the network is cut",
                    {{"address", peer_address_}, {"silent_ms", std::to_string(silent_ms)}}));
}

void Connection::go_on() {
  std::unique_lock lock(mutex_);
  is_waiting_ = false;
  write_some(lock);
}

bool Connection::adopt(std::unique_ptr<TransportStream> stream) {
  const std::lock_guard lock(mutex_);
  if (is_cut_ || has_closed_) return false;
  stream_ = std::move(stream);
  // Who was let in knows that it was, and is to be told when this is over.
  if (!is_dialled_) phase_ = Phase::open;
  return true;
}

bool Connection::open(const std::string& peer_name) {
  bool is_open = false;
  {
    const std::lock_guard lock(mutex_);
    is_open = !is_cut_ && (!is_dialled_ || phase_ == Phase::dialling);
    if (phase_ == Phase::dialling) phase_ = Phase::open;
  }
  if (!is_open) {
    end({});
    return false;
  }
  context_->emit(Opened{id_, peer_name, peer_address_, is_dialled_});
  return true;
}

void Connection::fail(Status why) { end(std::move(why)); }

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
    if (stream_ != nullptr) stream_->cut();
    if (!is_writing_) drop_all();
    waiting_bytes_ = 0;
  }
  context_->emit(Closed{id_, std::move(why)});
}

// Whatever came through the ring came before the socket's end.
Io Connection::read_from(std::span<char> room, bool is_over) {
  if (ring_in_ == nullptr) return stream_->read(room);
  size_t size = ring_in_->read(room);
  if (size == 0 && is_over) {
    const Io io = stream_->read(room);
    if (io.state != Io::over) return io;
    size = ring_in_->read(room);
    if (size == 0) return io;
  }
  if (size > 0 && ring_in_->is_waited_for()) {
    const std::lock_guard lock(mutex_);
    if (bell_ != nullptr) bell_->ring(1);
  }
  return {size > 0 ? Io::done : Io::wants_read, size};
}

bool Connection::read_some(bool is_over) {
  // Perhaps it was called for the room there is now for what waits.
  if (ring_in_ != nullptr) {
    std::unique_lock lock(mutex_);
    go_on_in_ring(lock);
  }
  size_t turn_bytes = kTurnBytes;
  while (turn_bytes > 0 || stream_->has_pending()) {
    const std::span<char> room = frames_.room();
    const Io io = read_from(room, is_over);
    if (io.state == Io::wants_read || io.state == Io::wants_write) return true;
    if (io.state == Io::over) {
      end(storage_error("The peer ended without a goodbye; it was killed, or the network is cut",
                        {{"address", peer_address_}}));
      return false;
    }
    silent_ms_ = 0;
    turn_bytes -= std::min(turn_bytes, io.bytes);
    const Status status = frames_.take(io.bytes, messages_);
    for (Bytes& message : messages_) {
      context_->received_bytes += message.view.size();
      context_->emit(Received{id_, std::move(message)});
    }
    messages_.clear();
    if (!status.ok() || frames_.has_said_goodbye()) {
      end(status.with_context(peer_address_));
      return false;
    }
    // Most likely that was all.
    const bool is_all = io.bytes < room.size() && !stream_->has_pending();
    if (is_all && ring_in_ == nullptr) return true;
  }
  if (ring_in_ != nullptr) context_->read_again(id_);
  return true;
}

void Connection::enqueue(FrameKind kind, std::string body, uint64_t message_bytes, int descriptor) {
  const auto size = static_cast<uint32_t>(body.size());
  if (message_bytes > 0) waiting_bytes_ += size;
  queue_.push_back({kind, std::move(body), encode_header({kind, size}), descriptor, message_bytes});
}

void Connection::make_room() {
  if (room_ != nullptr || has_no_room_) return;
  room_ = SharedRoom::make();
  has_no_room_ = room_ == nullptr;
  if (!has_no_room_) enqueue(FrameKind::room, {}, 0, room_->descriptor());
}

// Puts a large message where the peer can read it. False: it cannot be.
bool Connection::share(std::span<const Bytes> pieces, size_t size) {
  if (size < kSharedFrom || has_no_room_ || !stream_->may_share()) return false;
  make_room();
  if (has_no_room_) return false;
  const std::optional<SharedPlace> place = room_->put(pieces, size);
  if (place) enqueue(FrameKind::placed, place->encode(), size);
  return place.has_value();
}

void Connection::write_some(std::unique_lock<std::mutex>& lock) {
  if (is_writing_ || is_waiting_) return;
  is_writing_ = true;
  size_t turn_bytes = kTurnBytes;
  bool is_full = false;
  while (!queue_.empty() && turn_bytes > 0 && !is_full && phase_ != Phase::ended) {
    std::array<iovec, kPiecesMax> pieces;
    const size_t count = gather(pieces, turn_bytes);
    const int descriptor = front_written_ == 0 ? queue_.front().descriptor : -1;
    lock.unlock();
    const auto written = std::span(pieces).first(count);
    const Io io = write_to(written, descriptor);
    lock.lock();
    is_full = io.state == Io::wants_write || io.state == Io::wants_read;
    if (io.state == Io::done && phase_ != Phase::ended) {
      const uint32_t messages = drop_written(io.bytes);
      // Of one that is not whole, too: who does not read makes no room for the rest.
      if (bell_ != nullptr) bell_->ring(std::max<uint32_t>(messages, 1));
    }
    turn_bytes -= std::min(turn_bytes, io.bytes);
    if (io.state == Io::over) {
      // Whoever reads will find out why, after what has still arrived.
      stream_->cut();
      is_finished_ = true;
      drop_all();
    }
  }
  if (queue_.empty() && phase_ == Phase::closing && !is_finished_) {
    is_finished_ = true;
    lock.unlock();
    stream_->finish();
    lock.lock();
  }
  is_writing_ = false;
  if (phase_ == Phase::ended) return drop_all();
  is_waiting_ = !queue_.empty();
  if (!is_waiting_) return;
  if (ring_out_ == nullptr) {
    context_->call_when_writable(id_, stream_->socket());
  } else if (!is_full) {
    context_->read_again(id_);
  }  // else the reader says when there is room, and there are ticks
}

// Where a socket has go_on() called.
void Connection::go_on_in_ring(std::unique_lock<std::mutex>& lock) {
  if (ring_out_ == nullptr || !is_waiting_) return;
  is_waiting_ = false;
  write_some(lock);
}

Io Connection::write_to(std::span<const iovec> pieces, int descriptor) {
  if (ring_out_ != nullptr) {
    const size_t size = ring_out_->write(pieces);
    return {size > 0 ? Io::done : Io::wants_write, size};
  }
  return descriptor >= 0 ? stream_->write_with(pieces, descriptor) : stream_->write(pieces);
}

size_t Connection::gather(std::span<iovec> pieces, size_t bytes_max) const {
  size_t count = 0;
  size_t skipped = front_written_;
  const auto add = [&](const char* data, size_t size) {
    const size_t skip = std::min(skipped, size);
    skipped -= skip;
    const size_t taken = std::min(size - skip, bytes_max);
    if (taken == 0) return;
    bytes_max -= taken;
    pieces[count++] = {const_cast<char*>(data + skip), taken};
  };
  for (const Outgoing& frame : queue_) {
    if (count + 2 > pieces.size() || bytes_max == 0) break;
    // Its descriptor goes with what is written first.
    if (frame.descriptor >= 0 && count > 0) break;
    add(frame.header.data(), frame.header.size());
    add(frame.body.data(), frame.body.size());
    if (frame.kind == FrameKind::rings) break;  // the last of the socket
  }
  return count;
}

// Returns how many messages it has completed.
uint32_t Connection::drop_written(size_t bytes) {
  uint32_t messages = 0;
  quiet_ = std::chrono::milliseconds(0);
  front_written_ += bytes;
  while (!queue_.empty()) {
    const size_t size = queue_.front().body.size();
    if (front_written_ < kFrameHeaderBytes + size) break;
    messages += queue_.front().message_bytes > 0;
    front_written_ -= kFrameHeaderBytes + size;
    if (queue_.front().message_bytes > 0) waiting_bytes_ -= size;
    context_->sent_bytes += queue_.front().message_bytes;
    if (queue_.front().kind == FrameKind::rings) ring_out_ = std::move(ring_to_be_);
    queue_.pop_front();
  }
  return messages;
}

void Connection::drop_all() {
  queue_.clear();
  front_written_ = 0;
  waiting_bytes_ = 0;
}

}  // namespace evergrove::runtime
