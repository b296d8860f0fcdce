// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/signing.h"

#include <mbedtls/base64.h>
#include <mbedtls/md.h>

#include <cstdint>

#include "evergrove/base/check.h"

namespace evergrove::runtime {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  const auto* sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
  std::string code(32, 0);
  CHECK(mbedtls_md_hmac(sha256, bytes_of(key), key.size(), bytes_of(text), text.size(),
                        bytes_of(code)) == 0);
  return code;
}

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, 0);
  size_t size = 0;
  CHECK(mbedtls_base64_encode(bytes_of(text), text.size(), &size, bytes_of(bytes), bytes.size()) ==
        0);
  text.resize(size);
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size(), 0);
  size_t size = 0;
  const int answer =
      mbedtls_base64_decode(bytes_of(bytes), bytes.size(), &size, bytes_of(text), text.size());
  if (answer != 0) return std::nullopt;
  bytes.resize(size);
  return bytes;
}

std::string percent_escaped(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("-._~").find(c) != std::string_view::npos ||
                          kept.find(c) != std::string_view::npos;
    if (is_plain) {
      result += c;
    } else {
      result += '%';
      result += kDigits[static_cast<uint8_t>(c) >> 4];
      result += kDigits[static_cast<uint8_t>(c) & 15];
    }
  }
  return result;
}

}  // namespace evergrove::runtime
