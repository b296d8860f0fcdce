// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/fingerprint.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <tbb/parallel_for.h>

#include <cstring>

#include "evergrove/base/sha256.h"

#define XXH_INLINE_ALL
#include <arrow/vendored/xxhash/xxhash.h>

namespace evergrove::source {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{64} << 20;
constexpr uint64_t kReadBytes = uint64_t{1} << 20;
constexpr uint64_t kSampleBytes = 16384;
constexpr uint64_t kSampleCount = 16;

// Reads exactly [offset, offset + byte_count).
Status read_range(arrow::io::RandomAccessFile& opened, const DataFile& file, uint64_t offset,
                  uint64_t byte_count, char* out) {
  const auto read_count = without_throwing([&] {
    return opened.ReadAt(static_cast<int64_t>(offset), static_cast<int64_t>(byte_count), out);
  });
  if (!read_count.ok()) return file_status(read_count.status(), file);
  if (static_cast<uint64_t>(*read_count) == byte_count) return {};
  return storage_error("A file became shorter while it was being read", {{"file", file.path}});
}

Status hash_piece(arrow::io::RandomAccessFile& opened, const DataFile& file, uint64_t piece,
                  XXH128_canonical_t& result) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  std::string buffer(std::min(kReadBytes, file.size_bytes), '\0');
  const uint64_t end = std::min(file.size_bytes, (piece + 1) * kPieceBytes);
  for (uint64_t offset = piece * kPieceBytes; offset < end; offset += buffer.size()) {
    const uint64_t byte_count = std::min<uint64_t>(buffer.size(), end - offset);
    EVERGROVE_RETURN_IF_ERROR(read_range(opened, file, offset, byte_count, buffer.data()));
    XXH3_128bits_update(&state, buffer.data(), byte_count);
  }
  XXH128_canonicalFromHash(&result, XXH3_128bits_digest(&state));
  return {};
}

}  // namespace

Result<std::string> fingerprint_content(const DataFile& file) {
  EVERGROVE_ASSIGN_OR_RETURN(const auto opened, open_file(file, FileAccess::read));
  const uint64_t piece_count = (file.size_bytes + kPieceBytes - 1) / kPieceBytes;
  std::vector<XXH128_canonical_t> hashes(piece_count);
  std::vector<Status> statuses(piece_count);
  tbb::parallel_for(uint64_t{0}, piece_count, [&](uint64_t piece) {
    statuses[piece] = hash_piece(*opened, file, piece, hashes[piece]);
  });
  for (const Status& status : statuses) EVERGROVE_RETURN_IF_ERROR(status);
  ContentHash whole;
  whole.update(hashes.data(), hashes.size() * sizeof(hashes[0]));
  return whole.hex();
}

Result<std::string> fingerprint_parquet(const DataFile& file) {
  if (file.is_local()) return fingerprint_content(file);
  EVERGROVE_ASSIGN_OR_RETURN(const auto opened, open_file(file, FileAccess::read));
  // A Parquet file ends with its footer, the footer's length (four bytes) and "PAR1".
  char tail[8] = {};
  if (file.size_bytes < sizeof(tail)) {
    return corrupt("A Parquet file is not complete", {{"file", file.path}});
  }
  EVERGROVE_RETURN_IF_ERROR(
      read_range(*opened, file, file.size_bytes - sizeof(tail), sizeof(tail), tail));
  uint32_t footer_bytes = 0;
  std::memcpy(&footer_bytes, tail, sizeof(footer_bytes));
  Sha256 sha;
  const auto add = [&](uint64_t offset, uint64_t byte_count) -> Status {
    std::string bytes(byte_count, '\0');
    EVERGROVE_RETURN_IF_ERROR(read_range(*opened, file, offset, byte_count, bytes.data()));
    sha.update(bytes);
    return {};
  };
  sha.update(std::to_string(file.size_bytes));
  const uint64_t end_bytes = std::min<uint64_t>(file.size_bytes, uint64_t{footer_bytes} + 8);
  EVERGROVE_RETURN_IF_ERROR(add(file.size_bytes - end_bytes, end_bytes));
  const uint64_t body_bytes = file.size_bytes - end_bytes;
  for (uint64_t i = 0; i < kSampleCount && body_bytes > 0; ++i) {
    const uint64_t offset = body_bytes / kSampleCount * i;
    EVERGROVE_RETURN_IF_ERROR(add(offset, std::min(kSampleBytes, body_bytes - offset)));
  }
  return sha.hex();
}

}  // namespace evergrove::source
