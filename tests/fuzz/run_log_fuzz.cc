// The run log: any bytes are refused, or give a prefix that stands by itself, as a file and as the
// objects of a log; so are frames that are right around any payloads.
//
// The input is all bytes of a log if it begins with a line's first letter; else frames to be made:
// each its type (u8), how long it is (u8) and its payload.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "evergrove/runtime/log_frame.h"
#include "evergrove/runtime/log_store.h"
#include "evergrove/runtime/run_log.h"
#include "evergrove/runtime/run_log_segment.h"

namespace {

using namespace evergrove::runtime;

void require(bool condition) {
  if (!condition) std::abort();
}

void read_log(std::string_view bytes) {
  const auto log = decode_run_log(bytes);
  if (!log.ok()) return;
  require(log->torn_bytes <= bytes.size());
  const auto whole = decode_run_log(bytes.substr(0, bytes.size() - log->torn_bytes));
  require(whole.ok() && whole->torn_bytes == 0);
  require(whole->iterations.size() == log->iterations.size());
}

void read_object(std::string_view bytes) {
  const auto record = parse_record_object(bytes);
  if (!record.ok()) return;
  require(std::string(kLogMagic) + frame(record->type, record->payload) == bytes);
}

void read_takeover(std::string_view bytes) {
  const auto takeover = decode_takeover(bytes);
  if (takeover.ok()) require(encode_takeover(*takeover) == bytes);
}

void read_name(std::string_view bytes) {
  uint64_t number = 0;
  if (parse_numbered_name(bytes, number)) require(numbered_name(number) == bytes);
}

// Frames with the right checksums, whatever is in them; the first is an object of a log, too.
std::string made_log(std::string_view input) {
  std::string log(kLogMagic);
  while (input.size() >= 2) {
    const auto type = static_cast<LogRecordType>(1 + static_cast<uint8_t>(input[0]) % 3);
    const size_t size = std::min<size_t>(static_cast<uint8_t>(input[1]), input.size() - 2);
    const std::string_view payload = input.substr(2, size);
    const bool is_first = log.size() == kLogMagic.size();
    log += frame(type, payload);
    if (is_first) read_object(log);
    read_takeover(payload);
    input.remove_prefix(2 + size);
  }
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool is_log = bytes.starts_with(kLogMagic[0]);
  read_log(is_log ? std::string(bytes) : made_log(bytes));
  read_object(bytes);
  read_name(bytes);
  return 0;
}
