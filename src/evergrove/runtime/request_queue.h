// RequestQueue: what a thread is asked to do, one after the other, until it is closed.
//
//   for (Request next; requests.take(next);) answer(next);   // the thread
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace evergrove::runtime {

template <typename Request>
class RequestQueue {
 public:
  void push(Request request) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(std::move(request));
    }
    changed_.notify_one();
  }
  // Waits for the next request. False once it is closed, whatever is left.
  bool take(Request& next) {
    std::unique_lock lock(mutex_);
    if (!wait(lock)) return false;
    next = std::move(requests_.front());
    requests_.pop_front();
    return true;
  }
  // Waits until there is one. False once it is closed.
  bool wait() {
    std::unique_lock lock(mutex_);
    return wait(lock);
  }
  // The first ones, as long as they are to be taken; none if there are none any more.
  template <typename Predicate>
  std::vector<Request> take_while(const Predicate& is_taken) {
    const std::lock_guard lock(mutex_);
    std::vector<Request> taken;
    while (!requests_.empty() && is_taken(requests_.front())) {
      taken.push_back(std::move(requests_.front()));
      requests_.pop_front();
    }
    return taken;
  }
  template <typename Predicate>
  void drop_if(const Predicate& is_dropped) {
    const std::lock_guard lock(mutex_);
    std::erase_if(requests_, is_dropped);
  }
  bool is_empty() {
    const std::lock_guard lock(mutex_);
    return requests_.empty();
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  bool wait(std::unique_lock<std::mutex>& lock) {
    changed_.wait(lock, [&] { return is_closed_ || !requests_.empty(); });
    return !is_closed_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> requests_;
  bool is_closed_ = false;
};

}  // namespace evergrove::runtime
