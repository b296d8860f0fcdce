// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_stranger.h"

#include <poll.h>

#include <array>
#include <utility>

namespace evergrove::runtime {
namespace {

// What is said in a greeting fits into any socket, so that it is written whole or not at all.
bool write_all(TransportStream& stream, std::string_view bytes) {
  if (bytes.empty()) return true;
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  const Io io = stream.write(std::span(&piece, 1));
  return io.state == Io::done && io.bytes == bytes.size();
}

}  // namespace

Stranger::Stranger(std::unique_ptr<TransportStream> stream, std::string address,
                   const GreetingTerms& terms, Clock::time_point since)
    : stream_(std::move(stream)),
      address_(std::move(address)),
      since_(since),
      greeting_(Greeting::Side::listener, terms, make_nonce()),
      events_(POLLIN) {}

Stranger::State Stranger::advance() {
  if (!why_.ok()) return leave();
  if (!has_shaken_hands_) {
    const Io io = stream_->shake_hands();
    events_ = io.state == Io::wants_write ? POLLOUT : POLLIN;
    if (io.state == Io::over) {
      Status why = stream_->why_no_hands();
      if (why.ok()) return State::gone;
      why_ = std::move(why);
      return State::gone;
    }
    if (io.state != Io::done) return State::waiting;
    has_shaken_hands_ = true;
  }
  return greet();
}

Stranger::State Stranger::greet() {
  for (;;) {
    std::array<char, 512> bytes;
    const size_t size = std::min(bytes.size(), frame_.missing());
    const Io io = stream_->read(std::span(bytes).first(size));
    if (io.state == Io::over) {
      // Who looks whether somebody listens, and says nothing, is not worth a word.
      if (has_said_something_) why_ = storage_error("It left before it had said who it is");
      return State::gone;
    }
    if (io.state != Io::done) return State::waiting;
    has_said_something_ = true;
    Status status = frame_.take(std::string_view(bytes.data(), io.bytes));
    if (!status.ok()) return refuse(std::move(status));
    if (!frame_.is_whole()) continue;
    const Result<std::string> answer = greeting_.take(frame_);
    if (!answer.ok()) return refuse(answer.status());
    if (!write_all(*stream_, *answer)) return State::gone;
    if (greeting_.is_done()) return State::let_in;
    frame_ = GreetingFrame();
  }
}

Stranger::State Stranger::refuse(Status why) {
  why_ = std::move(why);
  return State::refused;
}

bool Stranger::tell_why() {
  // A socket that is closed with bytes unread takes back what it has said: he closes first.
  if (!write_all(*stream_, refusal(why_))) return false;
  stream_->finish();
  return true;
}

Stranger::State Stranger::leave() {
  std::array<char, 4096> ignored;
  const Io io = stream_->read(ignored);
  return io.state == Io::over ? State::gone : State::refused;
}

size_t late_count(std::span<const std::chrono::milliseconds> ages,
                  std::chrono::milliseconds time_max, size_t count_max) {
  size_t count = 0;
  for (const std::chrono::milliseconds age : ages) {
    const bool is_one_too_many = ages.size() - count > count_max && age >= kJustCome;
    if (age < time_max && !is_one_too_many) break;
    ++count;
  }
  return count;
}

}  // namespace evergrove::runtime
