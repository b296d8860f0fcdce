// SHA-256 (FIPS 180-4), for digests and fingerprints.
//
//   Sha256 sha;
//   sha.update(bytes);
//   std::string digest = sha.hex();   // 64 hex digits
//
// One owner, one thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace evergrove {

class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  void update(const void* data, size_t byte_count);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  // Ends the message; the object must not be used afterwards.
  Digest digest();
  std::string hex();

 private:
  void block(const uint8_t* data);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> buffer_ = {};
  uint64_t byte_count_ = 0;
};

std::string sha256_hex(std::string_view bytes);

}  // namespace evergrove
