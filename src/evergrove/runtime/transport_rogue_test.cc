// Peers that have the token, and use it to send what no transport would.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "evergrove/base/testing_sanitizers.h"
#include "evergrove/runtime/testing_transport.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_frame.h"
#include "evergrove/runtime/transport_greeting.h"
#include "evergrove/runtime/transport_sockets.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {
namespace {

std::string frame(FrameKind kind, std::string_view body) {
  const auto header = encode_header({kind, static_cast<uint32_t>(body.size())});
  return std::string(header.begin(), header.end()).append(body);
}

// Only the header of a frame that is longer than all that follows it.
std::string header_alone(FrameKind kind, uint32_t bytes) {
  const auto header = encode_header({kind, bytes});
  return {header.begin(), header.end()};
}

// What this process has resident now.
uint64_t current_memory_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t all_pages = 0;
  uint64_t resident_pages = 0;
  file >> all_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Greets as it should, if it is asked to, and then says what it likes.
class Rogue {
 public:
  explicit Rogue(const std::string& address)
      : stream_(
            plain_transport_stream(connect_to(*parse_host_port(address), Endpoint::kWaitMax, [] {
                                     return false;
                                   }).value())) {}

  void greet() {
    GreetingTerms terms;
    terms.name = "rogue";
    terms.token = "secret";
    Greeting greeting(Greeting::Side::dialler, terms, make_nonce());
    write(greeting.begin());
    while (!greeting.is_done()) write(greeting.take(read_frame()).value());
  }
  void write(const std::string& bytes) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    (void)stream_->write(std::span(&piece, 1));
  }
  // The next frame, or an empty one at the end.
  GreetingFrame read_frame() {
    GreetingFrame frame;
    while (!frame.is_whole()) {
      char bytes[4096];
      const Io io = stream_->read_waiting(std::span(bytes).first(frame.missing()));
      if (io.state != Io::done) return {};
      EXPECT_TRUE(frame.take({bytes, io.bytes}).ok());
    }
    return frame;
  }
  // Reads to the end of the connection.
  void finish() {
    char bytes[4096];
    while (stream_->read_waiting(bytes).state == Io::done) continue;
  }

 private:
  std::unique_ptr<TransportStream> stream_;
};

TEST(TransportRogue, EndsTheConnectionOfWhoSendsNonsense) {
  Besieged place(besieged_options());
  const std::string hello = frame(FrameKind::hello, "evergrov");
  for (const std::string& bytes :
       {header_alone(FrameKind::message, 0xffffffff), std::string(20, '\x63'), std::string(5, '\0'),
        header_alone(FrameKind::message, kMessageBytesMax + 1), frame(FrameKind::ping, "x"),
        frame(FrameKind::goodbye, "x"), hello, frame(FrameKind::accepted, ""),
        frame(FrameKind::message, "fine") + hello}) {
    SCOPED_TRACE("frame of kind " + std::to_string(static_cast<int>(bytes[0])) + ", " +
                 std::to_string(bytes.size()) + " bytes");
    const size_t closed_before = [&] {
      const std::lock_guard lock(place.listener.mutex);
      return place.listener.closed.size();
    }();
    Rogue rogue(place.listener.transport->address());
    rogue.greet();
    rogue.write(frame(FrameKind::ping, ""));
    rogue.write(bytes);
    rogue.finish();
    ASSERT_TRUE(
        place.listener.wait([&] { return place.listener.closed.size() == closed_before + 1; }));
    const Status why = place.listener.closed.rbegin()->second;
    EXPECT_EQ(why.kind(), StatusKind::corrupt) << why.message();
    place.expect_unharmed();
  }
}

// The sanitizer marks all that is asked for, a byte for eight, in memory of its own.
constexpr uint64_t kMarks = EVERGROVE_ADDRESS_SANITIZER == 1 ? uint64_t{20} << 27 : 0;
constexpr uint64_t kLittle = (uint64_t{200} << 20) + kMarks;

TEST(TransportRogue, APromisedGigabyteTakesNoMemory) {
  Besieged place(besieged_options());
  const uint64_t before = current_memory_bytes();
  std::vector<std::unique_ptr<Rogue>> all;
  for (int i = 0; i < 20; ++i) {
    all.push_back(std::make_unique<Rogue>(place.listener.transport->address()));
    all.back()->greet();
    all.back()->write(header_alone(FrameKind::message, kMessageBytesMax) + std::string(10000, 'x'));
  }
  ASSERT_TRUE(place.listener.wait([&] { return place.listener.opened.size() == 21; }));
  place.expect_unharmed();
  EXPECT_LT(current_memory_bytes(), before + kLittle) << "of 20 GiB promised";
}

TEST(TransportRogue, EndsWhoLeavesInTheMiddleOfAMessage) {
  Besieged place(besieged_options());
  {
    Rogue rogue(place.listener.transport->address());
    rogue.greet();
    rogue.write(header_alone(FrameKind::message, 100000) + std::string(50000, 'x'));
  }
  ASSERT_TRUE(place.listener.wait([&] { return place.listener.closed.size() == 1; }));
  EXPECT_EQ(place.listener.closed.begin()->second.kind(), StatusKind::storage);
}

TEST(TransportRogue, RefusesGreetingsThatAreNone) {
  Besieged place(besieged_options());
  const std::string nonce(kNonceBytes, 'x');
  const std::string version("\2\0\0\0", 4);
  const std::string good = frame(FrameKind::hello, "evergrov" + version + nonce);
  const std::string login = frame(FrameKind::login, std::string(12, '\0'));
  const std::vector<std::string> all = {
      std::string(5, 'x'),
      frame(FrameKind::hello, ""),
      frame(FrameKind::hello, "evergroV" + version + nonce),
      frame(FrameKind::hello, "evergrov" + version + nonce + "x"),
      frame(FrameKind::hello, "evergrov" + version),
      frame(FrameKind::hello, "evergrov" + std::string("\1\0\0\0", 4) + nonce),  // a version before
      frame(FrameKind::hello, "evergrov" + std::string("\0\0\0\0", 4) + nonce),
      frame(FrameKind::hello, std::string(kGreetingBytesMax, 'x')),
      header_alone(FrameKind::hello, kGreetingBytesMax + 1),
      frame(FrameKind::message, std::string(100, 'x')),  // before it is known
      frame(FrameKind::login, std::string(12, '\0')),    // before the hello
      frame(FrameKind::accepted, std::string(12, '\0')),
      frame(FrameKind::refused, std::string("\1\1\0\0\0x", 6)),
      good + good,
      good + login,  // without a proof
      good + frame(FrameKind::login, std::string("\xff\xff\xff\xff", 4)),
      good + frame(FrameKind::login, ""),
  };
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE("greeting " + std::to_string(i));
    Rogue rogue(place.listener.transport->address());
    rogue.write(all[i]);
    GreetingFrame answer = rogue.read_frame();
    if (answer.missing() == 0 && answer.kind() == FrameKind::challenge) answer = rogue.read_frame();
    ASSERT_TRUE(answer.is_whole());
    EXPECT_EQ(answer.kind(), FrameKind::refused);
    rogue.finish();
    EXPECT_TRUE(
        place.listener.wait([&] { return place.listener.transport->refused_count() == i + 1; }));
  }
  // The one that belongs there; its own greeting may take longer than all of these.
  EXPECT_TRUE(place.listener.wait([&] { return !place.listener.opened.empty(); }));
  EXPECT_EQ(place.listener.opened.size(), 1u);
}

TEST(TransportRogue, WhatWasSaidOnceOpensNothing) {
  // Somebody has listened to a good dialler, byte by byte, and says the same.
  Besieged place(besieged_options());
  GreetingTerms terms;
  terms.token = "secret";
  Greeting greeting(Greeting::Side::dialler, terms, make_nonce());
  Rogue first(place.listener.transport->address());
  const std::string hello = greeting.begin();
  first.write(hello);
  const std::string login = greeting.take(first.read_frame()).value();
  first.write(login);
  EXPECT_EQ(first.read_frame().kind(), FrameKind::accepted);
  Rogue second(place.listener.transport->address());
  second.write(hello);
  EXPECT_EQ(second.read_frame().kind(), FrameKind::challenge);
  second.write(login);
  EXPECT_EQ(second.read_frame().kind(), FrameKind::refused);
}

}  // namespace
}  // namespace evergrove::runtime
