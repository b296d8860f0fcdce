// ReaderPool: opened readers that nobody uses at the moment, by what they were opened for.
//
// Opening a file costs a footer to be parsed (and a round trip, if it is remote), and an Arrow
// reader may be used by one thread at a time. The pool keeps the readers given back last and closes
// the oldest beyond a limit, so that ten thousand files do not hold ten thousand handles.
// Safe to use from many threads.
//
//   std::unique_ptr<Reader> reader = pool.take(key);  // null: open one
//   ...
//   pool.give_back(key, std::move(reader));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <mutex>
#include <utility>

namespace evergrove::source {

// Pointer: a smart pointer to a reader.
template <typename Key, typename Pointer>
class ReaderPool {
 public:
  explicit ReaderPool(size_t idle_max = 64) : idle_max_(idle_max) {}

  Pointer take(const Key& key) {
    std::lock_guard lock(mutex_);
    for (auto entry = idle_.begin(); entry != idle_.end(); ++entry) {
      if (!(entry->first == key)) continue;
      Pointer reader = std::move(entry->second);
      idle_.erase(entry);
      return reader;
    }
    return nullptr;
  }

  // The one whose key has the highest rank, an optional; those without a rank are left.
  template <typename Rank>
  Pointer take_best(const Rank& rank) {
    std::lock_guard lock(mutex_);
    auto best = idle_.end();
    decltype(rank(best->first)) highest;
    for (auto entry = idle_.begin(); entry != idle_.end(); ++entry) {
      const auto own = rank(entry->first);
      if (!(own > highest)) continue;
      best = entry;
      highest = own;
    }
    if (best == idle_.end()) return nullptr;
    Pointer reader = std::move(best->second);
    idle_.erase(best);
    return reader;
  }

  // Returns how many there were.
  size_t clear() {
    decltype(idle_) closed;  // after the lock is released
    std::lock_guard lock(mutex_);
    closed.swap(idle_);
    return closed.size();
  }

  void give_back(Key key, Pointer reader) {
    Pointer oldest;  // closed after the lock is released
    std::lock_guard lock(mutex_);
    idle_.emplace_front(std::move(key), std::move(reader));
    if (idle_.size() <= idle_max_) return;
    oldest = std::move(idle_.back().second);
    idle_.pop_back();
  }

 private:
  size_t idle_max_;
  std::mutex mutex_;
  std::list<std::pair<Key, Pointer>> idle_;  // the one given back last is first
};

}  // namespace evergrove::source
