// The bytes of a run log: framing records, and reading back all that is whole.
//
// A log is a line that says what it is, then frames; docs/formats/log.md has the bytes. Reading
// takes any bytes: a last record that is torn (a crash in the middle of a write) or spoilt is
// dropped, for it was never promised; a spoilt record with whole ones after it is damage to what
// was promised, and refused with its place. Pure functions of bytes, for files, tests and fuzzing.
//
//   std::string bytes = std::string(kLogMagic) + frame(LogRecordType::header, payload);
//   EVERGROVE_ASSIGN_OR_RETURN(LogContents log, parse_log(bytes));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

inline constexpr std::string_view kLogMagic = "EVERGROVE LOG 1\n";

enum class LogRecordType : uint8_t {
  header = 1,      // train::encode_header; the first record and no other
  iterations = 2,  // one or more of train::encode_iteration, each after its length (u32)
  takeover = 3,    // the first record of a file that goes on from another one
};

struct LogRecord {
  LogRecordType type = LogRecordType::header;
  uint64_t offset = 0;       // of its frame in the log
  std::string_view payload;  // into the bytes that were read
};

struct LogContents {
  std::vector<LogRecord> records;
  uint64_t whole_bytes = 0;  // up to the end of the last whole record
  uint64_t torn_bytes = 0;   // after it, to be cut off before anything is appended
};

// Requires: payload below 2^32 - 1 bytes.
std::string frame(LogRecordType type, std::string_view payload);

// Reads an object of a log on an object store: the magic line and one frame, whole. Its record is
// of the bytes. Returns corrupt or unsupported for all else.
Result<LogRecord> parse_record_object(std::string_view bytes);

// Reads a log. Bytes that end before the first frame is whole are an empty log. Returns corrupt
// for what is not a log or is damaged before its end, unsupported for another version's.
Result<LogContents> parse_log(std::string_view bytes);

}  // namespace evergrove::runtime
