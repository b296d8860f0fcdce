// The bytes between two transports: greetings, and messages cut into frames and put together again.
//
// Promise: reading takes any bytes, refuses what is not of ours, and takes no memory for a length
// before it is known to be allowed. A message that came in one frame is not copied. Pure; one
// thread at a time. transport_frame.cc has the bytes.
//
//   FrameReader reader(kMessageBytesMax);
//   EVERGROVE_ASSIGN_OR_RETURN(FrameKind kind, reader.take(frame, body, messages));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport.h"

namespace evergrove::runtime {

enum class FrameKind : uint8_t {
  ping = 0,      // we are alive
  welcome = 1,   // a Greeting: the listener's first frame
  messages = 2,  // some small messages
  part = 3,      // the next part of a large one, in the body
  goodbye = 4,   // nothing comes after it
};

// What both sides tell of themselves: the dialler in a header of its call, the listener in its
// welcome.
struct Greeting {
  uint32_t version = kTransportVersion;
  std::string name;
  std::string run;
};

inline constexpr size_t kGreetingTextMax = 1000;   // bytes of a name or run
inline constexpr size_t kSmallMessageMax = 32768;  // a larger one is sent in parts
inline constexpr size_t kMessagesFrameMax = 65536;
inline constexpr size_t kPartBytesMax = size_t{1} << 20;

std::string encode_greeting(const Greeting& greeting);
// unsupported for a version above `version_max`, corrupt for other bytes than a greeting.
Result<Greeting> decode_greeting(std::string_view bytes, uint32_t version_max);

std::string plain_frame(FrameKind kind);
std::string welcome_frame(const Greeting& greeting);
// The frame of the part that begins at `offset` of a message of `size` bytes.
std::string part_frame(uint64_t size, uint64_t offset);
// Begins a frame of small messages, and appends one.
void append_small_message(std::string& frame, std::string_view message);

class FrameReader {
 public:
  explicit FrameReader(uint64_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  // Takes the next frame with its body, and appends the messages that are whole with it. After a
  // failure nothing more is to be read. A welcome is left to decode_greeting(welcome_of(frame)).
  Result<FrameKind> take(const Bytes& frame, const Bytes& body, std::vector<Bytes>& messages);

 private:
  Status take_messages(const Bytes& frame, std::vector<Bytes>& messages);
  Status take_part(const Bytes& frame, const Bytes& body, std::vector<Bytes>& messages);

  uint64_t message_bytes_max_;
  std::shared_ptr<char[]> assembled_;  // the large message of which not all parts are here
  uint64_t assembled_size_ = 0;        // of the whole
  uint64_t assembled_end_ = 0;         // of what is here
};

// The greeting's bytes in a welcome.
std::string_view welcome_of(std::string_view frame);

}  // namespace evergrove::runtime
