// The files of a log in a folder: run.log, and one more for each takeover from a living writer.
//
// Whoever takes over from a process that still has its file locked (it may be stopped, and wake
// up) leaves that file alone and goes on in run-<epoch>.log, of which the first record says which
// file it goes on from and how many of its records count. What the other file gets later is
// beyond that number, and not part of the log. The log is the newest file with what it goes on
// from.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/runtime/run_log.h"

namespace evergrove::runtime {

struct Takeover {
  uint64_t from_epoch = 0;    // of the file that is gone on from; 0: run.log
  uint64_t record_count = 0;  // of the log before, the header counted; 0: it was not begun
};
std::string encode_takeover(const Takeover& takeover);
Result<Takeover> decode_takeover(std::string_view bytes);

// What one file holds.
struct LogSegment {
  std::optional<Takeover> takeover;
  RunLogContents own;  // without what it goes on from
};
Result<LogSegment> decode_segment(std::string_view bytes);

// Epoch 0: run.log.
std::string segment_path(const std::string& folder, uint64_t epoch);
// The epoch of the newest file whose beginning is whole; 0 if there is none.
Result<uint64_t> newest_segment(const std::string& folder);
// The log up to the end of this file, of which the bytes are given.
Result<RunLogContents> contents_up_to(const std::string& folder, uint64_t epoch,
                                      std::string_view bytes);

// Reads a log's folder or its one file.
Result<RunLogContents> read_log_files(const std::string& path);

// The bytes of iterations in a record: each is a length (u32) and its bytes.
Status decode_iterations(std::string_view payload, std::vector<train::Iteration>& to);

}  // namespace evergrove::runtime
