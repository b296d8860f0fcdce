// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/azure_signature.h"

#include <map>
#include <optional>

#include "evergrove/base/lower_case.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

constexpr const char* kApiVersion = "2021-12-02";

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

  const std::optional<std::string> key = from_base64(credentials.key);
  if (!key || key->empty()) {
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

  request.headers.emplace_back("Authorization", "SharedKey " + credentials.account + ":" +
                                                    base64(hmac_sha256(*key, to_sign)));
  return {};
}

}  // namespace evergrove::runtime
