// Stranger: who has connected to us and not yet shown that he may.
//
// It never waits: advance() does what can be done now. What a stranger may have of us is a socket
// and some memory (kGreetingBytesMax, with TLS 50 KB more) until whoever owns it cuts it. One
// thread.
//
//   Stranger stranger(std::move(stream), address, terms);
//   while (stranger.advance() == Stranger::State::waiting) ...poll .socket() for .events()
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport_greeting.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {

class Stranger {
 public:
  using Clock = std::chrono::steady_clock;
  // refused: is to be told why, once, and then to leave; gone: has left.
  enum class State : uint8_t { waiting, let_in, refused, gone };

  Stranger(std::unique_ptr<TransportStream> stream, std::string address, const GreetingTerms& terms,
           Clock::time_point since);

  State advance();
  // Why it is refused.
  const Status& why() const { return why_; }
  // Tells him, and nothing more; false if he cannot be told.
  bool tell_why();
  // What poll() is to wait for.
  short events() const { return events_; }
  int socket() const { return stream_->socket(); }
  const std::string& address() const { return address_; }
  Clock::time_point since() const { return since_; }
  // What there is to know of one that is let in.
  const std::string& name() const { return greeting_.peer_name(); }
  std::unique_ptr<TransportStream> take_stream() { return std::move(stream_); }

 private:
  State greet();
  State refuse(Status why);
  State leave();

  std::unique_ptr<TransportStream> stream_;
  const std::string address_;
  const Clock::time_point since_;
  Greeting greeting_;
  GreetingFrame frame_;
  bool has_shaken_hands_ = false;
  bool has_said_something_ = false;
  Status why_;
  short events_;
};

// How many of those whose ages are given, the oldest first, are to be cut off: who is unknown for
// too long, and the first come of more than count_max. Nobody who has just come is one too many:
// when many come at once, as after a restart, most will have said who they are in a moment.
size_t late_count(std::span<const std::chrono::milliseconds> ages,
                  std::chrono::milliseconds time_max, size_t count_max);
inline constexpr std::chrono::milliseconds kJustCome{1000};

}  // namespace evergrove::runtime
