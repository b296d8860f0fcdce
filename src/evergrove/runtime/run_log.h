// RunLog: the log of a run on durable storage, written while the next tree is being grown.
//
// Its place is a folder, which holds a file run.log, or the URL of an object store, in which each
// record is an object that is written once (docs/formats/log.md). Records are handed over with
// append() and made durable by threads of the log's own. In a file a frame is written only when
// the one before it is durable; on an object store up to 16 records are on their way at once, and
// durable is the longest beginning without a gap.
//
// Promise: whatever the crash and whoever else writes, the log holds a prefix of what was
// appended, header first, and what was reported as durable is never lost or changed. A log that
// was opened and never started leaves nothing behind. append(), drain() and the queries are
// called by one thread, durable_count() by any.
//
// A coordinator takes an epoch first (epoch.h) and opens the log with it: it takes over from one
// that has a smaller epoch, also if that one is only stopped; what the other writes from then on
// is not reported as durable to it, and its log fails with storage. Without an epoch, one process
// has a folder's log at a time, and a second one is refused.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto log, RunLog::open("run"));
//   if (log->header()) { ...replay log->take_iterations()... } else { log->start(header); }
//   log->append(iteration);
//   EVERGROVE_RETURN_IF_ERROR(log->drain());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/run_record.h"

namespace evergrove::runtime {

// Where a run's log file is.
std::string run_log_path(const std::string& folder);

// What a log holds, for those who only look at it. Reads a log's folder, file or URL.
struct RunLogContents {
  std::optional<train::RunHeader> header;
  std::vector<train::Iteration> iterations;
  uint64_t torn_bytes = 0;  // at the end, of a record that was never durable
};
Result<RunLogContents> read_run_log(const std::string& place);
// The same from the bytes of a file, for fuzzing.
Result<RunLogContents> decode_run_log(std::string_view bytes);

struct RunLogOptions {
  // Of a coordinator, from take_epoch(); 0: a process that takes nothing over.
  uint64_t epoch = 0;
  // Told durable_count() when it has grown, in order, from a thread of the log. Must be brief and
  // not call the log.
  std::function<void(uint64_t)> on_durable = {};
};

class RunLog {
 public:
  // Makes the folder if needed, reads what is there and cuts off a torn end. Refuses a log that
  // is damaged or of another version, and one that another process is writing.
  static Result<std::unique_ptr<RunLog>> open(const std::string& place, RunLogOptions options = {});
  virtual ~RunLog() = default;

  const std::optional<train::RunHeader>& header() const { return contents_.header; }
  // Takes the iterations that were read, of which the memory is then free.
  std::vector<train::Iteration> take_iterations() { return std::move(contents_.iterations); }

  // Writes the header; returns when it is durable. Requires: !header().
  virtual Status start(const train::RunHeader& header) = 0;
  // Hands over the next record; waits only if kQueueBytesMax are not yet durable. Returns the
  // failure of an earlier record, after which nothing more is written. Requires: header().
  virtual Status append(const train::Iteration& iteration) = 0;
  // Waits until all that was appended is durable.
  virtual Status drain() = 0;

  // How many iterations of the log are durable, those that were read among them.
  uint64_t durable_count() const { return durable_count_; }
  // Time that append() and drain() have waited so far.
  double seconds_waited() const { return seconds_waited_; }

  static constexpr size_t kQueueBytesMax = size_t{64} << 20;

 protected:
  RunLog(RunLogContents contents, RunLogOptions options);
  // Waits for a condition, and counts the time.
  template <typename Condition>
  void wait(std::unique_lock<std::mutex>& lock, Condition condition) {
    if (condition()) return;
    wait_counted(lock, condition);
  }
  // Adds the time from the start until now to seconds_waited().
  void count_waited(std::chrono::steady_clock::time_point start);
  // Requires: mutex_ is held.
  void report_durable(uint64_t count);
  void fail(Status status);

  RunLogContents contents_;
  const RunLogOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Status failure_;

 private:
  void wait_counted(std::unique_lock<std::mutex>& lock, const std::function<bool()>& condition);

  std::atomic<uint64_t> durable_count_;
  double seconds_waited_ = 0;
};

}  // namespace evergrove::runtime
