// What requests to other services are signed and written with: HMAC, base64, escapes of URLs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace evergrove::runtime {

// The 32 bytes of HMAC-SHA256.
std::string hmac_sha256(std::string_view key, std::string_view text);

std::string base64(std::string_view bytes);
// Nothing if the text is no base64.
std::optional<std::string> from_base64(std::string_view text);

// All bytes but letters, digits, - . _ ~ and those of `kept` as %XX (RFC 3986, 2.1).
std::string percent_escaped(std::string_view text, std::string_view kept = "");
// The path of a request as it is sent and signed.
inline std::string escaped_path(std::string_view path) { return percent_escaped(path, "/"); }

}  // namespace evergrove::runtime
