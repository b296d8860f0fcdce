// A store in memory for tests: objects are written once, puts take time, fail, and lose answers.
//
// Many handles share one set of objects, as coordinators share a bucket. What goes wrong is drawn
// from a seed; kill() ends a handle as the death of its process does: a put under way is done or
// is not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "evergrove/base/hash.h"
#include "evergrove/runtime/log_store.h"
#include "evergrove/train/run_record.h"

namespace evergrove::runtime {

struct TestingObjects {
  std::mutex mutex;
  std::map<std::string, std::string> objects;
};

struct TestingFaults {
  uint64_t seed = 0;
  int fail_percent = 0;         // of puts, without effect
  int lose_answer_percent = 0;  // of puts, which are done
  std::chrono::microseconds delay_max{0};
  std::chrono::milliseconds retry_for{5'000};
};

class TestingLogStore : public LogStore {
 public:
  explicit TestingLogStore(std::shared_ptr<TestingObjects> objects, TestingFaults faults = {})
      : LogStore({.retry_for = faults.retry_for}), objects_(std::move(objects)), faults_(faults) {}

  Result<std::string> get(const std::string& name) override {
    if (is_dead_) return storage_error("The process is dead");
    std::lock_guard lock(objects_->mutex);
    const auto found = objects_->objects.find(name);
    if (found == objects_->objects.end()) return not_found("There is no such object");
    return found->second;
  }
  Result<std::vector<uint64_t>> numbers_in(const std::string& folder) override {
    std::lock_guard lock(objects_->mutex);
    std::vector<uint64_t> numbers;
    for (const auto& [name, bytes] : objects_->objects) {
      uint64_t number = 0;
      const bool is_inside = name.starts_with(folder + "/");
      if (is_inside && parse_numbered_name(name.substr(folder.size() + 1), number)) {
        numbers.push_back(number);
      }
    }
    return numbers;
  }
  const std::string& place() const override { return place_; }

  void kill() {
    is_dead_ = true;
    stop_retrying();
  }
  size_t in_flight_most() const { return in_flight_most_; }

 protected:
  PutTry try_to_put(const std::string& name, std::string_view bytes) override {
    const size_t now_in_flight = ++in_flight_;
    size_t most = in_flight_most_;
    while (most < now_in_flight && !in_flight_most_.compare_exchange_weak(most, now_in_flight)) {
    }
    const PutTry tried = put(name, bytes);
    --in_flight_;
    return tried;
  }

 private:
  PutTry put(const std::string& name, std::string_view bytes) {
    const uint64_t draw = RandomKey(faults_.seed, "puts").at(put_count_++);
    const PutTry failed = {PutTry::failed, storage_error("The store is busy")};
    const auto delay_most = static_cast<uint64_t>(faults_.delay_max.count());
    std::this_thread::sleep_for(std::chrono::microseconds((draw >> 8) % (delay_most + 1)));
    const int percent = static_cast<int>(draw % 100);
    if (percent < faults_.fail_percent || is_dead_) return failed;
    {
      std::lock_guard lock(objects_->mutex);
      if (!objects_->objects.emplace(name, bytes).second) return {PutTry::exists, {}};
    }
    if (percent < faults_.fail_percent + faults_.lose_answer_percent || is_dead_) return failed;
    return {PutTry::written, {}};
  }

  std::shared_ptr<TestingObjects> objects_;
  TestingFaults faults_;
  std::string place_ = "memory://run";
  std::atomic<uint64_t> put_count_ = 0;
  std::atomic<size_t> in_flight_ = 0;
  std::atomic<size_t> in_flight_most_ = 0;
  std::atomic<bool> is_dead_ = false;
};

inline train::RunHeader testing_header() {
  train::RunHeader header;
  header.label = "fraud";
  header.base_margins = {17};
  return header;
}

// `decided` tells the decisions of one coordinator from those of another, where they differ.
inline train::Iteration testing_iteration(uint64_t index, double decided = 0) {
  train::Iteration iteration;
  iteration.index = index;
  iteration.metrics = {{"train", "auc", double(index)}, {"train", "decided", decided}};
  return iteration;
}

}  // namespace evergrove::runtime
