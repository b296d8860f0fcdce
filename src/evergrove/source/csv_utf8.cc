// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace evergrove::source {
namespace {

// The length of the sequence at the front; 0 when it is none. Requires: bytes is not empty.
size_t sequence_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t first = at(0);
  if (first < 0x80) return 1;
  // The second byte's range is narrower where a longer form, a surrogate or too large a number
  // would begin.
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  }
  if (length == 0 || bytes.size() < length || at(1) < low || at(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool is_ascii(std::string_view bytes) {
  uint8_t all = 0;
  for (char c : bytes) all |= static_cast<uint8_t>(c);
  return all < 0x80;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string shown(std::string_view bytes) {
  constexpr size_t kShownMax = 40;
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "\"";
  while (!bytes.empty() && text.size() < kShownMax) {
    const size_t length = sequence_length(bytes);
    const auto byte = static_cast<uint8_t>(bytes[0]);
    if (length == 0 || byte < 0x20 || byte == 0x7f) {
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      bytes.remove_prefix(1);
    } else {
      text.append(bytes.substr(0, length));
      bytes.remove_prefix(length);
    }
  }
  return text + (bytes.empty() ? "\"" : "...\"");
}

}  // namespace evergrove::source
