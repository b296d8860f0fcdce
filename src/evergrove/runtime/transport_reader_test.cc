// Who reads: whoever attends, on his own thread; somebody else while he is away; nothing is lost
// where the one follows the other.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
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

// A listener that notes on which thread each message was said to it.
struct Listening {
  explicit Listening(TransportOptions options = loopback()) {
    transport = Transport::open(std::move(options), [this](TransportEvent event) {
                  if (const auto* received = std::get_if<Received>(&event)) {
                    const std::lock_guard lock(mutex);
                    texts[received->connection].emplace_back(received->bytes.view);
                    threads.push_back(std::this_thread::get_id());
                    ++count;
                  }
                }).value();
  }
  ConnectionId dial(Endpoint& dialler) const {
    const ConnectionId id = dialler.transport->dial(transport->address());
    EXPECT_TRUE(dialler.wait([&] { return dialler.opened.contains(id); }));
    return id;
  }
  // Attends until so many messages came.
  bool attend(size_t wanted) const {
    const auto end = steady_clock::now() + seconds(60);
    while (count < wanted && steady_clock::now() < end) transport->attend(end);
    return count >= wanted;
  }
  bool wait(size_t wanted) const {
    const auto end = steady_clock::now() + seconds(60);
    while (count < wanted && steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(1));
    return count >= wanted;
  }

  std::mutex mutex;
  std::map<ConnectionId, std::vector<std::string>> texts;
  std::vector<std::thread::id> threads;
  std::atomic<size_t> count = 0;
  std::unique_ptr<Transport> transport;  // the last, to end first
};

TEST(TransportReader, ReadsOnTheThreadOfWhoAttends) {
  Listening listening;
  Endpoint dialler;
  const ConnectionId out = listening.dial(dialler);
  listening.transport->attend(steady_clock::now());  // from here on it is attended to
  for (size_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(dialler.transport->send(out, std::string(100 * i, 'x')));
    ASSERT_TRUE(listening.attend(i + 1));
  }
  // Only if this machine stops the thread for 10 ms between two calls does another one stand in.
  const auto here =
      std::count(listening.threads.begin(), listening.threads.end(), std::this_thread::get_id());
  EXPECT_GT(here, 100);
}

TEST(TransportReader, IsStoodInForWhileItIsAway) {
  Listening listening;
  Endpoint dialler;
  const ConnectionId out = listening.dial(dialler);
  for (size_t round = 0; round < 5; ++round) {
    ASSERT_TRUE(dialler.transport->send(out, "attended"));
    ASSERT_TRUE(listening.attend(2 * round + 1));
    ASSERT_TRUE(dialler.transport->send(out, "away"));
    ASSERT_TRUE(listening.wait(2 * round + 2)) << "nobody reads";
    EXPECT_NE(listening.threads.back(), std::this_thread::get_id());
  }
}

TEST(TransportReader, WakesWhoAttendsAndWhoIsAboutTo) {
  Listening listening;
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
  Listening listening;
  Endpoint dialler;
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));
    (void)listening.dial(dialler);
  });
  const auto late = steady_clock::now() + seconds(60);
  listening.transport->attend(late);
  other.join();
  EXPECT_LT(steady_clock::now(), late);
}

TEST(TransportReader, KeepsTheOrderOfEachConnectionWhoeverReads) {
  TransportOptions options = loopback();
  options.reading_threads = 4;
  Listening listening(options);
  constexpr size_t kDiallers = 6, kMessages = 400;
  std::vector<std::thread> threads;
  for (size_t d = 0; d < kDiallers; ++d) {
    threads.emplace_back([&, d] {
      Endpoint dialler;
      const ConnectionId out = listening.dial(dialler);
      for (size_t i = 0; i < kMessages; ++i) {
        const std::string text = std::to_string(i) + std::string((i * 7919 + d) % 40000, 'x');
        EXPECT_TRUE(dialler.transport->send(out, text));
        if (i % 50 == 0) std::this_thread::sleep_for(milliseconds(5));
      }
    });
  }
  // Attends for a while, is away for a while.
  const auto end = steady_clock::now() + seconds(60);
  while (listening.count < kDiallers * kMessages && steady_clock::now() < end) {
    for (int i = 0; i < 20; ++i) listening.transport->attend(steady_clock::now() + milliseconds(2));
    std::this_thread::sleep_for(milliseconds(25));
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(listening.count, kDiallers * kMessages);
  ASSERT_EQ(listening.texts.size(), kDiallers);
  for (const auto& [id, texts] : listening.texts) {
    for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(std::stoul(texts[i]), i);
  }
}

}  // namespace
}  // namespace evergrove::runtime
