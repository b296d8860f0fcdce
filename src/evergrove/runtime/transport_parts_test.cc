// The parts of a transport that need no network: frames, greetings, addresses, strangers, back-off.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "evergrove/runtime/backoff.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_frame.h"
#include "evergrove/runtime/transport_sockets.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Bytes shared(std::string text) {
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return {*owner, owner};
}

TEST(TransportFrame, PutsMessagesTogetherThatWereCut) {
  rc::check("small ones and parts", [] {
    const auto texts = *rc::gen::container<std::vector<std::string>>(
        rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
    const auto part_size = *rc::gen::inRange<size_t>(1, 50);
    const auto is_small =
        *rc::gen::container<std::vector<bool>>(texts.size(), rc::gen::arbitrary<bool>());
    FrameReader reader(1 << 20);
    std::vector<Bytes> messages;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (is_small[i] || texts[i].empty()) {
        std::string frame;
        append_small_message(frame, texts[i]);
        RC_ASSERT(reader.take(shared(frame), {}, messages).ok());
        continue;
      }
      for (size_t offset = 0; offset < texts[i].size(); offset += part_size) {
        const auto kind = reader.take(shared(part_frame(texts[i].size(), offset)),
                                      shared(texts[i].substr(offset, part_size)), messages);
        RC_ASSERT(kind.ok());
      }
    }
    RC_ASSERT(messages.size() == texts.size());
    for (size_t i = 0; i < texts.size(); ++i) RC_ASSERT(messages[i].view == texts[i]);
  });
}

TEST(TransportFrame, DoesNotCopyAMessageOfOnePart) {
  FrameReader reader(100);
  std::vector<Bytes> messages;
  const Bytes body = shared("whole");
  ASSERT_TRUE(reader.take(shared(part_frame(5, 0)), body, messages).ok());
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].view.data(), body.view.data());
  EXPECT_EQ(messages[0].owner, body.owner);
}

TEST(TransportFrame, RefusesWhatDoesNotFit) {
  const auto refused = [](const std::vector<std::pair<std::string, std::string>>& frames) {
    FrameReader reader(1000);
    std::vector<Bytes> messages;
    Status status;
    for (const auto& [frame, body] : frames) {
      status = reader.take(shared(frame), shared(body), messages).status();
    }
    return !status.ok() && status.kind() == StatusKind::corrupt;
  };
  EXPECT_TRUE(refused({{"", ""}}));
  EXPECT_TRUE(refused({{"\x05", ""}}));
  EXPECT_TRUE(refused({{std::string("\x00x", 2), ""}}));
  EXPECT_TRUE(refused({{"\x04x", ""}}));
  EXPECT_TRUE(refused({{"\x02", ""}})) << "no messages";
  EXPECT_TRUE(refused({{std::string("\x02\x02\x00\x00\x00x", 6), ""}})) << "too long for its frame";
  EXPECT_TRUE(refused({{std::string("\x02\x00\x00", 3), ""}})) << "half a length";
  EXPECT_TRUE(refused({{part_frame(10, 0).substr(0, 12), "x"}}));
  EXPECT_TRUE(refused({{part_frame(1001, 0), "x"}})) << "beyond the limit";
  EXPECT_TRUE(refused({{part_frame(~uint64_t{0}, 0), "x"}}));
  EXPECT_TRUE(refused({{part_frame(10, 1), "x"}})) << "begins in its middle";
  EXPECT_TRUE(refused({{part_frame(1, 0), "xy"}})) << "more than its size";
  EXPECT_TRUE(refused({{part_frame(10, 0), ""}}));
  EXPECT_TRUE(refused({{part_frame(10, 0), "xy"}, {part_frame(10, 3), "x"}})) << "a gap";
  EXPECT_TRUE(refused({{part_frame(10, 0), "xy"}, {part_frame(10, 0), "xy"}})) << "twice";
  EXPECT_TRUE(refused({{part_frame(10, 0), "xy"}, {part_frame(11, 2), "x"}})) << "another size";
  EXPECT_TRUE(refused({{part_frame(10, 0), "xy"}, {part_frame(10, 2), "123456789"}}));
  std::string small;
  append_small_message(small, "x");
  EXPECT_TRUE(refused({{part_frame(10, 0), "xy"}, {small, ""}})) << "inside of another";
  EXPECT_TRUE(refused({{small.substr(0, 5), ""}}));
}

TEST(TransportFrame, PingsMayComeBetweenParts) {
  FrameReader reader(1000);
  std::vector<Bytes> messages;
  ASSERT_TRUE(reader.take(shared(part_frame(4, 0)), shared("ab"), messages).ok());
  ASSERT_TRUE(reader.take(shared(plain_frame(FrameKind::ping)), {}, messages).ok());
  ASSERT_TRUE(reader.take(shared(part_frame(4, 2)), shared("cd"), messages).ok());
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].view, "abcd");
}

TEST(TransportFrame, GreetingsComeBackAndOthersDoNot) {
  const std::string bytes = encode_greeting({1, "worker 3", "fraud"});
  const auto greeting = decode_greeting(bytes, 1);
  ASSERT_TRUE(greeting.ok());
  EXPECT_EQ(greeting->name, "worker 3");
  EXPECT_EQ(greeting->run, "fraud");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_greeting(bytes.substr(0, size), 1).status().kind(), StatusKind::corrupt);
  }
  EXPECT_FALSE(decode_greeting(bytes + "x", 1).ok());
  EXPECT_FALSE(decode_greeting(encode_greeting({0, "a", "b"}), 1).ok());
  const std::string long_name(kGreetingTextMax + 1, 'x');
  EXPECT_FALSE(decode_greeting(encode_greeting({1, long_name, ""}), 1).ok());
  EXPECT_FALSE(decode_greeting(encode_greeting({1, "", long_name}), 1).ok());
  // Whatever a later version says after its number.
  EXPECT_EQ(decode_greeting(encode_greeting({2, "a", "b"}) + "more", 1).status().kind(),
            StatusKind::unsupported);
}

TEST(TransportAddress, ReadsHostAndPort) {
  for (const char* text :
       {"127.0.0.1:80", "worker-7.internal:7070", "[::1]:0", "localhost:65535"}) {
    const auto place = parse_host_port(text);
    ASSERT_TRUE(place.ok()) << text;
    EXPECT_EQ(to_text(*place), text);
  }
  for (const char* text : {"", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:1x",
                           "::1:80", "[::1]", "[::1:80", "[]:80", "[host]:80", "a b:1", "a/b:1",
                           "host:80 ", "[::1]x:80", "user@host:1"}) {
    EXPECT_EQ(parse_host_port(text).status().kind(), StatusKind::invalid_input) << text;
  }
}

TEST(TransportAddress, KnowsLoopback) {
  for (const char* host : {"127.0.0.1", "127.255.0.9", "::1", "localhost"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "localhost.example",
                           "127.0.0.1.example", "", "fe80::1"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
  EXPECT_TRUE(is_wildcard("0.0.0.0"));
  EXPECT_TRUE(is_wildcard("::"));
  EXPECT_FALSE(is_wildcard("10.0.0.0"));
  EXPECT_TRUE(parse_host_port(to_text({first_address(), 1})).ok());
}

TEST(TransportSockets, ReadsWhatGrpcCallsAPeer) {
  EXPECT_EQ(peer_of_grpc("ipv4:127.0.0.1:43210"), "127.0.0.1:43210");
  EXPECT_EQ(peer_of_grpc("ipv6:%5B::1%5D:43210"), "[::1]:43210");
  EXPECT_EQ(peer_of_grpc("ipv6:[::1]:43210"), "[::1]:43210");
  EXPECT_EQ(peer_of_grpc("unix:"), "unix:");
  EXPECT_EQ(peer_of_grpc(""), "");
}

TEST(Strangers, AreCutWhenTheyAreLateOrTooMany) {
  Strangers strangers(milliseconds(1000), 2);
  const auto start = steady_clock::time_point(milliseconds(5000));
  using Names = std::vector<std::string>;
  EXPECT_EQ(strangers.look(start, {"a", "friend"}, {"friend"}), Names{});
  EXPECT_EQ(strangers.look(start + milliseconds(999), {"a", "b"}, {}), Names{});
  EXPECT_EQ(strangers.look(start + milliseconds(1000), {"a", "b"}, {}), Names{"a"});
  // Who has said who he is is none any more, and begins anew when it is over.
  EXPECT_EQ(strangers.look(start + milliseconds(2500), {"b"}, {"b"}), Names{});
  EXPECT_EQ(strangers.look(start + milliseconds(2600), {"b"}, {}), Names{});
  // Too many: those who were there before, the first come of them first.
  EXPECT_EQ(strangers.look(start + milliseconds(2700), {"b", "c", "d", "e"}, {}), Names{"b"});
  EXPECT_EQ(strangers.look(start + milliseconds(2800), {"c", "d", "e", "f"}, {}),
            (Names{"c", "d"}));
}

TEST(Backoff, GrowsToItsLimitWithJitter) {
  rc::check("each delay", [](uint64_t seed) {
    Backoff backoff({.seed = seed, .first = milliseconds(100), .most = milliseconds(10000)});
    for (int i = 0; i < 100; ++i) {
      const int64_t whole = i < 7 ? 100 << i : 10000;
      const int64_t delay = backoff.next().count();
      RC_ASSERT(delay <= whole);
      RC_ASSERT(delay >= whole / 2);
    }
    backoff.reset();
    RC_ASSERT(backoff.next() <= milliseconds(100));
  });
  Backoff one({.seed = 1});
  Backoff other({.seed = 2});
  std::set<int64_t> delays;
  for (int i = 0; i < 20; ++i) {
    delays.insert(one.next().count());
    delays.insert(other.next().count());
  }
  EXPECT_GT(delays.size(), 30u) << "those that failed together come back together";
  Backoff same({.seed = 1});
  Backoff again({.seed = 1});
  EXPECT_EQ(same.next(), again.next());
  EXPECT_EQ(Backoff({.seed = 1, .first = milliseconds(0), .most = milliseconds(0)}).next().count(),
            1);
}

}  // namespace
}  // namespace evergrove::runtime
