// Where several threads read, a socket is armed for one event, so that one thread has it, and armed
// again when it was read: one more system call a message. One thread needs none of that.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_reader.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace evergrove::runtime {
namespace {

constexpr int64_t kWaitMaxMs = 3'600'000;
constexpr size_t kEventsMax = 16;
constexpr uint32_t kLooksMissedMax = 64;

// What an event tells: connections are numbered from 1 on, and descriptors are small.
constexpr int kSocketBits = 24;
uint64_t name_of(ConnectionId id, int socket) {
  return id << kSocketBits | static_cast<uint64_t>(socket);
}

}  // namespace

TransportReader::TransportReader(size_t thread_count, Read read)
    : read_(std::move(read)), thread_count_(thread_count), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!is_open()) return;
  epoll_event wanted = {};
  wanted.events = EPOLLIN;
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, attention_.get(), &wanted);
  if (bell() == nullptr) return;
  // Each call counts once, whether it was read or not: nobody need read it.
  wanted.events = EPOLLIN | EPOLLET;
  wanted.data.u64 = name_of(0, bell_.call());
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell_.call(), &wanted);
}

void TransportReader::start() {
  const size_t events_max = arms_once() ? 1 : kEventsMax;  // so that none takes all
  for (size_t i = 0; i < thread_count_; ++i) {
    threads_.emplace_back([this, events_max] { run(events_max); });
  }
}

void TransportReader::stand_in() {
  {
    const std::lock_guard lock(mutex_);
    left_at_ = Clock::time_point::min().time_since_epoch().count();
  }
  changed_.notify_all();
}

void TransportReader::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  attention_.call();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool TransportReader::arm(int how, ConnectionId id, int socket) {
  epoll_event wanted = {};
  wanted.events = arms_once() ? EPOLLIN | EPOLLONESHOT : EPOLLIN;
  wanted.data.u64 = name_of(id, socket);
  return ::epoll_ctl(epoll_.get(), how, socket, &wanted) == 0;
}

void TransportReader::remove(ConnectionId id, int socket) {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr);
  const std::lock_guard lock(rung_mutex_);
  if (std::erase(rung_for_[place_of(id)], id) == 0) --watched_count_;
}

bool TransportReader::add(ConnectionId id, int socket) {
  ++watched_count_;
  if (arm(EPOLL_CTL_ADD, id, socket)) return true;
  --watched_count_;
  return false;
}

void TransportReader::be_rung_for(ConnectionId id, int socket) {
  const std::lock_guard lock(rung_mutex_);
  std::vector<ConnectionId>& here = rung_for_[place_of(id)];
  if (bell() == nullptr || std::count(here.begin(), here.end(), id) > 0) return;
  epoll_event wanted = {};
  wanted.events = EPOLLRDHUP;
  wanted.data.u64 = name_of(id, socket);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket, &wanted) != 0) return;
  here.push_back(id);
  --watched_count_;
}

// Reads what has come from those who ring.
void TransportReader::read_rung() {
  for (uint64_t places = bell_.take(); places != 0; places &= places - 1) {
    std::vector<ConnectionId> ids;
    {
      const std::lock_guard lock(rung_mutex_);
      ids = rung_for_[static_cast<size_t>(std::countr_zero(places))];
    }
    for (const ConnectionId id : ids) read_(id, false);
  }
}

// The role is held while it waits.
void TransportReader::read_once(int timeout_ms, size_t events_max, uint32_t wanted_count) {
  std::array<epoll_event, kEventsMax> readable;
  has_listened_ = true;
  const bool has_bell = bell() != nullptr;
  if (has_bell && timeout_ms != 0 && !bell_.begin_wait(wanted_count)) timeout_ms = 0;
  // Where all ring, the system need not be asked whether something has come; but for the end of a
  // connection now and then.
  const bool may_skip = has_bell && timeout_ms == 0 && watched_count_ == 0;
  const bool is_skipped = may_skip && ++looks_missed_ < kLooksMissedMax;
  int count = 0;
  if (!is_skipped) {
    if (has_bell) looks_missed_ = 0;
    ++listening_count_;
    count = ::epoll_wait(epoll_.get(), readable.data(), static_cast<int>(events_max), timeout_ms);
    --listening_count_;
  }
  if (has_bell) {
    bell_.end_wait();
    read_rung();
  }
  for (int i = 0; i < count; ++i) {
    const uint64_t name = readable[i].data.u64;
    const ConnectionId id = name >> kSocketBits;
    if (id == 0) {
      if (name == 0) attention_.drain();
    } else if (read_(id, (readable[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) &&
               arms_once()) {
      (void)arm(EPOLL_CTL_MOD, id, static_cast<int>(name & ((1 << kSocketBits) - 1)));
    }
  }
}

void TransportReader::attend(Clock::time_point until, uint32_t count) {
  ++attend_count_;
  attending_ = std::this_thread::get_id();
  if (!role_.try_lock()) {
    attention_.call();
    role_.lock();
  }
  const int64_t left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  const bool is_woken = is_woken_.exchange(false);
  read_once(is_woken ? 0 : static_cast<int>(std::clamp(left, int64_t{0}, kWaitMaxMs)), kEventsMax,
            count);
  role_.unlock();
  left_at_ = Clock::now().time_since_epoch().count();
  attending_ = std::thread::id();
  if (asleep_count_ == 0) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

// What was said before attend() has begun to wait ends that wait, too.
void TransportReader::wake() {
  is_woken_ = true;
  if (is_attending()) attention_.call();
}

bool TransportReader::is_away() const {
  const Clock::time_point left_at{Clock::duration(left_at_.load())};
  return !is_attending() && left_at < Clock::now() - kAwayMax;
}

void TransportReader::run(size_t events_max) {
  uint64_t seen_count = 0;
  std::unique_lock lock(mutex_);
  while (!is_over_) {
    if (is_away()) {
      lock.unlock();
      {
        const std::shared_lock role(role_);
        while (!is_over_ && !is_attending()) read_once(-1, events_max);
        attention_.call();  // for the others of us; who attends drains it
      }
      lock.lock();
    } else if (is_attending() && attend_count_ == seen_count) {
      // It has waited for a while, and may for long.
      ++asleep_count_;
      changed_.wait(lock,
                    [&] { return is_over_ || !is_attending() || attend_count_ != seen_count; });
      --asleep_count_;
    } else {
      seen_count = attend_count_;
      changed_.wait_for(lock, kAwayMax);
    }
  }
}

}  // namespace evergrove::runtime
