// Who reads: whoever attends, on his own thread; somebody else while he is away; nothing is lost
// where the one follows the other.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/runtime/testing_transport.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

size_t received_count(Endpoint& endpoint) {
  const std::lock_guard lock(endpoint.mutex);
  return endpoint.received.size();
}

// Attends until so many messages came.
bool attend(Endpoint& endpoint, size_t wanted) {
  const auto end = steady_clock::now() + Endpoint::kWaitMax;
  while (received_count(endpoint) < wanted && steady_clock::now() < end) {
    endpoint.transport->attend(end);
  }
  return received_count(endpoint) >= wanted;
}

TEST(TransportReader, ReadsOnTheThreadOfWhoAttends) {
  Endpoint listening(loopback());
  Endpoint dialler;
  const ConnectionId out = dialler.connect(listening);
  listening.transport->attend(steady_clock::now());  // from here on it is attended to
  for (size_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(dialler.transport->send(out, std::string(100 * i, 'x')));
    ASSERT_TRUE(attend(listening, i + 1));
  }
  // Only if this machine stops the thread for 10 ms between two calls does another one stand in.
  const auto here = std::count(listening.received_on.begin(), listening.received_on.end(),
                               std::this_thread::get_id());
  EXPECT_GT(here, 100);
}

TEST(TransportReader, IsStoodInForWhileItIsAway) {
  Endpoint listening(loopback());
  Endpoint dialler;
  const ConnectionId out = dialler.connect(listening);
  for (size_t round = 0; round < 5; ++round) {
    ASSERT_TRUE(dialler.transport->send(out, "attended"));
    ASSERT_TRUE(attend(listening, 2 * round + 1));
    ASSERT_TRUE(dialler.transport->send(out, "away"));
    ASSERT_TRUE(listening.wait([&] { return listening.received.size() == 2 * round + 2; }))
        << "nobody reads";
    const std::lock_guard lock(listening.mutex);
    EXPECT_NE(listening.received_on.back(), std::this_thread::get_id());
  }
}

TEST(TransportReader, WakesWhoAttendsAndWhoIsAboutTo) {
  Endpoint listening(loopback());
  const auto begin = steady_clock::now();
  const auto late = begin + seconds(60);
  listening.transport->wake();
  listening.transport->attend(late);  // ended before it has begun
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));
    listening.transport->wake();
  });
  listening.transport->attend(late);
  other.join();
  EXPECT_LT(steady_clock::now(), late);
  const auto soon = steady_clock::now() + milliseconds(30);
  while (steady_clock::now() < soon) listening.transport->attend(soon);
}

// Who opens a connection does so on another thread.
TEST(TransportReader, TellsWhoAttendsWhatOtherThreadsFound) {
  Endpoint listening(loopback());
  Endpoint dialler;
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));
    (void)dialler.connect(listening);
  });
  const auto late = steady_clock::now() + seconds(60);
  listening.transport->attend(late);
  other.join();
  EXPECT_LT(steady_clock::now(), late);
}

TEST(TransportReader, KeepsTheOrderOfEachConnectionWhoeverReads) {
  TransportOptions options = loopback();
  options.reading_threads = 4;
  Endpoint listening(options);
  constexpr size_t kDiallers = 6, kMessages = 400;
  std::vector<std::thread> threads;
  for (size_t d = 0; d < kDiallers; ++d) {
    threads.emplace_back([&, d] {
      Endpoint dialler;
      const ConnectionId out = dialler.connect(listening);
      for (size_t i = 0; i < kMessages; ++i) {
        const std::string text = std::to_string(i) + std::string((i * 7919 + d) % 40000, 'x');
        EXPECT_TRUE(dialler.transport->send(out, text));
        if (i % 50 == 0) std::this_thread::sleep_for(milliseconds(5));
      }
    });
  }
  // Attends for a while, is away for a while.
  const auto end = steady_clock::now() + seconds(60);
  while (received_count(listening) < kDiallers * kMessages && steady_clock::now() < end) {
    for (int i = 0; i < 20; ++i) listening.transport->attend(steady_clock::now() + milliseconds(2));
    std::this_thread::sleep_for(milliseconds(25));
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(received_count(listening), kDiallers * kMessages);
  std::map<ConnectionId, size_t> next;
  for (const Received& one : listening.received) {
    EXPECT_EQ(std::stoul(std::string(one.bytes.view)), next[one.connection]++);
  }
  ASSERT_EQ(next.size(), kDiallers);
}

}  // namespace
}  // namespace evergrove::runtime
