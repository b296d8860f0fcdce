// Bells: who waits is called once, when as many messages are there as it waits for, and by nobody
// while it does not wait; what is no bell is refused; over local sockets it is used, and a message
// comes whether it is waited for alone, with others, or not at all.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_bell.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "evergrove/runtime/testing_transport.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::unique_ptr<PeerBell> peer_of(const Bell& bell, uint32_t place) {
  auto peer = PeerBell::open(Descriptor(::dup(bell.page())), Descriptor(::dup(bell.call())), place);
  EXPECT_TRUE(peer.ok()) << peer.status().message();
  return peer.ok() ? *std::move(peer) : nullptr;
}

// Of calls each of which counts once, as a reader of a transport has them.
class Calls {
 public:
  explicit Calls(const Bell& bell) {
    epoll_event wanted = {};
    wanted.events = EPOLLIN | EPOLLET;
    EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell.call(), &wanted), 0);
  }
  bool come(int timeout_ms = 0) const {
    epoll_event event;
    return ::epoll_wait(epoll_.get(), &event, 1, timeout_ms) == 1;
  }

 private:
  const Descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
};

TEST(Bell, CallsWhenThereAreAsManyAsAreWaitedFor) {
  Bell bell;
  ASSERT_TRUE(bell.is_open());
  const Calls calls(bell);
  const auto first = peer_of(bell, 3);
  const auto second = peer_of(bell, 63);
  ASSERT_TRUE(bell.begin_wait(3));
  first->ring(1);
  second->ring(1);
  EXPECT_FALSE(calls.come());
  second->ring(1);
  EXPECT_TRUE(calls.come());
  first->ring(5);  // it is awake already
  EXPECT_FALSE(calls.come());
  bell.end_wait();
  EXPECT_EQ(bell.take(), uint64_t{1} << 3 | uint64_t{1} << 63);
  EXPECT_EQ(bell.take(), 0u);
}

TEST(Bell, CallsNobodyWhoDoesNotWait) {
  Bell bell;
  const Calls calls(bell);
  const auto peer = peer_of(bell, 0);
  peer->ring(1);
  EXPECT_FALSE(calls.come());
  // What is there need not be waited for.
  EXPECT_FALSE(bell.begin_wait(1));
  bell.end_wait();
  ASSERT_TRUE(bell.begin_wait(2));
  bell.end_wait();
  peer->ring(9);
  EXPECT_FALSE(calls.come());
  EXPECT_EQ(bell.take(), 1u);
  ASSERT_TRUE(bell.begin_wait(0));  // at least one
  bell.ring(7);
  EXPECT_TRUE(calls.come());
  EXPECT_EQ(bell.take(), uint64_t{1} << 7);
}

TEST(Bell, LosesNoRing) {
  constexpr uint32_t kRings = 20'000;
  Bell bell;
  const Calls calls(bell);
  std::vector<std::thread> threads;
  std::atomic<uint32_t> left = 2 * kRings;
  for (uint32_t place : {1u, 2u}) {
    threads.emplace_back([&, peer = std::shared_ptr(peer_of(bell, place))] {
      for (uint32_t i = 0; i < kRings; ++i) {
        --left;
        peer->ring(1);
      }
    });
  }
  // Whoever rings last is heard: it does not end in a wait for what is there already.
  while (left > 0 || bell.take() != 0) {
    if (!bell.begin_wait(1)) {
      bell.end_wait();
      static_cast<void>(bell.take());
      continue;
    }
    if (left > 0) {
      ASSERT_TRUE(calls.come(10'000));
    }
    bell.end_wait();
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(PeerBell, RefusesWhatIsNoBell) {
  const Bell bell;
  const auto open = [&](int page, int call, uint32_t place) {
    return PeerBell::open(Descriptor(::dup(page)), Descriptor(::dup(call)), place).status().kind();
  };
  EXPECT_EQ(open(bell.page(), bell.call(), 63), StatusKind::ok);
  EXPECT_EQ(open(bell.page(), bell.call(), 64), StatusKind::corrupt);
  EXPECT_EQ(open(bell.call(), bell.call(), 0), StatusKind::corrupt);
  EXPECT_EQ(open(-1, bell.call(), 0), StatusKind::corrupt);
  EXPECT_EQ(open(bell.page(), -1, 0), StatusKind::corrupt);
  // Calling it could wait for ever.
  const Descriptor blocks(::eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(open(bell.page(), blocks.get(), 0), StatusKind::corrupt);
  // It could be cut while it is written to.
  const Descriptor unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096), 0);
  EXPECT_EQ(open(unsealed.get(), bell.call(), 0), StatusKind::corrupt);
}

// How many rings this process has open; each of one that is written and read here counts twice.
size_t rings_here() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("evergrove ring") != std::string::npos;
  }
  return count;
}

// The peer's bell may be there before ours is given: the listener is kept from giving it.
TEST(LocalTransport, HasRingsWhoeverGivesItsBellFirst) {
  for (int i = 0; i < 20; ++i) {
    Endpoint listener(loopback());
    {
      const std::lock_guard lock(listener.mutex);
      listener.is_held = i % 2 == 0;
    }
    Endpoint dialler;
    const ConnectionId there = dialler.connect(listener);
    std::this_thread::sleep_for(milliseconds(2));
    {
      const std::lock_guard lock(listener.mutex);
      listener.is_held = false;
    }
    listener.changed.notify_all();
    EXPECT_TRUE(dialler.wait([] { return rings_here() == 4; })) << rings_here();
    ASSERT_TRUE(dialler.transport->send(there, "through a ring"));
    EXPECT_TRUE(listener.wait([&] { return listener.received.size() == 1; }));
  }
}

// Who attends for two messages gets both at once, and does not wait for more than there is time.
TEST(LocalTransport, IsCalledByTheLastOfThoseItWaitsFor) {
  Endpoint listener(loopback());
  Endpoint first;
  Endpoint second;
  const ConnectionId from_first = first.connect(listener);
  const ConnectionId from_second = second.connect(listener);
  Transport& attends = *listener.transport;
  const auto attend = [&](milliseconds time, uint32_t count) {
    attends.attend(steady_clock::now() + time, count);
  };
  // Until both ring: what they say of it needs some turns.
  for (int i = 0; i < 20; ++i) attend(milliseconds(10), 1);
  const auto received = [&] {
    const std::lock_guard lock(listener.mutex);
    return listener.received.size();
  };
  for (size_t i = 1; i <= 50; ++i) {
    ASSERT_TRUE(first.transport->send(from_first, "one"));
    std::thread other([&] {
      std::this_thread::sleep_for(milliseconds(2));
      ASSERT_TRUE(second.transport->send(from_second, std::string(20'000, 'x')));
    });
    while (received() < 2 * i) attend(milliseconds(5'000), 2);
    other.join();
  }
  ASSERT_TRUE(first.transport->send(from_first, "alone"));
  attend(milliseconds(50), 2);
  EXPECT_EQ(received(), 101u);
}

}  // namespace
}  // namespace evergrove::runtime
