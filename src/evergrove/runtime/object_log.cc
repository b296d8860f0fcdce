// Up to 16 threads take records off a queue, in order, and put them. Done is the set of those that
// are durable beyond the first gap; when the gap closes, the whole run of them is reported.
//
// What is after a gap when a writer is killed stays, and is no part of the log: whoever goes on
// comes to the same numbers with the same bytes.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/object_log.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <set>
#include <thread>

#include "evergrove/base/bytes.h"
#include "evergrove/base/check.h"
#include "evergrove/runtime/epoch.h"
#include "evergrove/runtime/log_frame.h"
#include "evergrove/runtime/run_log_segment.h"

namespace evergrove::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kFolder = "records";
// How often a writer looks whether it was overtaken; what it writes until then does no harm.
constexpr std::chrono::milliseconds kEpochLookEvery{500};

std::string record_name(uint64_t number) {
  return std::string(kFolder) + "/" + numbered_name(number);
}

std::string object_of(LogRecordType type, std::string_view payload) {
  return std::string(kLogMagic) + frame(type, payload);
}

Status decode_record(uint64_t number, std::string_view bytes, RunLogContents& contents) {
  EVERGROVE_ASSIGN_OR_RETURN(const LogRecord record, parse_record_object(bytes));
  const auto expected = number == 0 ? LogRecordType::header : LogRecordType::iterations;
  if (record.type != expected) return corrupt("A record of the run log is not in its place");
  if (number == 0) {
    EVERGROVE_ASSIGN_OR_RETURN(contents.header, train::decode_header(record.payload));
    return {};
  }
  EVERGROVE_RETURN_IF_ERROR(decode_iterations(record.payload, contents.iterations));
  const bool is_next =
      contents.iterations.size() == number && contents.iterations.back().index == number - 1;
  if (!is_next) return corrupt("A record of the run log is not in its place");
  return {};
}

class ObjectLog : public RunLog {
 public:
  ObjectLog(std::unique_ptr<LogStore> store, uint64_t epoch, RunLogContents contents,
            RunLogOptions options)
      : RunLog(std::move(contents), std::move(options)),
        store_(std::move(store)),
        epoch_(epoch),
        next_number_(1 + contents_.iterations.size()),
        durable_before_(next_number_),
        looked_at_(Clock::now()) {}

  ~ObjectLog() override {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    for (std::thread& writer : writers_) writer.join();
  }

  Status start(const train::RunHeader& header) override {
    CHECK(!contents_.header);
    EVERGROVE_RETURN_IF_ERROR(put(0, object_of(LogRecordType::header, train::encode_header(header)))
                                  .with_context("The run log"));
    contents_.header = header;
    return check_not_overtaken(*store_, epoch_);
  }

  Status append(const train::Iteration& iteration) override {
    CHECK(contents_.header);
    ByteWriter payload;
    payload.string(train::encode_iteration(iteration));
    std::string object = object_of(LogRecordType::iterations, payload.bytes());
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return waiting_bytes_ < kQueueBytesMax || !failure_.ok(); });
    if (!failure_.ok()) return failure_;
    CHECK(iteration.index + 1 == next_number_);
    waiting_bytes_ += object.size();
    queue_.push_back({next_number_++, std::move(object)});
    const size_t needed = queue_.size() + in_flight_;
    if (needed > writers_.size() && writers_.size() < kPutsInFlightMax) {
      writers_.emplace_back([this] { write_queue(); });
    }
    lock.unlock();
    changed_.notify_all();
    return {};
  }

  Status drain() override {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return (queue_.empty() && in_flight_ == 0) || !failure_.ok(); });
    if (failure_.ok() && epoch_is_unsure_) {
      epoch_is_unsure_ = false;
      lock.unlock();
      const Clock::time_point start = Clock::now();
      const Status status = look_at_epochs();
      count_waited(start);
      lock.lock();
      if (!status.ok()) fail(status.with_context("The run log"));
    }
    return failure_;
  }

 private:
  struct Waiting {
    uint64_t number = 0;
    std::string object;
  };

  Status put(uint64_t number, std::string_view object) {
    EVERGROVE_ASSIGN_OR_RETURN(const bool is_there, store_->put_once(record_name(number), object));
    if (is_there) return {};
    return storage_error(
        "Another coordinator owns the log: this record was written by a run that decided "
        "otherwise; give another place, or repeat the command with --resume",
        {{"record", store_->place() + "/" + record_name(number)}});
  }

  // A store that does not answer for a while is for the puts to be patient with.
  Status look_at_epochs() {
    const auto by = overtaker(*store_, epoch_);
    return by.ok() && *by ? overtaken(store_->place(), epoch_, **by) : Status();
  }

  // Requires: mutex_ is held.
  bool must_look() {
    const Clock::time_point now = Clock::now();
    if (now - looked_at_ < kEpochLookEvery) return false;
    looked_at_ = now;
    return true;
  }

  void write_queue() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return closing_ || !queue_.empty() || !failure_.ok(); });
      if (!failure_.ok() || queue_.empty()) return;  // all is written, or nothing more can be
      const Waiting record = std::move(queue_.front());
      queue_.pop_front();
      ++in_flight_;
      epoch_is_unsure_ = true;
      const bool looks = must_look();
      lock.unlock();
      Status status = looks ? look_at_epochs() : Status();
      if (status.ok()) status = put(record.number, record.object);
      lock.lock();
      --in_flight_;
      waiting_bytes_ -= record.object.size();
      if (status.ok()) {
        done_.insert(record.number);
        while (done_.erase(durable_before_) > 0) ++durable_before_;
        report_durable(durable_before_ - 1);
      } else {
        fail(status.with_context("The run log"));
        store_->stop_retrying();
      }
      changed_.notify_all();
    }
  }

  const std::unique_ptr<LogStore> store_;
  const uint64_t epoch_;  // ours, or the largest there was

  // All under mutex_, but next_number_, which is the caller's.
  uint64_t next_number_;
  uint64_t durable_before_;  // all records before this one are durable
  std::set<uint64_t> done_;  // those that are after it
  std::deque<Waiting> queue_;
  size_t in_flight_ = 0;
  size_t waiting_bytes_ = 0;  // of queue and in flight
  bool epoch_is_unsure_ = false;
  bool closing_ = false;
  Clock::time_point looked_at_;
  std::vector<std::thread> writers_;
};

// Fetches objects [0, count), several at once.
Result<std::vector<std::string>> fetch(LogStore& store, uint64_t count) {
  std::vector<std::string> objects(count);
  std::vector<Status> failures(count);
  std::atomic<uint64_t> next = 0;
  const auto work = [&] {
    for (uint64_t number; (number = next++) < count;) {
      Result<std::string> object = store.get(record_name(number));
      failures[number] = object.status();
      if (object.ok()) objects[number] = std::move(object).value();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min<uint64_t>(count, kGetsInFlightMax); ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) thread.join();
  for (const Status& failure : failures) EVERGROVE_RETURN_IF_ERROR(failure);
  return objects;
}

}  // namespace

Result<RunLogContents> read_object_log(LogStore& store) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers,
                             store.numbers_in(std::string(kFolder)));
  uint64_t count = 0;
  while (count < numbers.size() && numbers[count] == count) ++count;
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<std::string> objects, fetch(store, count));
  RunLogContents contents;
  for (uint64_t number = 0; number < count; ++number) {
    EVERGROVE_RETURN_IF_ERROR(decode_record(number, objects[number], contents)
                                  .with_context(store.place() + "/" + record_name(number)));
  }
  return contents;
}

Result<std::unique_ptr<RunLog>> open_object_log(std::unique_ptr<LogStore> store,
                                                RunLogOptions options) {
  // The epoch first, then what is there: who takes a larger one in between is noticed.
  uint64_t epoch = options.epoch;
  if (epoch == 0) {
    EVERGROVE_ASSIGN_OR_RETURN(epoch, current_epoch(*store));
  }
  EVERGROVE_RETURN_IF_ERROR(check_not_overtaken(*store, epoch));
  EVERGROVE_ASSIGN_OR_RETURN(RunLogContents contents, read_object_log(*store));
  return std::unique_ptr<RunLog>(
      new ObjectLog(std::move(store), epoch, std::move(contents), std::move(options)));
}

}  // namespace evergrove::runtime
