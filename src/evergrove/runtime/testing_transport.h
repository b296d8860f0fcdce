// What the tests of the transport share: the two ends of connections, and what each has heard.
//
// An Endpoint is a Transport and the list of its events, for which a test waits by conditions; a
// condition that does not come true within a time far beyond what is usual fails the test.
//
//   Endpoint listener(loopback());
//   Endpoint dialler({});
//   const ConnectionId there = dialler.connect(listener);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/runtime/transport.h"

namespace evergrove::runtime {

inline TransportOptions loopback() {
  TransportOptions options;
  options.listen = "127.0.0.1:0";
  options.name = "listener";
  return options;
}

class Endpoint {
 public:
  explicit Endpoint(TransportOptions options = {}) {
    if (options.name.empty()) options.name = "dialler";
    auto made = Transport::open(std::move(options),
                                [this](TransportEvent event) { take(std::move(event)); });
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (!made.ok()) return;
    transport = std::move(made).value();
    const std::lock_guard lock(mutex);
    used_ = transport.get();
  }
  ~Endpoint() { transport.reset(); }

  // Waits for something, under the lock of what has been heard.
  bool wait(const std::function<bool()>& is_so) {
    const auto end = std::chrono::steady_clock::now() + kWaitMax;
    std::unique_lock lock(mutex);
    // Looks by itself as well: what a Transport counts comes without an event.
    while (!is_so() && std::chrono::steady_clock::now() < end) {
      changed.wait_for(lock, std::chrono::milliseconds(20));
    }
    return is_so();
  }
  // Dials and waits for the connection to be open.
  ConnectionId connect(const Endpoint& other) {
    const ConnectionId id = transport->dial(other.transport->address());
    EXPECT_TRUE(wait([&] { return opened.contains(id) || closed.contains(id); }));
    EXPECT_TRUE(opened.contains(id)) << closed[id].message();
    return id;
  }
  // The first connection that somebody else has dialled.
  ConnectionId first_accepted() {
    ConnectionId found = 0;
    EXPECT_TRUE(wait([&] {
      for (const auto& [id, one] : opened) {
        if (!one.is_dialled && found == 0) found = id;
      }
      return found != 0;
    }));
    return found;
  }
  // Waits for a connection to be closed, and says why it was.
  Status why_closed(ConnectionId id) {
    EXPECT_TRUE(wait([&] { return closed.contains(id); })) << "never closed";
    const std::lock_guard lock(mutex);
    return closed.contains(id) ? closed[id] : internal_error("never closed");
  }
  // Dials in vain, and says why.
  Status why_refused(const std::string& address) {
    const ConnectionId id = transport->dial(address);
    Status why = why_closed(id);
    const std::lock_guard lock(mutex);
    EXPECT_FALSE(opened.contains(id));
    return why;
  }
  std::vector<std::string> texts() {
    const std::lock_guard lock(mutex);
    std::vector<std::string> all;
    for (const Received& one : received) all.emplace_back(one.bytes.view);
    return all;
  }

  static constexpr std::chrono::seconds kWaitMax{60};

  std::mutex mutex;
  std::condition_variable changed;
  std::map<ConnectionId, Opened> opened;
  std::map<ConnectionId, Status> closed;
  std::vector<Received> received;
  std::vector<std::thread::id> received_on;  // which thread
  std::vector<Refused> refused;
  bool is_held = false;                  // events wait until it is false again
  size_t held_count = 0;                 // how many wait
  std::atomic<bool> is_echoing = false;  // sends back what comes
  std::unique_ptr<Transport> transport;  // the last, to end first

 private:
  Transport* used_ = nullptr;  // by the callback, also while `transport` is being reset

  void take(TransportEvent event) {
    std::unique_lock lock(mutex);
    if (is_held) {
      ++held_count;
      changed.notify_all();
      changed.wait(lock, [&] { return !is_held; });
      --held_count;
    }
    if (auto* one = std::get_if<Opened>(&event)) opened[one->connection] = *one;
    if (auto* one = std::get_if<Closed>(&event)) {
      EXPECT_FALSE(closed.contains(one->connection)) << "closed twice";
      closed[one->connection] = one->why;
    }
    if (auto* one = std::get_if<Refused>(&event)) refused.push_back(*one);
    if (auto* one = std::get_if<Received>(&event)) {
      if (is_echoing) {
        EXPECT_TRUE(used_->send(one->connection, std::string(one->bytes.view)));
      } else {
        received.push_back(std::move(*one));
        received_on.push_back(std::this_thread::get_id());
      }
    }
    changed.notify_all();
  }
};

// A listener with a good peer, which must go on being served whatever others try.
class Besieged {
 public:
  explicit Besieged(TransportOptions options) : listener(std::move(options)) {
    TransportOptions good;
    good.token = "secret";
    friendly = std::make_unique<Endpoint>(good);
    listener.is_echoing = true;
    friend_id = friendly->connect(listener);
  }
  ~Besieged() { expect_unharmed(); }

  void expect_unharmed() {
    size_t before = 0;
    {
      const std::lock_guard lock(friendly->mutex);
      before = friendly->received.size();
    }
    ASSERT_TRUE(friendly->transport->send(friend_id, "still there?"));
    EXPECT_TRUE(friendly->wait([&] { return friendly->received.size() == before + 1; }));
    EXPECT_TRUE(friendly->closed.empty());
  }
  // Waits until so many were refused.
  void expect_refused(uint64_t count) {
    EXPECT_TRUE(listener.wait(
        [&] { return !listener.refused.empty() && listener.transport->refused_count() >= count; }));
  }

  Endpoint listener;
  std::unique_ptr<Endpoint> friendly;
  ConnectionId friend_id = 0;
};

inline TransportOptions besieged_options() {
  TransportOptions options = loopback();
  options.token = "secret";
  return options;
}

}  // namespace evergrove::runtime
