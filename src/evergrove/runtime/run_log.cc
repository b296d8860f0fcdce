// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "evergrove/base/bytes.h"
#include "evergrove/base/check.h"
#include "evergrove/runtime/log_frame.h"

namespace evergrove::runtime {
namespace {

constexpr std::string_view kFileName = "run.log";

// The iterations of one frame's payload: each is a length (u32) and its bytes.
Status decode_iterations(std::string_view payload, std::vector<train::Iteration>& to) {
  ByteReader in(payload);
  while (!in.at_end()) {
    const std::string bytes = in.string();
    if (!in.ok()) return corrupt("A record of the run log is cut short");
    EVERGROVE_ASSIGN_OR_RETURN(to.emplace_back(), train::decode_iteration(bytes));
  }
  return {};
}

bool is_folder(const std::string& path) {
  struct stat about = {};
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

}  // namespace

std::string run_log_path(const std::string& folder) {
  return folder + "/" + std::string(kFileName);
}

Result<RunLogContents> decode_run_log(std::string_view bytes) {
  EVERGROVE_ASSIGN_OR_RETURN(const LogContents log, parse_log(bytes));
  RunLogContents contents;
  contents.torn_bytes = log.torn_bytes;
  for (const LogRecord& record : log.records) {
    if (record.type == LogRecordType::header) {
      EVERGROVE_ASSIGN_OR_RETURN(contents.header, train::decode_header(record.payload));
    } else {
      EVERGROVE_RETURN_IF_ERROR(decode_iterations(record.payload, contents.iterations));
    }
  }
  return contents;
}

Result<RunLogContents> read_run_log(const std::string& path) {
  const std::string file = is_folder(path) ? run_log_path(path) : path;
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_file(file));
  Result<RunLogContents> contents = decode_run_log(bytes);
  if (!contents.ok()) return contents.status().with_context(file);
  return contents;
}

RunLog::RunLog(AppendFile file, RunLogContents contents, std::vector<std::string> made_folders)
    : file_(std::move(file)),
      contents_(std::move(contents)),
      made_folders_(std::move(made_folders)),
      writer_([this] { write_queue(); }) {}

Result<std::unique_ptr<RunLog>> RunLog::open(const std::string& folder) {
  std::vector<std::string> made_folders = missing_folders(folder);
  EVERGROVE_RETURN_IF_ERROR(make_folder(folder).with_context("The log"));
  const std::string path = run_log_path(folder);
  EVERGROVE_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, file.read_all());
  Result<RunLogContents> contents = decode_run_log(bytes);
  if (!contents.ok()) return contents.status().with_context(path);
  if (contents->torn_bytes > 0) {
    EVERGROVE_RETURN_IF_ERROR(file.truncate(bytes.size() - contents->torn_bytes));
  }
  // A magic line without a header is a run that never began: it is written anew with its header.
  if (!contents->header && bytes.size() > contents->torn_bytes) {
    EVERGROVE_RETURN_IF_ERROR(file.truncate(0));
  }
  return std::unique_ptr<RunLog>(
      new RunLog(std::move(file), std::move(contents).value(), std::move(made_folders)));
}

RunLog::~RunLog() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  writer_.join();
  // The data was refused, say: what was opened for a run that never began goes.
  if (contents_.header || !file_.is_new()) return;
  file_.remove();
  for (const std::string& made : made_folders_) ::rmdir(made.c_str());
}

Status RunLog::start(const train::RunHeader& header) {
  CHECK(!contents_.header);
  const std::string frame_bytes = frame(LogRecordType::header, train::encode_header(header));
  EVERGROVE_RETURN_IF_ERROR(file_.append(std::string(kLogMagic) + frame_bytes));
  EVERGROVE_RETURN_IF_ERROR(file_.sync());
  contents_.header = header;
  return {};
}

Status RunLog::append(const train::Iteration& iteration) {
  ByteWriter record;
  record.string(train::encode_iteration(iteration));
  std::unique_lock lock(mutex_);
  wait(lock, [&] { return queue_.size() < kQueueBytesMax || !failure_.ok(); });
  if (!failure_.ok()) return failure_;
  queue_ += record.bytes();
  lock.unlock();
  changed_.notify_all();
  return {};
}

Status RunLog::drain() {
  std::unique_lock lock(mutex_);
  wait(lock, [&] { return (queue_.empty() && !is_writing_) || !failure_.ok(); });
  return failure_;
}

template <typename Condition>
void RunLog::wait(std::unique_lock<std::mutex>& lock, Condition condition) {
  if (condition()) return;
  const auto start = std::chrono::steady_clock::now();
  changed_.wait(lock, condition);
  seconds_waited_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void RunLog::write_queue() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (!failure_.ok() || queue_.empty()) return;  // all is written, or nothing more can be
    const std::string payload = std::move(queue_);
    queue_.clear();
    is_writing_ = true;
    lock.unlock();
    changed_.notify_all();
    Status status = file_.append(frame(LogRecordType::iterations, payload));
    if (status.ok()) status = file_.sync();
    lock.lock();
    is_writing_ = false;
    if (!status.ok()) failure_ = status.with_context("The run log");
    changed_.notify_all();
    if (!failure_.ok()) return;
  }
}

}  // namespace evergrove::runtime
