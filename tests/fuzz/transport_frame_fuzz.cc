// What comes over the network: any frames are refused or give messages that were in them, however
// long they say they are; any greeting and address is refused or comes back as it was written.
//
// The input is frames: the length of one (u8), that of its body (u8), its bytes, its body.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_frame.h"

namespace {

using namespace evergrove::runtime;

// A copy of exactly that size, so that reading beyond it is seen.
Bytes take(std::string_view& rest, size_t size) {
  size = std::min(size, rest.size());
  const std::shared_ptr<char[]> copy(new char[size]);
  std::copy_n(rest.data(), size, copy.get());
  rest.remove_prefix(size);
  return {std::string_view(copy.get(), size), copy};
}

void read_frames(std::string_view rest) {
  constexpr uint64_t kMessageBytesMaxHere = 4096;
  FrameReader reader(kMessageBytesMaxHere);
  std::vector<Bytes> messages;
  uint64_t bytes_before = 0;
  while (rest.size() >= 2) {
    const auto frame_size = static_cast<uint8_t>(rest[0]);
    const auto body_size = static_cast<uint8_t>(rest[1]);
    rest.remove_prefix(2);
    const Bytes frame = take(rest, frame_size);
    const Bytes body = take(rest, body_size);
    bytes_before += frame.view.size() + body.view.size();
    if (!reader.take(frame, body, messages).ok()) break;
  }
  uint64_t message_bytes = 0;
  for (const Bytes& message : messages) {
    if (message.view.size() > kMessageBytesMaxHere) std::abort();
    for (char c : message.view) message_bytes += 1 + (c & 0);  // reads every byte
  }
  if (message_bytes > bytes_before) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_frames(bytes);
  const auto greeting = decode_greeting(bytes, kTransportVersion);
  if (greeting.ok() && encode_greeting(*greeting) != bytes) std::abort();
  const auto place = parse_host_port(bytes);
  if (place.ok()) {
    const auto again = parse_host_port(to_text(*place));
    if (!again.ok() || again->host != place->host || again->port != place->port) std::abort();
  }
  return 0;
}
