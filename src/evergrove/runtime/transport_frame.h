// The bytes between two transports that have greeted each other: messages cut into frames, and put
// together again.
//
// Promise: reading takes any bytes, in any pieces, and refuses what is not of ours before memory is
// taken for it. Of a message no more than kReadAheadBytes are copied: the rest is read to where it
// will stay. Pure; one thread at a time. transport_frame.cc has the bytes.
//
//   FrameReader frames(kMessageBytesMax);
//   const size_t size = read(socket, frames.room());
//   EVERGROVE_RETURN_IF_ERROR(frames.take(size, messages));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_shared.h"

namespace evergrove::runtime {

// None of them begins as a record of TLS does (20 to 23), so that each side knows the other.
enum class FrameKind : uint8_t {
  hello = 1,      // the first, of who has dialled
  challenge = 2,  // of who listens, then
  login = 3,
  accepted = 4,
  refused = 5,  // a Status; nothing comes after it
  ping = 6,     // we are alive
  message = 7,
  goodbye = 8,  // nothing comes after it
  // Only over a local socket:
  room = 9,        // memory is shared from here on; its descriptor comes with it
  placed = 10,     // a message that lies there: a SharedPlace
  bell_page = 11,  // how we are to be called when there is something to read (transport_bell.h):
  bell_call = 12,  // each with a descriptor; and our place among those who call
  rings = 13,      // from here on we call
};

struct FrameHeader {
  FrameKind kind = FrameKind::ping;
  uint32_t bytes = 0;  // that follow
};

inline constexpr size_t kFrameHeaderBytes = 5;
inline constexpr size_t kGreetingBytesMax = 4096;  // of a frame before the connection is open
inline constexpr size_t kReadAheadBytes = 16384;

using FrameHeaderBytes = std::array<char, kFrameHeaderBytes>;
FrameHeaderBytes encode_header(FrameHeader header);
// corrupt for a kind that is none, or more bytes than one of that kind has.
// Requires: kFrameHeaderBytes bytes.
Result<FrameHeader> decode_header(std::string_view bytes);

// What frames of a local socket lead to; without it they are refused.
struct FrameSharing {
  std::function<Status()> take_room;
  std::function<Result<Bytes>(const SharedPlace&)> message_at;
  std::function<Status(FrameKind kind, std::string_view body)> take_bell;  // the three of a bell
};

class FrameReader {
 public:
  explicit FrameReader(uint64_t message_bytes_max, FrameSharing sharing = {});

  // Where the next bytes are to be put; never empty.
  std::span<char> room();
  // Takes so many bytes that were put there, and appends the messages that are whole with them,
  // those before a failure as well. After a failure or a goodbye nothing more is to be read.
  Status take(size_t size, std::vector<Bytes>& messages);
  bool has_said_goodbye() const { return has_said_goodbye_; }

 private:
  Status begin_message(uint32_t size);
  Status take_shared(FrameKind kind, std::string_view body, std::vector<Bytes>& messages);
  void end_message(std::vector<Bytes>& messages);

  uint64_t message_bytes_max_;
  FrameSharing sharing_;
  std::unique_ptr<char[]> ahead_;  // kReadAheadBytes
  size_t ahead_bytes_ = 0;         // that are in it: a part of a header, between two calls
  std::shared_ptr<char[]> message_;
  size_t message_bytes_ = 0;  // of the whole
  size_t message_here_ = 0;
  bool has_said_goodbye_ = false;
};

}  // namespace evergrove::runtime
