// Greeting: how two transports find out, before anything else, that they belong together.
//
// Promise: the token itself is never sent: each side proves that it knows it by an HMAC over all
// that was said, with fresh random bytes of both in it, so that what was listened to cannot be said
// again, nor back. Who does not have it, is of another run or speaks a later version gets a
// sentence that says so, and nothing else. What is read is bounded (kGreetingBytesMax). Pure: bytes
// in, bytes out; one thread at a time. transport_greeting.cc has the bytes.
//
//   Greeting greeting(Greeting::Side::dialler, terms, nonce);
//   write(greeting.begin());
//   while (!greeting.is_done()) {
//     ...read frame.missing() bytes into `frame` until frame.is_whole()
//     EVERGROVE_ASSIGN_OR_RETURN(const std::string answer, greeting.take(frame));
//     write(answer);
//   }
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport_frame.h"

namespace evergrove::runtime {

inline constexpr size_t kGreetingTextMax = 1000;  // bytes of a name or run
inline constexpr size_t kNonceBytes = 32;
using Nonce = std::array<char, kNonceBytes>;

// A frame as it comes, a few bytes at a time, and no byte of what follows it.
class GreetingFrame {
 public:
  // How many bytes are to be read next; at least 1 until it is whole.
  size_t missing() const;
  // Requires: bytes.size() <= missing().
  Status take(std::string_view bytes);
  bool is_whole() const { return missing() == 0; }

  // Requires: is_whole().
  FrameKind kind() const { return header_.kind; }
  std::string_view body() const { return std::string_view(bytes_).substr(kFrameHeaderBytes); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  FrameHeader header_;
};

// What a side tells of itself, and asks of the other.
struct GreetingTerms {
  uint32_t version = kTransportVersion;
  std::string name;
  std::string run;    // empty: not known yet
  std::string token;  // empty: none is asked for
};

class Greeting {
 public:
  enum class Side : uint8_t { dialler, listener };

  Greeting(Side side, GreetingTerms terms, const Nonce& nonce);

  // What is to be said before anything was heard: nothing, for a listener.
  std::string begin();
  // Takes the next frame; returns what to answer, or why the other is not to be talked to.
  // Requires: !is_done().
  Result<std::string> take(const GreetingFrame& frame);
  // Whether both have said all: what follows are messages.
  bool is_done() const { return is_done_; }
  const std::string& peer_name() const { return peer_name_; }

 private:
  struct Introduction;
  Result<std::string> take_hello(const GreetingFrame& frame);
  Result<std::string> take_challenge(const GreetingFrame& frame);
  Result<std::string> take_login(const GreetingFrame& frame);
  Result<std::string> take_accepted(const GreetingFrame& frame);
  std::string say(FrameKind kind, std::string_view body);
  std::string introduction() const;
  Result<Introduction> introduced(std::string_view body);
  std::string proof(Side side, std::string_view name, std::string_view run) const;

  const Side side_;
  const GreetingTerms terms_;
  const Nonce nonce_;
  std::string said_;  // all frames so far, of both
  FrameKind next_;    // that is expected
  std::string peer_name_;
  bool is_done_ = false;
};

// The frame by which a listener says why it will not.
std::string refusal(const Status& why);
// Random bytes of the system.
Nonce make_nonce();
// Whether two secrets are equal, in a time that does not tell where they differ.
bool is_same_secret(std::string_view a, std::string_view b);
// The beginning of what others have written, as one line that a terminal may show.
std::string first_line(std::string_view text);

}  // namespace evergrove::runtime
