// Frame: u32 length of the payload, u64 checksum, u8 type, payload; little-endian. The checksum is
// the first 8 bytes of the SHA-256 of length, type and payload, so that any language can read logs.
//
// Torn or damaged? A record is durable before the next one is written, so a crash can only spoil
// the last. When a frame is spoilt, every later place is tried as the start of a whole frame: one
// that is found proves that the spoilt one had been durable, hence damage. The search does a
// bounded amount of hashing, beyond which the log is called damaged too.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_frame.h"

#include <algorithm>

#include "evergrove/base/bytes.h"
#include "evergrove/base/check.h"
#include "evergrove/base/sha256.h"

namespace evergrove::runtime {
namespace {

constexpr size_t kFrameOverheadBytes = 13;
constexpr uint64_t kSearchHashBytesMax = uint64_t{256} << 20;

uint64_t checksum(uint8_t type, std::string_view payload) {
  Sha256 sha;
  ByteWriter head;
  head.u32(static_cast<uint32_t>(payload.size())).u8(type);
  sha.update(head.bytes());
  sha.update(payload);
  const Sha256::Digest digest = sha.digest();
  uint64_t first_bytes = 0;
  for (int i = 0; i < 8; ++i) first_bytes |= uint64_t{digest[i]} << (8 * i);
  return first_bytes;
}

struct Frame {
  bool is_complete = false;  // all its bytes are there, and its type is known
  uint64_t checksum = 0;
  LogRecord record;
  uint64_t end = 0;

  bool is_whole() const {
    return is_complete &&
           checksum == runtime::checksum(static_cast<uint8_t>(record.type), record.payload);
  }
};

Frame frame_at(std::string_view bytes, uint64_t offset) {
  Frame result;
  if (bytes.size() - offset < kFrameOverheadBytes) return result;
  ByteReader in(bytes.substr(offset, kFrameOverheadBytes));
  const uint32_t length = in.u32();
  result.checksum = in.u64();
  const uint8_t type = in.u8();
  if (bytes.size() - offset - kFrameOverheadBytes < length) return result;
  if (type < static_cast<uint8_t>(LogRecordType::header) ||
      type > static_cast<uint8_t>(LogRecordType::takeover)) {
    return result;
  }
  result.is_complete = true;
  result.record = {.type = static_cast<LogRecordType>(type),
                   .offset = offset,
                   .payload = bytes.substr(offset + kFrameOverheadBytes, length)};
  result.end = offset + kFrameOverheadBytes + length;
  return result;
}

// Whether any whole frame starts after the offset; true as well when the search grew too long.
bool whole_frame_after(std::string_view bytes, uint64_t offset) {
  uint64_t hashed_bytes = 0;
  for (uint64_t place = offset + 1; place + kFrameOverheadBytes <= bytes.size(); ++place) {
    const Frame candidate = frame_at(bytes, place);
    if (!candidate.is_complete) continue;
    hashed_bytes += kFrameOverheadBytes + candidate.record.payload.size();
    if (hashed_bytes > kSearchHashBytesMax || candidate.is_whole()) return true;
  }
  return false;
}

// What may stand where: a takeover first or not at all, a header first or after a takeover, and
// iterations after either.
bool may_follow(const std::vector<LogRecord>& records, LogRecordType next) {
  if (records.empty()) return next != LogRecordType::iterations;
  if (next == LogRecordType::takeover) return false;
  const bool is_second = records.size() == 1;
  return next == LogRecordType::iterations ||
         (is_second && records.front().type == LogRecordType::takeover);
}

// Whether the bytes start as a log of this version does; fewer than a line's are no failure.
Status check_magic(std::string_view bytes) {
  const std::string_view start = bytes.substr(0, kLogMagic.size());
  if (start == kLogMagic.substr(0, start.size())) return {};
  constexpr std::string_view kAnyVersion = "EVERGROVE LOG ";
  if (start.starts_with(kAnyVersion)) {
    return unsupported("The run log is of another version; use the Evergrove that wrote it",
                       {{"version", std::string(start.substr(kAnyVersion.size(), 1))}});
  }
  return corrupt("The file is not a run log of Evergrove; give the folder of one, or a new one");
}

Status damaged(uint64_t offset) {
  return corrupt(
      "The run log is damaged before its last record, so it cannot be gone on from; restore it or "
      "start afresh in an empty log folder",
      {{"offset", std::to_string(offset)}});
}

}  // namespace

std::string frame(LogRecordType type, std::string_view payload) {
  CHECK(payload.size() < UINT32_MAX);
  ByteWriter out;
  out.u32(static_cast<uint32_t>(payload.size()));
  out.u64(checksum(static_cast<uint8_t>(type), payload));
  out.u8(static_cast<uint8_t>(type));
  std::string bytes = out.take();
  bytes.append(payload);
  return bytes;
}

Result<LogRecord> parse_record_object(std::string_view bytes) {
  EVERGROVE_RETURN_IF_ERROR(check_magic(bytes));
  if (bytes.size() > kLogMagic.size()) {
    const Frame only = frame_at(bytes, kLogMagic.size());
    if (only.is_whole() && only.end == bytes.size()) return only.record;
  }
  return corrupt(
      "A record of the run log is not what was written, so it cannot be gone on from; restore it "
      "or start afresh in another place");
}

Result<LogContents> parse_log(std::string_view bytes) {
  LogContents contents;
  EVERGROVE_RETURN_IF_ERROR(check_magic(bytes));
  if (bytes.size() < kLogMagic.size()) {
    contents.torn_bytes = bytes.size();
    return contents;
  }
  contents.whole_bytes = kLogMagic.size();
  while (contents.whole_bytes < bytes.size()) {
    const uint64_t offset = contents.whole_bytes;
    const Frame next = frame_at(bytes, offset);
    if (!next.is_whole()) {
      if (whole_frame_after(bytes, offset)) return damaged(offset);
      contents.torn_bytes = bytes.size() - offset;
      break;
    }
    if (!may_follow(contents.records, next.record.type)) return damaged(offset);
    contents.records.push_back(next.record);
    contents.whole_bytes = next.end;
  }
  return contents;
}

}  // namespace evergrove::runtime
