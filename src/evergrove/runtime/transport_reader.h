// TransportReader: reads what comes over the open connections of a Transport, on the thread of
// whoever attends to it, or, while nobody does, on its own threads.
//
// A message that is read by who waits for it costs no change of thread, and one that comes while
// that thread computes does not disturb it. Who is away for longer than kAwayMax, or never came,
// is stood in for, so that senders are not held up for longer. Nothing here wakes regularly while
// somebody waits in attend(), or nobody does at all.
//
//   TransportReader reader(1, [&](ConnectionId id) { ... });
//   reader.start();
//   reader.add(id, socket);
//   while (events.empty()) reader.attend(until);       // ends early after reader.wake()
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_bell.h"
#include "evergrove/runtime/transport_sockets.h"

namespace evergrove::runtime {

class TransportReader {
 public:
  using Clock = std::chrono::steady_clock;
  // Reads what is there of a connection, without waiting. Of one connection by one thread at a
  // time. False: there will be nothing more; the socket was removed, and may be closed.
  // is_over: the system says of the socket that nothing more will come through it.
  using Read = std::function<bool(ConnectionId, bool is_over)>;

  // thread_count: of its own threads, at least 1.
  TransportReader(size_t thread_count, Read read);
  // Nobody may be in attend().
  ~TransportReader() { stop(); }
  // False: there were no descriptors for it.
  bool is_open() const { return epoll_.is_open() && attention_.is_open(); }
  // Begins to read where nobody attends. Requires: is_open().
  void start();
  // Nobody will attend again.
  void stand_in();
  // Ends the own threads; the rest is only to be destroyed.
  void stop();

  // False: the system has no room for it.
  bool add(ConnectionId id, int socket);
  // Before it is closed: its number may be another's at once.
  void remove(ConnectionId id, int socket);

  // What peers are given to call us by; null where several threads read, or there is none.
  const Bell* bell() const { return bell_.is_open() && !arms_once() ? &bell_ : nullptr; }
  static uint32_t place_of(ConnectionId id) { return static_cast<uint32_t>(id % kBellPlaces); }
  // Its peer rings from now on: the socket is watched no more, but for its end.
  void be_rung_for(ConnectionId id, int socket);
  // Of one that is rung for: there is something left.
  void read_again(ConnectionId id) { bell_.ring(place_of(id)); }

  // Reads what comes until something was there, wake() was called since the last time, or `until`.
  // count: of messages that are rung for, there need be so many. One thread at a time.
  void attend(Clock::time_point until, uint32_t count = 1);
  void wake();
  // Whether there was somebody who listened since it was asked last. One thread asks.
  bool has_listened() { return has_listened_.exchange(false) || listening_count_ > 0; }
  // Whether the caller is called by attend().
  bool is_attending_here() const { return attending_ == std::this_thread::get_id(); }

 private:
  static constexpr std::chrono::milliseconds kAwayMax{10};

  void run(size_t events_max);
  bool is_attending() const { return attending_.load() != std::thread::id(); }
  bool is_away() const;
  bool arms_once() const { return thread_count_ > 1; }
  bool arm(int how, ConnectionId id, int socket);
  void read_once(int timeout_ms, size_t events_max, uint32_t count = 1);
  void read_rung();

  const Read read_;
  const size_t thread_count_;
  const Descriptor epoll_;
  const WakeUp attention_;
  Bell bell_;
  std::mutex rung_mutex_;
  std::array<std::vector<ConnectionId>, kBellPlaces> rung_for_;
  std::atomic<int> watched_count_ = 0;  // sockets that are not rung for
  uint32_t looks_missed_ = 0;           // of who has the role
  std::shared_mutex role_;              // of who reads: one that attends, or the own threads
  std::atomic<bool> is_woken_ = false;
  std::atomic<std::thread::id> attending_;  // no thread's: nobody does
  std::atomic<uint64_t> attend_count_ = 0;
  std::atomic<Clock::rep> left_at_ = Clock::time_point::min().time_since_epoch().count();
  std::atomic<bool> has_listened_ = false;
  std::atomic<int> listening_count_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> asleep_count_ = 0;  // own threads, until somebody leaves
  std::atomic<bool> is_over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace evergrove::runtime
