// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/aws_signature.h"

#include <map>

#include "evergrove/base/hex.h"
#include "evergrove/base/lower_case.h"
#include "evergrove/base/sha256.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

std::string hex_of(std::string_view bytes) {
  return hex({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace

void sign(HttpRequest& request, const std::string& host, const std::string& region,
          const AwsCredentials& credentials, std::time_t now) {
  std::tm utc = {};
  ::gmtime_r(&now, &utc);
  char time_text[32] = {};
  std::strftime(time_text, sizeof time_text, "%Y%m%dT%H%M%SZ", &utc);
  const std::string time = time_text;
  const std::string day = time.substr(0, 8);
  const std::string body_digest = sha256_hex(request.body);
  request.headers.emplace_back("x-amz-content-sha256", body_digest);
  request.headers.emplace_back("x-amz-date", time);
  if (!credentials.session_token.empty()) {
    request.headers.emplace_back("x-amz-security-token", credentials.session_token);
  }
  std::map<std::string, std::string> signed_headers = {{"host", host}};
  for (const auto& [name, value] : request.headers) signed_headers[lower_case(name)] = value;
  std::string header_lines;
  std::string names;
  for (const auto& [name, value] : signed_headers) {
    header_lines += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string canonical = request.method + "\n" + request.target + "\n\n" + header_lines +
                                "\n" + names + "\n" + body_digest;
  const std::string scope = day + "/" + region + "/s3/aws4_request";
  const std::string to_sign =
      "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
  std::string key = "AWS4" + credentials.secret_key;
  for (const std::string& part : {day, region, std::string("s3"), std::string("aws4_request")}) {
    key = hmac_sha256(key, part);
  }
  request.headers.emplace_back(
      "Authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope +
                           ", SignedHeaders=" + names +
                           ", Signature=" + hex_of(hmac_sha256(key, to_sign)));
}

}  // namespace evergrove::runtime
