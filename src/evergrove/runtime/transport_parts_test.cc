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
#include "evergrove/runtime/transport_greeting.h"
#include "evergrove/runtime/transport_stranger.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;

std::string frame(FrameKind kind, std::string_view body) {
  const auto header = encode_header({kind, static_cast<uint32_t>(body.size())});
  return std::string(header.begin(), header.end()).append(body);
}

// Gives the reader some bytes, as if they came so.
Status give(FrameReader& reader, std::string_view bytes, std::vector<Bytes>& messages) {
  while (!bytes.empty()) {
    const std::span<char> room = reader.room();
    const size_t size = std::min(room.size(), bytes.size());
    std::copy_n(bytes.data(), size, room.data());
    bytes.remove_prefix(size);
    EVERGROVE_RETURN_IF_ERROR(reader.take(size, messages));
  }
  return {};
}

TEST(TransportFrame, PutsMessagesTogetherHoweverTheyCome) {
  EXPECT_TRUE(rc::check("any messages, cut anywhere", [] {
    auto texts = *rc::gen::container<std::vector<std::string>>(
        rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
    if (*rc::gen::arbitrary<bool>()) {
      texts.emplace_back(*rc::gen::inRange<size_t>(1, 4 * kReadAheadBytes), 'x');
    }
    std::string bytes;
    for (const std::string& text : texts) {
      bytes += frame(FrameKind::message, text);
      if (*rc::gen::arbitrary<bool>()) bytes += frame(FrameKind::ping, "");
    }
    FrameReader reader(1 << 20);
    std::vector<Bytes> messages;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const size_t size = std::min(*rc::gen::inRange<size_t>(1, 30000), rest.size());
      RC_ASSERT(give(reader, rest.substr(0, size), messages).ok());
      rest.remove_prefix(size);
    }
    RC_ASSERT(messages.size() == texts.size());
    for (size_t i = 0; i < texts.size(); ++i) RC_ASSERT(messages[i].view == texts[i]);
  }));
}

TEST(TransportFrame, ReadsALargeMessageToWhereItStays) {
  FrameReader reader(1 << 20);
  std::vector<Bytes> messages;
  const std::string text(100000, 'x');
  ASSERT_TRUE(give(reader, frame(FrameKind::message, text).substr(0, 1000), messages).ok());
  const std::span<char> room = reader.room();
  EXPECT_EQ(room.size(), text.size() + kFrameHeaderBytes - 1000) << "all of the rest, nothing more";
  std::copy_n(text.data(), room.size(), room.data());
  ASSERT_TRUE(reader.take(room.size(), messages).ok());
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].view, text);
  EXPECT_EQ(messages[0].view.data() + text.size(), room.data() + room.size());
}

TEST(TransportFrame, RefusesWhatDoesNotFit) {
  const auto refused = [](const std::string& bytes) {
    FrameReader reader(1000);
    std::vector<Bytes> messages;
    const Status status = give(reader, bytes, messages);
    return !status.ok() && status.kind() == StatusKind::corrupt;
  };
  EXPECT_FALSE(refused(frame(FrameKind::message, std::string(1000, 'x'))));
  EXPECT_TRUE(refused(frame(FrameKind::message, std::string(1001, 'x'))));
  EXPECT_TRUE(refused("\x07\xff\xff\xff\xff")) << "four gigabytes";
  EXPECT_TRUE(refused(std::string(5, '\0')));
  EXPECT_TRUE(refused("\x09" + std::string(4, '\0')));
  EXPECT_TRUE(refused("\xff" + std::string(4, '\0')));
  EXPECT_TRUE(refused(frame(FrameKind::ping, "x")));
  EXPECT_TRUE(refused(frame(FrameKind::goodbye, "x")));
  for (FrameKind kind : {FrameKind::hello, FrameKind::challenge, FrameKind::login,
                         FrameKind::accepted, FrameKind::refused}) {
    EXPECT_TRUE(refused(frame(kind, ""))) << "a greeting, again";
  }
}

TEST(TransportFrame, KeepsWhatCameBeforeAFailureAndNothingAfterAGoodbye) {
  FrameReader reader(1000);
  std::vector<Bytes> messages;
  EXPECT_FALSE(give(reader, frame(FrameKind::message, "whole") + "nonsense", messages).ok());
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].view, "whole");
  FrameReader other(1000);
  messages.clear();
  const std::string end = frame(FrameKind::message, "last") + frame(FrameKind::goodbye, "");
  ASSERT_TRUE(give(other, end + frame(FrameKind::message, "more"), messages).ok());
  EXPECT_TRUE(other.has_said_goodbye());
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].view, "last");
}

// What one says to the other, and what becomes of it.
struct Talk {
  Status dialler;
  Status listener;
  bool is_done = false;
  std::string bytes;  // all that were said
};

GreetingFrame frame_of(std::string_view bytes) {
  GreetingFrame frame;
  while (!frame.is_whole()) {
    const std::string_view some = bytes.substr(0, std::min<size_t>(frame.missing(), 7));
    EXPECT_TRUE(frame.take(some).ok());
    bytes.remove_prefix(some.size());
  }
  EXPECT_TRUE(bytes.empty());
  return frame;
}

Talk talk(const GreetingTerms& dialler_terms, const GreetingTerms& listener_terms) {
  Greeting dialler(Greeting::Side::dialler, dialler_terms, make_nonce());
  Greeting listener(Greeting::Side::listener, listener_terms, make_nonce());
  EXPECT_EQ(listener.begin(), "");
  Talk talk;
  std::string said = dialler.begin();
  while (!dialler.is_done()) {
    talk.bytes += said;
    const Result<std::string> answer = listener.take(frame_of(said));
    talk.listener = answer.status();
    said = answer.ok() ? *answer : refusal(talk.listener);
    talk.bytes += said;
    const Result<std::string> reply = dialler.take(frame_of(said));
    talk.dialler = reply.status();
    if (!reply.ok()) return talk;
    said = *reply;
  }
  EXPECT_TRUE(said.empty());
  talk.is_done = listener.is_done();
  EXPECT_EQ(dialler.peer_name(), listener_terms.name);
  EXPECT_EQ(listener.peer_name(), dialler_terms.name);
  return talk;
}

GreetingTerms terms(std::string name, std::string run, std::string token) {
  GreetingTerms terms;
  terms.name = std::move(name);
  terms.run = std::move(run);
  terms.token = std::move(token);
  return terms;
}

TEST(TransportGreeting, LetsInWhoBelongsToTheRun) {
  EXPECT_TRUE(talk(terms("worker 3", "fraud", "secret"), terms("c", "fraud", "secret")).is_done);
  EXPECT_TRUE(talk(terms("", "", "secret"), terms("", "fraud", "secret")).is_done);
  EXPECT_TRUE(talk(terms("w", "fraud", ""), terms("c", "", "")).is_done);
  EXPECT_TRUE(talk(terms(std::string(kGreetingTextMax, 'x'), std::string(kGreetingTextMax, 'y'),
                         std::string(10000, 'z')),
                   terms("", "", std::string(10000, 'z')))
                  .is_done);
}

TEST(TransportGreeting, NeverSaysTheToken) {
  const std::string token = "a-token-of-some-length";
  const Talk good = talk(terms("w", "r", token), terms("c", "r", token));
  EXPECT_TRUE(good.is_done);
  EXPECT_EQ(good.bytes.find(token), std::string::npos);
  const Talk again = talk(terms("w", "r", token), terms("c", "r", token));
  EXPECT_NE(good.bytes, again.bytes) << "what was listened to could be said again";
}

TEST(TransportGreeting, BothProveThatTheyHaveTheToken) {
  EXPECT_EQ(talk(terms("", "", ""), terms("", "", "secret")).listener.kind(),
            StatusKind::invalid_input);
  EXPECT_EQ(talk(terms("", "", "wrong"), terms("", "", "secret")).dialler.kind(),
            StatusKind::invalid_input);
  // A listener that takes anybody, at an address where one was to be that has the token.
  const Talk trap = talk(terms("", "", "secret"), terms("", "", ""));
  EXPECT_EQ(trap.dialler.kind(), StatusKind::invalid_input);
  EXPECT_NE(trap.dialler.message().find("does not have the run's token"), std::string::npos);
}

TEST(TransportGreeting, WhatADiallerSaidProvesNothingForAListener) {
  Greeting dialler(Greeting::Side::dialler, terms("", "", "secret"), make_nonce());
  Greeting listener(Greeting::Side::listener, terms("", "", "secret"), make_nonce());
  const std::string challenge = listener.take(frame_of(dialler.begin())).value();
  std::string login = dialler.take(frame_of(challenge)).value();
  login[0] = static_cast<char>(FrameKind::accepted);  // sent back as if it were the answer
  EXPECT_FALSE(dialler.take(frame_of(login)).ok());
}

// Has two greet each other, with one bit changed on the way; false if one of them will not.
bool is_greeted(size_t changed_byte, uint8_t bit) {
  Greeting dialler(Greeting::Side::dialler, terms("w", "r", "secret"), make_nonce());
  Greeting listener(Greeting::Side::listener, terms("c", "r", "secret"), make_nonce());
  std::string said = dialler.begin();
  size_t said_bytes = 0;
  for (bool is_to_listener = true; !dialler.is_done(); is_to_listener = !is_to_listener) {
    const size_t place = changed_byte - said_bytes;
    if (place < said.size()) said[place] ^= static_cast<char>(1 << bit);
    said_bytes += said.size();
    GreetingFrame frame;
    while (!frame.is_whole()) {
      const size_t here = frame.bytes().size();
      // One that lacks bytes would be waited for, and cut.
      if (here == said.size()) return false;
      if (!frame.take(std::string_view(said).substr(here, frame.missing())).ok()) return false;
    }
    const auto answer = (is_to_listener ? listener : dialler).take(frame);
    if (!answer.ok()) return false;
    said = *answer;
  }
  return true;
}

TEST(TransportGreeting, AnyBitThatIsChangedIsNoticed) {
  constexpr size_t kSaidBytes = 2 * (5 + 8 + 4 + 32) + 2 * (5 + 4 + 32 + 4 + 1 + 4 + 1);
  for (size_t i = 0; i < kSaidBytes; ++i) {
    for (uint8_t bit = 0; bit < 8; ++bit) EXPECT_FALSE(is_greeted(i, bit)) << i;
  }
  EXPECT_TRUE(is_greeted(kSaidBytes, 0)) << "when nothing was changed";
}

TEST(TransportGreeting, RefusesOtherRunsAndLaterVersions) {
  EXPECT_EQ(talk(terms("", "churn", ""), terms("", "fraud", "")).dialler.kind(),
            StatusKind::invalid_input);
  GreetingTerms later = terms("", "", "");
  later.version = kTransportVersion + 1;
  const Talk there = talk(later, terms("", "", ""));
  EXPECT_EQ(there.dialler.kind(), StatusKind::unsupported);
  EXPECT_EQ(there.listener.kind(), StatusKind::unsupported);
  EXPECT_EQ(talk(terms("", "", ""), later).dialler.kind(), StatusKind::unsupported);
  // Whatever a later version says after its number.
  Greeting listener(Greeting::Side::listener, terms("", "", ""), make_nonce());
  const std::string hello = "evergrov" + std::string("\xff\0\0\0", 4) + "something else";
  EXPECT_EQ(listener.take(frame_of(frame(FrameKind::hello, hello))).status().kind(),
            StatusKind::unsupported);
}

TEST(TransportGreeting, RefusesWhatIsNone) {
  const auto refused = [](const std::string& bytes) {
    Greeting listener(Greeting::Side::listener, terms("", "", ""), make_nonce());
    return listener.take(frame_of(bytes)).status().kind() == StatusKind::corrupt;
  };
  const std::string good = Greeting(Greeting::Side::dialler, {}, make_nonce()).begin();
  EXPECT_FALSE(refused(good));
  const std::string body = good.substr(kFrameHeaderBytes);
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_TRUE(refused(frame(FrameKind::hello, body.substr(0, size)))) << size;
  }
  EXPECT_TRUE(refused(frame(FrameKind::hello, body + "x")));
  EXPECT_TRUE(refused(frame(FrameKind::challenge, body)));
  GreetingFrame large;
  const auto header = encode_header({FrameKind::message, 1 << 20});
  EXPECT_FALSE(large.take({header.data(), header.size()}).ok());
}

TEST(TransportGreeting, RefusalsAreOneLineOfPlainText) {
  Greeting dialler(Greeting::Side::dialler, {}, make_nonce());
  const std::string bytes = refusal(unsupported("a\x1b[31m" + std::string(5000, 'x') + "\nmore"));
  const Status status = dialler.take(frame_of(bytes)).status();
  EXPECT_EQ(status.kind(), StatusKind::unsupported);
  EXPECT_EQ(status.message().substr(0, 7), "a?[31mx");
  EXPECT_LT(status.message().size(), 700u);
  EXPECT_EQ(dialler.take(frame_of(frame(FrameKind::refused, ""))).status().kind(),
            StatusKind::corrupt);
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

TEST(TransportAddress, ReadsARangeOfPorts) {
  for (const char* text : {"127.0.0.1:0", "worker-7.internal:7070", "worker-7:7070-7099",
                           "[::1]:9500-9599", "localhost:65535"}) {
    const auto places = parse_port_range(text);
    ASSERT_TRUE(places.ok()) << text;
    EXPECT_EQ(to_text(*places), text);
  }
  EXPECT_EQ(to_text(*parse_port_range("host:80-80")), "host:80");
  for (const char* text : {"", "host", "host-7", "host:80-", "host:-80", "host:0-9", "host:90-80",
                           "host:80-65536", "host:80-9x", "host:80-90-99", "host:80 -90"}) {
    EXPECT_EQ(parse_port_range(text).status().kind(), StatusKind::invalid_input) << text;
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
  EXPECT_TRUE(parse_host_port(to_text(HostPort{first_address(), 1})).ok());
}

TEST(Strangers, AreLateByAgeOrNumber) {
  const auto late = [](const std::vector<int>& ages_ms) {
    std::vector<milliseconds> ages;
    for (int age_ms : ages_ms) ages.emplace_back(age_ms);
    return late_count(ages, milliseconds(5000), 2);
  };
  EXPECT_EQ(late({}), 0u);
  EXPECT_EQ(late({4999, 4000}), 0u);
  EXPECT_EQ(late({5000, 4000}), 1u);
  EXPECT_EQ(late({9000, 5000, 100}), 2u);
  // Too many: the first come, unless they have just come.
  EXPECT_EQ(late({4000, 3000, 2000}), 1u);
  EXPECT_EQ(late({4000, 3000, 500, 400, 300}), 2u);
  EXPECT_EQ(late({900, 800, 700, 600, 500}), 0u);
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
