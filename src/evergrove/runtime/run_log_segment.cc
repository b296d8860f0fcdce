// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_log_segment.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "evergrove/base/bytes.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/log_frame.h"
#include "evergrove/runtime/log_store.h"

namespace evergrove::runtime {
namespace {

constexpr std::string_view kFileName = "run.log";
constexpr std::string_view kSegmentStart = "run-";
constexpr std::string_view kSegmentEnd = ".log";
constexpr uint32_t kTakeoverVersion = 1;

bool is_folder(const std::string& path) {
  struct stat about = {};
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

// The epochs of the files run-<epoch>.log, the largest first.
Result<std::vector<uint64_t>> segment_epochs(const std::string& folder) {
  DIR* entries = ::opendir(folder.c_str());
  if (entries == nullptr) {
    return storage_error("Cannot list the folder of the log; look at the disk and the rights",
                         {{"path", folder}, {"reason", std::strerror(errno)}});
  }
  std::vector<uint64_t> epochs;
  while (const dirent* entry = ::readdir(entries)) {
    std::string_view name = entry->d_name;
    if (!name.starts_with(kSegmentStart) || !name.ends_with(kSegmentEnd)) continue;
    if (name.size() < kSegmentStart.size() + kSegmentEnd.size()) continue;
    name.remove_prefix(kSegmentStart.size());
    name.remove_suffix(kSegmentEnd.size());
    uint64_t epoch = 0;
    if (parse_numbered_name(name, epoch) && epoch > 0) epochs.push_back(epoch);
  }
  ::closedir(entries);
  std::sort(epochs.rbegin(), epochs.rend());
  return epochs;
}

uint64_t record_count(const RunLogContents& contents) {
  return contents.header ? 1 + contents.iterations.size() : 0;
}

Status does_not_fit(const std::string& path) {
  return corrupt(
      "The run log is damaged: a file of it does not go on from the one before it; restore the "
      "folder, or start afresh in an empty one",
      {{"file", path}});
}

}  // namespace

std::string run_log_path(const std::string& folder) {
  return folder + "/" + std::string(kFileName);
}

std::string encode_takeover(const Takeover& takeover) {
  ByteWriter out;
  out.u32(kTakeoverVersion).u64(takeover.from_epoch).u64(takeover.record_count);
  return out.take();
}

Result<Takeover> decode_takeover(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u32() != kTakeoverVersion && in.ok()) {
    return unsupported(
        "A record of the run log is of another version; use the Evergrove that "
        "wrote it");
  }
  Takeover takeover;
  takeover.from_epoch = in.u64();
  takeover.record_count = in.u64();
  if (!in.at_end()) return corrupt("A record of the run log is cut short");
  return takeover;
}

Status decode_iterations(std::string_view payload, std::vector<train::Iteration>& to) {
  ByteReader in(payload);
  while (!in.at_end()) {
    const std::string bytes = in.string();
    if (!in.ok()) return corrupt("A record of the run log is cut short");
    EVERGROVE_ASSIGN_OR_RETURN(to.emplace_back(), train::decode_iteration(bytes));
  }
  return {};
}

Result<LogSegment> decode_segment(std::string_view bytes) {
  EVERGROVE_ASSIGN_OR_RETURN(const LogContents log, parse_log(bytes));
  LogSegment segment;
  segment.own.torn_bytes = log.torn_bytes;
  for (const LogRecord& record : log.records) {
    if (record.type == LogRecordType::takeover) {
      EVERGROVE_ASSIGN_OR_RETURN(segment.takeover, decode_takeover(record.payload));
    } else if (record.type == LogRecordType::header) {
      EVERGROVE_ASSIGN_OR_RETURN(segment.own.header, train::decode_header(record.payload));
    } else {
      EVERGROVE_RETURN_IF_ERROR(decode_iterations(record.payload, segment.own.iterations));
    }
  }
  if (segment.takeover) {
    const bool was_begun = segment.takeover->record_count > 0;
    const bool has_more = !segment.own.iterations.empty();
    if (was_begun == segment.own.header.has_value() && (was_begun || has_more)) {
      return corrupt("The run log is damaged: it has two beginnings, or none");
    }
  }
  return segment;
}

Result<RunLogContents> decode_run_log(std::string_view bytes) {
  EVERGROVE_ASSIGN_OR_RETURN(LogSegment segment, decode_segment(bytes));
  return std::move(segment.own);
}

std::string segment_path(const std::string& folder, uint64_t epoch) {
  if (epoch == 0) return run_log_path(folder);
  return folder + "/" + std::string(kSegmentStart) + numbered_name(epoch) +
         std::string(kSegmentEnd);
}

Result<uint64_t> newest_segment(const std::string& folder) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<uint64_t> epochs, segment_epochs(folder));
  for (const uint64_t epoch : epochs) {
    // One that was torn in its first record was never gone on in.
    const std::string path = segment_path(folder, epoch);
    EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
    const Result<LogSegment> segment = decode_segment(bytes);
    if (!segment.ok()) return segment.status().with_context(path);
    if (segment->takeover) return epoch;
  }
  return uint64_t{0};
}

Result<RunLogContents> contents_up_to(const std::string& folder, uint64_t epoch,
                                      std::string_view bytes) {
  const std::string path = segment_path(folder, epoch);
  Result<LogSegment> read = decode_segment(bytes);
  if (!read.ok()) return read.status().with_context(path);
  LogSegment segment = std::move(read).value();
  const bool must_go_on = epoch > 0;
  if (segment.takeover.has_value() != must_go_on) return does_not_fit(path);
  if (!must_go_on || segment.takeover->record_count == 0) return std::move(segment.own);
  if (segment.takeover->from_epoch >= epoch) return does_not_fit(path);
  const std::string before_path = segment_path(folder, segment.takeover->from_epoch);
  EVERGROVE_ASSIGN_OR_RETURN(const std::string before_bytes, read_file(before_path));
  EVERGROVE_ASSIGN_OR_RETURN(RunLogContents contents,
                             contents_up_to(folder, segment.takeover->from_epoch, before_bytes));
  if (record_count(contents) < segment.takeover->record_count) return does_not_fit(path);
  contents.iterations.resize(segment.takeover->record_count - 1);
  for (train::Iteration& iteration : segment.own.iterations) {
    contents.iterations.push_back(std::move(iteration));
  }
  contents.torn_bytes = segment.own.torn_bytes;
  return contents;
}

Result<RunLogContents> read_log_files(const std::string& path) {
  if (!is_folder(path)) {
    EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
    Result<LogSegment> segment = decode_segment(bytes);
    if (!segment.ok()) return segment.status().with_context(path);
    if (segment->takeover) {
      return invalid_input("This file is the end of a log only; give the folder that it is in",
                           {{"file", path}});
    }
    return std::move(segment->own);
  }
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t newest, newest_segment(path));
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_file(segment_path(path, newest)));
  return contents_up_to(path, newest, bytes);
}

}  // namespace evergrove::runtime
