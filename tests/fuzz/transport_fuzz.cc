// What comes over the network: any bytes are refused or give messages that were in them, however
// long they say they are, or are in shared memory where they say; any greeting is refused or
// answered, and none opens a listener that has a token; any address is refused or comes back as it
// was written.
//
// The input is, after a byte that says in which pieces it comes, the bytes of a connection.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_frame.h"
#include "evergrove/runtime/transport_greeting.h"
#include "evergrove/runtime/transport_shared.h"

namespace {

using namespace evergrove::runtime;

std::vector<evergrove::Bytes> messages_in(std::string_view rest, size_t piece,
                                          FrameReader& reader) {
  std::vector<evergrove::Bytes> messages;
  while (!rest.empty()) {
    const std::span<char> room = reader.room();
    if (room.empty()) std::abort();
    const size_t size = std::min({room.size(), rest.size(), piece});
    std::copy_n(rest.data(), size, room.data());
    rest.remove_prefix(size);
    if (!reader.take(size, messages).ok() || reader.has_said_goodbye()) break;
  }
  return messages;
}

void read_frames(std::string_view rest, size_t piece) {
  constexpr uint64_t kMessageBytesMaxHere = 4096;
  FrameReader reader(kMessageBytesMaxHere);
  const size_t bytes_before = rest.size();
  const std::vector<evergrove::Bytes> messages = messages_in(rest, piece, reader);
  uint64_t message_bytes = 0;
  for (const evergrove::Bytes& message : messages) {
    if (message.view.size() > kMessageBytesMaxHere) std::abort();
    message_bytes += kFrameHeaderBytes;
    for (char c : message.view) message_bytes += 1 + (c & 0);  // reads every byte
  }
  if (message_bytes > bytes_before) std::abort();
}

// Of a local socket: messages may lie in memory that is shared, and nowhere beside it.
void read_local_frames(std::string_view rest, size_t piece) {
  static const std::unique_ptr<SharedRoom> shared = SharedRoom::make();
  static const auto view = SharedView::open(Descriptor(::dup(shared->descriptor())));
  if (!view.ok()) std::abort();
  FrameSharing sharing;
  sharing.take_room = [] { return evergrove::Status(); };
  sharing.message_at = [](const SharedPlace& place) { return SharedView::at(*view, place); };
  sharing.take_bell = [](FrameKind kind, std::string_view body) {
    if (body.size() != (kind == FrameKind::bell_call ? 1 : 0)) std::abort();
    return evergrove::Status();
  };
  FrameReader reader(4096, sharing);
  const std::vector<evergrove::Bytes> messages = messages_in(rest, piece, reader);
  unsigned sum = 0;
  for (const evergrove::Bytes& message : messages) {
    if (message.view.size() > SharedRoom::kBytes) std::abort();
    if (message.view.empty()) continue;
    sum += static_cast<unsigned char>(message.view.front());
    sum += static_cast<unsigned char>(message.view.back());
  }
  volatile unsigned seen = sum;
  (void)seen;
}

void greet(std::string_view rest, size_t piece, Greeting::Side side, const std::string& token) {
  GreetingTerms terms;
  terms.token = token;
  terms.run = "run";
  Greeting greeting(side, terms, Nonce{});
  (void)greeting.begin();
  while (!greeting.is_done()) {
    GreetingFrame frame;
    while (!frame.is_whole()) {
      const size_t size = std::min({frame.missing(), rest.size(), piece});
      if (size == 0 || !frame.take(rest.substr(0, size)).ok()) return;
      if (frame.bytes().size() > kFrameHeaderBytes + kGreetingBytesMax) std::abort();
      rest.remove_prefix(size);
    }
    const auto answer = greeting.take(frame);
    if (!answer.ok()) return;
  }
  if (!token.empty()) std::abort();  // nobody makes up a proof
  if (greeting.peer_name().size() > kGreetingTextMax) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = data[0] == 0 ? size : data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_frames(bytes, piece);
  read_local_frames(bytes, piece);
  for (const auto side : {Greeting::Side::dialler, Greeting::Side::listener}) {
    greet(bytes, piece, side, "");
    greet(bytes, piece, side, "secret");
  }
  if (const auto place = parse_host_port(bytes); place.ok()) {
    const auto again = parse_host_port(to_text(*place));
    if (!again.ok() || again->host != place->host || again->port != place->port) std::abort();
  }
  if (const auto places = parse_port_range(bytes); places.ok()) {
    const auto again = parse_port_range(to_text(*places));
    if (!again.ok() || again->host != places->host) std::abort();
    if (again->port_first != places->port_first || again->port_last != places->port_last) {
      std::abort();
    }
  }
  return 0;
}
