// ContentHash: the XXH3 hash (128 bits) of bytes, to see whether they are still the same.
//
// It finds changes, it does not withstand forgery. One owner, one thread at a time.
//
//   ContentHash hash;
//   hash.update(bytes);
//   std::string digits = hash.hex();   // 32 of them
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace evergrove::source {

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

}  // namespace evergrove::source
