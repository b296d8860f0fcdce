// What comes over the network: any bytes are refused or give messages that were in them, however
// long they say they are; any greeting is refused or answered, and none opens a listener that has a
// token; any address is refused or comes back as it was written.
//
// The input is, after a byte that says in which pieces it comes, the bytes of a connection.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_frame.h"
#include "evergrove/runtime/transport_greeting.h"

namespace {

using namespace evergrove::runtime;

void read_frames(std::string_view rest, size_t piece) {
  constexpr uint64_t kMessageBytesMaxHere = 4096;
  FrameReader reader(kMessageBytesMaxHere);
  std::vector<evergrove::Bytes> messages;
  const size_t bytes_before = rest.size();
  while (!rest.empty()) {
    const std::span<char> room = reader.room();
    if (room.empty()) std::abort();
    const size_t size = std::min({room.size(), rest.size(), piece});
    std::copy_n(rest.data(), size, room.data());
    rest.remove_prefix(size);
    if (!reader.take(size, messages).ok() || reader.has_said_goodbye()) break;
  }
  uint64_t message_bytes = 0;
  for (const evergrove::Bytes& message : messages) {
    if (message.view.size() > kMessageBytesMaxHere) std::abort();
    message_bytes += kFrameHeaderBytes;
    for (char c : message.view) message_bytes += 1 + (c & 0);  // reads every byte
  }
  if (message_bytes > bytes_before) std::abort();
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
