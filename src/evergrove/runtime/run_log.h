// RunLog: the log of a run on disk, written while the next tree is being grown.
//
// A run's folder holds one file, run.log (docs/formats/log.md). Records are handed over with
// append() and made durable, in order, by a thread of the log's own: a frame is written only when
// the one before it is durable, so a crash can spoil the last frame alone. What becomes ready in
// the meantime goes into one frame, so that short trees do not wait for a slow disk.
//
// Promise: whatever the crash, the log holds a prefix of what was appended, header first. A log
// that was opened and never started leaves nothing behind. One process has a log at a time (the
// file is locked). append(), drain() and the queries are called by one thread.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto log, RunLog::open("run"));
//   if (log->header()) { ...replay log->iterations()... } else { log->start(header); }
//   log->append(iteration);
//   EVERGROVE_RETURN_IF_ERROR(log->drain());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/train/run_record.h"

namespace evergrove::runtime {

// Where a run's log file is.
std::string run_log_path(const std::string& folder);

// What a log holds, for those who only look at it. Reads a log's file or folder.
struct RunLogContents {
  std::optional<train::RunHeader> header;
  std::vector<train::Iteration> iterations;
  uint64_t torn_bytes = 0;  // at the end, of a record that was never durable
};
Result<RunLogContents> read_run_log(const std::string& path);
// The same from bytes, for fuzzing.
Result<RunLogContents> decode_run_log(std::string_view bytes);

class RunLog {
 public:
  // Makes the folder if needed, reads what is there and cuts off a torn end. Refuses a log that
  // is damaged or of another version, and one that another process is writing.
  static Result<std::unique_ptr<RunLog>> open(const std::string& folder);
  ~RunLog();

  const std::optional<train::RunHeader>& header() const { return contents_.header; }
  // Takes the iterations that were read, of which the memory is then free.
  std::vector<train::Iteration> take_iterations() { return std::move(contents_.iterations); }

  // Writes the header; returns when it is durable. Requires: !header().
  Status start(const train::RunHeader& header);
  // Hands over a record; waits only if kQueueBytesMax are not yet durable. Returns the failure of
  // an earlier record, after which nothing more is written.
  Status append(const train::Iteration& iteration);
  // Waits until all that was appended is durable.
  Status drain();
  // Time that append() and drain() have waited so far.
  double seconds_waited() const { return seconds_waited_; }

  static constexpr size_t kQueueBytesMax = size_t{64} << 20;

 private:
  RunLog(AppendFile file, RunLogContents contents, std::vector<std::string> made_folders);
  void write_queue();
  template <typename Condition>
  void wait(std::unique_lock<std::mutex>& lock, Condition condition);

  AppendFile file_;
  RunLogContents contents_;
  std::vector<std::string> made_folders_;  // by open(), the innermost first
  double seconds_waited_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string queue_;        // encoded iterations, each after its length
  bool is_writing_ = false;  // a frame that was taken off the queue is not yet durable
  bool closing_ = false;
  Status failure_;
  std::thread writer_;
};

}  // namespace evergrove::runtime
