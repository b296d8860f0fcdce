// Signatures, by one that Python's hmac made of the text that Azure's documentation asks for.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/azure_signature.h"

#include <gtest/gtest.h>

namespace evergrove::runtime {
namespace {

constexpr std::time_t kTime = 1369353600;             // 2013-05-24 00:00:00 UTC
constexpr const char* kKey = "YSBrZXkgb2Ygbm8gdXNl";  // "a key of no use"

HttpRequest example() {
  HttpRequest request;
  request.method = "PUT";
  request.target = "/logs/run%2B1/records/0";
  request.headers = {{"If-None-Match", "*"},
                     {"Content-Type", "application/octet-stream"},
                     {"x-ms-blob-type", "BlockBlob"}};
  request.body = "bytes";
  return request;
}

std::string header(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(AzureSignature, IsOfTheRequestInCanonicalForm) {
  HttpRequest request = example();
  ASSERT_TRUE(sign_azure(request, {"shop", kKey}, kTime).ok());
  EXPECT_EQ(header(request, "x-ms-date"), "Fri, 24 May 2013 00:00:00 GMT");
  EXPECT_EQ(header(request, "Authorization"),
            "SharedKey shop:J5I0saXaijTEYrBMl7dTFHKu97MyFkTzi+KMEYOL1pw=");
}

TEST(AzureSignature, IsAnotherForAnotherBodyLengthAccountAndPlace) {
  HttpRequest first = example();
  ASSERT_TRUE(sign_azure(first, {"shop", kKey}, kTime).ok());
  for (int change = 0; change < 3; ++change) {
    HttpRequest other = example();
    if (change == 0) other.body = "longer bytes";
    if (change == 1) other.target += "0";
    ASSERT_TRUE(sign_azure(other, {change == 2 ? "shop2" : "shop", kKey}, kTime).ok());
    EXPECT_NE(header(first, "Authorization").substr(16), header(other, "Authorization").substr(16));
  }
}

TEST(AzureSignature, RefusesAKeyThatIsNone) {
  for (const char* key : {"", "no base64!", "abc"}) {
    HttpRequest request = example();
    const Status status = sign_azure(request, {"shop", key}, kTime);
    EXPECT_EQ(status.kind(), StatusKind::invalid_input) << key;
    if (*key == 0) continue;
    EXPECT_EQ(status.message().find(key), std::string::npos) << "it is a secret";
  }
}

}  // namespace
}  // namespace evergrove::runtime
