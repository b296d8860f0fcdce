// The bytes, little-endian:
//
//   connection := greeting (ping | message)* goodbye?     both ways; transport_greeting.cc
//                 over a local socket (room | placed) as well: transport_shared.h, and
//                 (bell_page bell_call rings?): transport_bell.h
//   frame      := kind:u8 size:u32 byte*size
//
// A message is one frame, whatever its size: that bytes of it come is sign of life enough, and the
// other side's pings go the other way. The memory for a message is taken when its header is here,
// but uninitialised: the system gives its pages as bytes arrive to fill them, so that a header that
// promises a gigabyte costs an address.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_frame.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "evergrove/base/bytes.h"

namespace evergrove::runtime {
namespace {

uint64_t bytes_max_of(FrameKind kind) {
  switch (kind) {
    case FrameKind::hello:
    case FrameKind::challenge:
    case FrameKind::login:
    case FrameKind::accepted:
    case FrameKind::refused:
      return kGreetingBytesMax;
    case FrameKind::message:
      return kMessageBytesMax;
    case FrameKind::ping:
    case FrameKind::goodbye:
    case FrameKind::room:
    case FrameKind::bell_page:
    case FrameKind::rings:
      return 0;
    case FrameKind::bell_call:
      return 1;
    case FrameKind::placed:
      return SharedPlace::kEncodedBytes;
  }
  return 0;
}

}  // namespace

FrameHeaderBytes encode_header(FrameHeader header) {
  FrameHeaderBytes bytes = {static_cast<char>(header.kind)};
  for (int i = 0; i < 4; ++i) bytes[1 + i] = static_cast<char>(header.bytes >> (8 * i));
  return bytes;
}

Result<FrameHeader> decode_header(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t kind = in.u8();
  const FrameHeader header{static_cast<FrameKind>(kind), in.u32()};
  if (!in.ok() || header.kind < FrameKind::hello || header.kind > FrameKind::rings) {
    return corrupt("The peer sent a frame of an unknown kind", {{"kind", std::to_string(kind)}});
  }
  if (header.bytes > bytes_max_of(header.kind)) {
    return corrupt("The peer sent a frame that is too long",
                   {{"kind", std::to_string(kind)}, {"bytes", std::to_string(header.bytes)}});
  }
  return header;
}

FrameReader::FrameReader(uint64_t message_bytes_max, FrameSharing sharing)
    : message_bytes_max_(message_bytes_max),
      sharing_(std::move(sharing)),
      ahead_(new char[kReadAheadBytes]) {}

std::span<char> FrameReader::room() {
  if (message_ != nullptr) return {message_.get() + message_here_, message_bytes_ - message_here_};
  return {ahead_.get() + ahead_bytes_, kReadAheadBytes - ahead_bytes_};
}

Status FrameReader::take(size_t size, std::vector<Bytes>& messages) {
  if (message_ != nullptr) {
    message_here_ += size;
    end_message(messages);
    return {};
  }
  std::string_view rest(ahead_.get(), ahead_bytes_ + size);
  while (rest.size() >= kFrameHeaderBytes && !has_said_goodbye_) {
    EVERGROVE_ASSIGN_OR_RETURN(const FrameHeader header,
                               decode_header(rest.substr(0, kFrameHeaderBytes)));
    const bool is_cut = rest.size() < kFrameHeaderBytes + header.bytes;
    const bool is_small = header.kind == FrameKind::placed || header.kind == FrameKind::bell_call;
    if (is_cut && is_small) break;  // more is to come
    rest.remove_prefix(kFrameHeaderBytes);
    switch (header.kind) {
      case FrameKind::ping:
        break;
      case FrameKind::goodbye:
        has_said_goodbye_ = true;
        break;
      case FrameKind::message: {
        EVERGROVE_RETURN_IF_ERROR(begin_message(header.bytes));
        message_here_ = std::min(rest.size(), message_bytes_);
        std::memcpy(message_.get(), rest.data(), message_here_);
        rest.remove_prefix(message_here_);
        end_message(messages);
        break;
      }
      case FrameKind::room:
      case FrameKind::placed:
      case FrameKind::bell_page:
      case FrameKind::bell_call:
      case FrameKind::rings:
        EVERGROVE_RETURN_IF_ERROR(take_shared(header.kind, rest.substr(0, header.bytes), messages));
        rest.remove_prefix(header.bytes);
        break;
      default:
        return corrupt("The peer greets again in the middle of a connection");
    }
  }
  ahead_bytes_ = rest.size();
  std::memmove(ahead_.get(), rest.data(), rest.size());
  return {};
}

Status FrameReader::take_shared(FrameKind kind, std::string_view body,
                                std::vector<Bytes>& messages) {
  if (!sharing_.take_room || !sharing_.message_at || !sharing_.take_bell) {
    return corrupt("The peer shares memory over a network");
  }
  const bool is_short = (kind == FrameKind::placed && body.size() != SharedPlace::kEncodedBytes) ||
                        (kind == FrameKind::bell_call && body.size() != 1);
  if (is_short) return corrupt("The peer sent a frame cut short");
  if (kind == FrameKind::room) return sharing_.take_room();
  if (kind != FrameKind::placed) return sharing_.take_bell(kind, body);
  EVERGROVE_ASSIGN_OR_RETURN(messages.emplace_back(),
                             sharing_.message_at(SharedPlace::decode(body)));
  return {};
}

Status FrameReader::begin_message(uint32_t size) {
  if (size > message_bytes_max_) {
    return corrupt("The peer sent a message that is too long",
                   {{"message_bytes", std::to_string(size)},
                    {"message_bytes_max", std::to_string(message_bytes_max_)}});
  }
  message_.reset(new (std::nothrow) char[std::max<size_t>(size, 1)]);
  if (message_ == nullptr) {
    return storage_error("There is no memory for a message", {{"bytes", std::to_string(size)}});
  }
  message_bytes_ = size;
  return {};
}

void FrameReader::end_message(std::vector<Bytes>& messages) {
  if (message_here_ < message_bytes_) return;
  const char* data = message_.get();
  messages.push_back({std::string_view(data, message_bytes_),
                      std::shared_ptr<const void>(std::move(message_), data)});
  message_.reset();
}

}  // namespace evergrove::runtime
