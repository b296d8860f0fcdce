// Fingerprints: whether content is still the content that was trained on.
//
// A fingerprint is the XXH3 hash (128 bits, as 32 hex digits) of what is hashed, of all of it for
// files at hand. It finds changes, it does not withstand forgery. A Parquet file in an object store
// is not fetched whole for it: its size, its footer (where every column chunk's place, size and
// statistics are) and ranges spread over it stand for it, by SHA-256.
//
//   ContentHash hash;
//   hash.update(bytes);
//   std::string fingerprint = hash.hex();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/source/data_file.h"

namespace evergrove::source {

// One owner, one thread at a time.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;

  void update(const void* bytes, size_t byte_count);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// 64 bits of the same hash, for short texts.
uint64_t text_hash(std::string_view text);

// Hashes all of the file, pieces of 64 MiB in parallel; the result is the hash of their hashes.
Result<std::string> fingerprint_content(const DataFile& file);
// Local files by content, others by size, footer and samples.
Result<std::string> fingerprint_parquet(const DataFile& file);

}  // namespace evergrove::source
