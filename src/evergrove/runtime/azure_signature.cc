// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/azure_signature.h"

#include <mbedtls/base64.h>
#include <mbedtls/md.h>

#include <map>
#include <vector>

#include "evergrove/base/check.h"
#include "evergrove/base/lower_case.h"

namespace evergrove::runtime {
namespace {

constexpr const char* kApiVersion = "2021-12-02";

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string value_of(const HttpRequest& request, std::string_view name) {
  for (const auto& [each, value] : request.headers) {
    if (lower_case(each) == name) return value;
  }
  return "";
}

}  // namespace

Status sign_azure(HttpRequest& request, const AzureCredentials& credentials, std::time_t now) {
  std::tm utc = {};
  ::gmtime_r(&now, &utc);
  char date[40] = {};
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  request.headers.emplace_back("x-ms-date", date);
  request.headers.emplace_back("x-ms-version", kApiVersion);

  std::vector<unsigned char> key(credentials.key.size());
  size_t key_size = 0;
  if (mbedtls_base64_decode(key.data(), key.size(), &key_size, bytes_of(credentials.key),
                            credentials.key.size()) != 0 ||
      key_size == 0) {
    return invalid_input(
        "The Azure account's key is not as Azure gives it; check AZURE_STORAGE_KEY");
  }
  // Length is left empty where there is nothing to send.
  std::string to_sign = request.method + "\n\n\n" +
                        (request.body.empty() ? "" : std::to_string(request.body.size())) + "\n\n" +
                        value_of(request, "content-type") + "\n\n\n\n" +
                        value_of(request, "if-none-match") + "\n\n\n";
  std::map<std::string, std::string> own;
  for (const auto& [name, value] : request.headers) {
    if (lower_case(name).starts_with("x-ms-")) own[lower_case(name)] = value;
  }
  for (const auto& [name, value] : own) to_sign.append(name).append(":").append(value).append("\n");
  to_sign += "/" + credentials.account + request.target;

  unsigned char code[32];
  const auto* sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
  CHECK(mbedtls_md_hmac(sha256, key.data(), key_size, bytes_of(to_sign), to_sign.size(), code) ==
        0);
  unsigned char signature[64];
  size_t size = 0;
  CHECK(mbedtls_base64_encode(signature, sizeof signature, &size, code, sizeof code) == 0);
  request.headers.emplace_back("Authorization",
                               "SharedKey " + credentials.account + ":" +
                                   std::string(reinterpret_cast<const char*>(signature), size));
  return {};
}

}  // namespace evergrove::runtime
