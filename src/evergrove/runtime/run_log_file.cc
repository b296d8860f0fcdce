// Writing is: append a frame, sync it, see that no larger epoch was taken, report it as durable.
// Taking over is: take an epoch, then read. So whatever was reported before an epoch was taken is
// read by who took it, and nothing is reported after: the old writer may go on writing into its
// file, but the new one has said how much of it counts (run_log_segment.h).
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_log_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "evergrove/base/bytes.h"
#include "evergrove/base/check.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/epoch.h"
#include "evergrove/runtime/log_frame.h"
#include "evergrove/runtime/run_log_segment.h"

namespace evergrove::runtime {
namespace {

// What open() found and made.
struct OpenedFile {
  AppendFile file;
  RunLogContents contents;
  uint64_t file_bytes = 0;
};

class FileLog : public RunLog {
 public:
  FileLog(std::string folder, uint64_t epoch, OpenedFile opened, RunLogOptions options,
          std::vector<std::string> made_folders)
      : RunLog(std::move(opened.contents), std::move(options)),
        folder_(std::move(folder)),
        epoch_(epoch),
        file_(std::move(opened.file)),
        file_is_empty_(opened.file_bytes == 0),
        made_folders_(std::move(made_folders)),
        writer_([this] { write_queue(); }) {}

  ~FileLog() override {
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

  Status start(const train::RunHeader& header) override {
    CHECK(!contents_.header);
    const std::string frame_bytes = frame(LogRecordType::header, train::encode_header(header));
    const std::string_view magic = file_is_empty_ ? kLogMagic : std::string_view();
    EVERGROVE_RETURN_IF_ERROR(file_.append(std::string(magic) + frame_bytes));
    EVERGROVE_RETURN_IF_ERROR(file_.sync());
    contents_.header = header;
    return check_not_overtaken(folder_, epoch_);
  }

  Status append(const train::Iteration& iteration) override {
    ByteWriter record;
    record.string(train::encode_iteration(iteration));
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return queue_.size() < kQueueBytesMax || !failure_.ok(); });
    if (!failure_.ok()) return failure_;
    queue_ += record.bytes();
    ++queue_count_;
    lock.unlock();
    changed_.notify_all();
    return {};
  }

  Status drain() override {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return (queue_.empty() && !is_writing_) || !failure_.ok(); });
    return failure_;
  }

 private:
  Status write(const std::string& payload) {
    EVERGROVE_RETURN_IF_ERROR(file_.append(frame(LogRecordType::iterations, payload)));
    EVERGROVE_RETURN_IF_ERROR(file_.sync());
    return check_not_overtaken(folder_, epoch_);
  }

  void write_queue() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return closing_ || !queue_.empty(); });
      if (!failure_.ok() || queue_.empty()) return;  // all is written, or nothing more can be
      const std::string payload = std::move(queue_);
      const uint64_t count = queue_count_;
      queue_.clear();
      queue_count_ = 0;
      is_writing_ = true;
      lock.unlock();
      changed_.notify_all();
      const Status status = write(payload);
      lock.lock();
      is_writing_ = false;
      if (status.ok()) {
        report_durable(durable_count() + count);
      } else {
        fail(status.with_context("The run log"));
      }
      changed_.notify_all();
      if (!failure_.ok()) return;
    }
  }

  std::string folder_;
  uint64_t epoch_;
  AppendFile file_;
  bool file_is_empty_;                     // not even a magic line
  std::vector<std::string> made_folders_;  // by open(), the innermost first

  // All under mutex_.
  std::string queue_;  // encoded iterations, each after its length
  uint64_t queue_count_ = 0;
  bool is_writing_ = false;  // a frame that was taken off the queue is not yet durable
  bool closing_ = false;
  std::thread writer_;
};

bool is_locked(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.is_open() && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// Goes on in a file that nobody else has.
Result<OpenedFile> go_on_in(const std::string& folder, uint64_t segment, AppendFile file) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, file.read_all());
  EVERGROVE_ASSIGN_OR_RETURN(RunLogContents contents, contents_up_to(folder, segment, bytes));
  uint64_t size = bytes.size();
  if (contents.torn_bytes > 0) {
    size -= contents.torn_bytes;
    EVERGROVE_RETURN_IF_ERROR(file.truncate(size));
  }
  // A magic line without a header is a run that never began: it is written anew with its header.
  if (segment == 0 && !contents.header && size > 0) {
    size = 0;
    EVERGROVE_RETURN_IF_ERROR(file.truncate(size));
  }
  return OpenedFile{std::move(file), std::move(contents), size};
}

// Goes on in a file of its own from one that another process has, and may still write to.
Result<OpenedFile> take_over(const std::string& folder, uint64_t segment, uint64_t epoch) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_file(segment_path(folder, segment)));
  EVERGROVE_ASSIGN_OR_RETURN(RunLogContents contents, contents_up_to(folder, segment, bytes));
  contents.torn_bytes = 0;
  const Takeover takeover = {.from_epoch = segment,
                             .record_count = contents.header ? 1 + contents.iterations.size() : 0};
  EVERGROVE_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(segment_path(folder, epoch)));
  const std::string beginning =
      std::string(kLogMagic) + frame(LogRecordType::takeover, encode_takeover(takeover));
  // Something torn by ourselves may be there, if the same epoch is opened again.
  EVERGROVE_RETURN_IF_ERROR(file.truncate(0));
  EVERGROVE_RETURN_IF_ERROR(file.append(beginning));
  EVERGROVE_RETURN_IF_ERROR(file.sync());
  return OpenedFile{std::move(file), std::move(contents), beginning.size()};
}

}  // namespace

Result<std::unique_ptr<RunLog>> open_file_log(const std::string& place, RunLogOptions options) {
  const std::string folder = place.starts_with("file://") ? place.substr(7) : place;
  std::vector<std::string> made_folders = missing_folders(folder);
  EVERGROVE_RETURN_IF_ERROR(make_folder(folder).with_context("The log"));
  // The epoch first, then what is there: who takes a larger one in between is noticed.
  uint64_t epoch = options.epoch;
  if (epoch == 0) {
    EVERGROVE_ASSIGN_OR_RETURN(epoch, current_epoch(folder));
  }
  EVERGROVE_RETURN_IF_ERROR(check_not_overtaken(folder, epoch));
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t segment, newest_segment(folder));
  if (segment > epoch) return overtaken(folder, epoch, "epoch " + std::to_string(segment));
  const std::string path = segment_path(folder, segment);
  const auto opened = [&]() -> Result<OpenedFile> {
    Result<AppendFile> file = AppendFile::open(path);
    if (file.ok()) return go_on_in(folder, segment, std::move(file).value());
    const bool may_take_over = options.epoch > segment && is_locked(path);
    if (!may_take_over) return file.status();
    return take_over(folder, segment, options.epoch);
  };
  EVERGROVE_ASSIGN_OR_RETURN(OpenedFile file, opened());
  EVERGROVE_RETURN_IF_ERROR(check_not_overtaken(folder, epoch));
  return std::unique_ptr<RunLog>(
      new FileLog(folder, epoch, std::move(file), std::move(options), std::move(made_folders)));
}

}  // namespace evergrove::runtime
