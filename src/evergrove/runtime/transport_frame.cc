// The bytes. A frame is a Flight message: its application metadata is
//
//   frame    := kind:u8 rest
//   ping     := 0
//   welcome  := 1 greeting
//   messages := 2 (size:u32 byte*size)+
//   part     := 3 size:u64 offset:u64        its bytes are the body; size is that of the message
//   goodbye  := 4
//   greeting := version:u32 name:string run:string, and whatever a later version may add
//
// and its body, for a part, is a record batch of one uint8 column, so that gRPC sends the bytes
// from where they are. Parts of one message follow each other, with messages of no other between.
// They keep a large message from looking like silence on a slow line, and from being held twice.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_frame.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "evergrove/base/bytes.h"

namespace evergrove::runtime {
namespace {

constexpr size_t kPartFrameBytes = 17;

}  // namespace

std::string encode_greeting(const Greeting& greeting) {
  ByteWriter out;
  out.u32(greeting.version).string(greeting.name).string(greeting.run);
  return out.take();
}

Result<Greeting> decode_greeting(std::string_view bytes, uint32_t version_max) {
  ByteReader in(bytes);
  Greeting greeting;
  greeting.version = in.u32();
  if (in.ok() && greeting.version > version_max) {
    return unsupported("The peer speaks a later version of the protocol; update Evergrove here",
                       {{"peer_version", std::to_string(greeting.version)},
                        {"version_max", std::to_string(version_max)}});
  }
  greeting.name = in.string();
  greeting.run = in.string();
  const bool is_short = greeting.name.size() <= kGreetingTextMax;
  if (!in.at_end() || greeting.version == 0 || !is_short ||
      greeting.run.size() > kGreetingTextMax) {
    return corrupt("The peer's greeting is not one of Evergrove; check the address");
  }
  return greeting;
}

std::string plain_frame(FrameKind kind) { return std::string(1, static_cast<char>(kind)); }

std::string welcome_frame(const Greeting& greeting) {
  return plain_frame(FrameKind::welcome) + encode_greeting(greeting);
}

std::string part_frame(uint64_t size, uint64_t offset) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(FrameKind::part)).u64(size).u64(offset);
  return out.take();
}

void append_small_message(std::string& frame, std::string_view message) {
  if (frame.empty()) frame = plain_frame(FrameKind::messages);
  const uint32_t size = static_cast<uint32_t>(message.size());
  for (int i = 0; i < 4; ++i) frame += static_cast<char>(size >> (8 * i));
  frame += message;
}

std::string_view welcome_of(std::string_view frame) { return frame.substr(1); }

Result<FrameKind> FrameReader::take(const Bytes& frame, const Bytes& body,
                                    std::vector<Bytes>& messages) {
  if (frame.view.empty()) return corrupt("The peer sent an empty frame");
  const uint8_t kind = static_cast<uint8_t>(frame.view.front());
  switch (static_cast<FrameKind>(kind)) {
    case FrameKind::ping:
    case FrameKind::goodbye:
      if (frame.view.size() != 1) return corrupt("The peer sent a frame that is too long");
      return static_cast<FrameKind>(kind);
    case FrameKind::welcome:
      return FrameKind::welcome;
    case FrameKind::messages:
      EVERGROVE_RETURN_IF_ERROR(take_messages(frame, messages));
      return FrameKind::messages;
    case FrameKind::part:
      EVERGROVE_RETURN_IF_ERROR(take_part(frame, body, messages));
      return FrameKind::part;
  }
  return corrupt("The peer sent a frame of an unknown kind", {{"kind", std::to_string(kind)}});
}

Status FrameReader::take_messages(const Bytes& frame, std::vector<Bytes>& messages) {
  if (assembled_ != nullptr) return corrupt("The peer sent a message inside of another");
  std::string_view rest = frame.view.substr(1);
  if (rest.empty()) return corrupt("The peer sent a frame of no messages");
  while (!rest.empty()) {
    ByteReader in(rest);
    const uint32_t size = in.u32();
    if (!in.ok() || size > rest.size() - 4) {
      return corrupt("The peer sent a message that is longer than its frame");
    }
    if (size > message_bytes_max_) return corrupt("The peer sent a message that is too long");
    messages.push_back({rest.substr(4, size), frame.owner});
    rest.remove_prefix(4 + size_t{size});
  }
  return {};
}

Status FrameReader::take_part(const Bytes& frame, const Bytes& body, std::vector<Bytes>& messages) {
  if (frame.view.size() != kPartFrameBytes) return corrupt("The peer sent a part that is torn");
  ByteReader in(frame.view.substr(1));
  const uint64_t size = in.u64();
  const uint64_t offset = in.u64();
  if (size > message_bytes_max_) {
    return corrupt("The peer sent a message that is too long",
                   {{"message_bytes", std::to_string(size)},
                    {"message_bytes_max", std::to_string(message_bytes_max_)}});
  }
  const bool is_first = assembled_ == nullptr;
  if (offset != (is_first ? 0 : assembled_end_) || (!is_first && size != assembled_size_)) {
    return corrupt("The peer sent a part that does not follow the one before");
  }
  if (body.view.empty() || body.view.size() > size - offset) {
    return corrupt("The peer sent a part that is empty, or longer than its message");
  }
  if (is_first && body.view.size() == size) {
    messages.push_back(body);
    return {};
  }
  if (is_first) {
    assembled_.reset(new (std::nothrow) char[size]);
    if (assembled_ == nullptr) {
      return storage_error("There is no memory for a message", {{"bytes", std::to_string(size)}});
    }
    assembled_size_ = size;
    assembled_end_ = 0;
  }
  std::memcpy(assembled_.get() + assembled_end_, body.view.data(), body.view.size());
  assembled_end_ += body.view.size();
  if (assembled_end_ < assembled_size_) return {};
  const char* data = assembled_.get();
  messages.push_back({std::string_view(data, assembled_size_),
                      std::shared_ptr<const void>(std::move(assembled_), data)});
  assembled_.reset();
  return {};
}

}  // namespace evergrove::runtime
