// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_log.h"

#include "evergrove/runtime/log_store.h"
#include "evergrove/runtime/object_log.h"
#include "evergrove/runtime/run_log_file.h"
#include "evergrove/runtime/run_log_segment.h"

namespace evergrove::runtime {

Result<RunLogContents> read_run_log(const std::string& place) {
  if (!is_object_place(place)) return read_log_files(place);
  EVERGROVE_ASSIGN_OR_RETURN(const auto store, open_log_store(place));
  return read_object_log(*store);
}

Result<std::unique_ptr<RunLog>> RunLog::open(const std::string& place, RunLogOptions options) {
  if (!is_object_place(place)) return open_file_log(place, std::move(options));
  EVERGROVE_ASSIGN_OR_RETURN(auto store, open_log_store(place));
  return open_object_log(std::move(store), std::move(options));
}

RunLog::RunLog(RunLogContents contents, RunLogOptions options)
    : contents_(std::move(contents)),
      options_(std::move(options)),
      durable_count_(contents_.iterations.size()) {}

void RunLog::report_durable(uint64_t count) {
  if (count == durable_count_) return;
  durable_count_ = count;
  if (options_.on_durable) options_.on_durable(count);
}

void RunLog::fail(Status status) {
  if (failure_.ok()) failure_ = std::move(status);
}

void RunLog::wait_counted(std::unique_lock<std::mutex>& lock,
                          const std::function<bool()>& condition) {
  const auto start = std::chrono::steady_clock::now();
  changed_.wait(lock, condition);
  count_waited(start);
}

void RunLog::count_waited(std::chrono::steady_clock::time_point start) {
  seconds_waited_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace evergrove::runtime
