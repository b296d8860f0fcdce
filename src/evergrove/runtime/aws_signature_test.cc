// Signatures, by the example that Amazon publishes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/aws_signature.h"

#include <gtest/gtest.h>

#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

constexpr std::time_t kExampleTime = 1369353600;  // 2013-05-24 00:00:00 UTC

std::string header(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return "";
}

HttpRequest example() {
  HttpRequest request;
  request.method = "PUT";
  request.target = escaped_path("/test$file.text");
  request.headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  request.body = "Welcome to Amazon S3.";
  return request;
}

const AwsCredentials kExampleKey = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                                    .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                    .session_token = ""};

TEST(AwsSignature, IsThatOfThePublishedExample) {
  HttpRequest request = example();
  sign(request, "examplebucket.s3.amazonaws.com", "us-east-1", kExampleKey, kExampleTime);
  EXPECT_EQ(request.target, "/test%24file.text");
  EXPECT_EQ(header(request, "x-amz-date"), "20130524T000000Z");
  EXPECT_EQ(header(request, "Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(AwsSignature, CoversTokenHeadersHostAndBody) {
  HttpRequest plain = example();
  sign(plain, "host", "us-east-1", kExampleKey, kExampleTime);
  const auto differs = [&](HttpRequest request, const std::string& host,
                           const AwsCredentials& key) {
    sign(request, host, "us-east-1", key, kExampleTime);
    return header(request, "Authorization") != header(plain, "Authorization");
  };
  EXPECT_FALSE(differs(example(), "host", kExampleKey));
  EXPECT_TRUE(differs(example(), "other", kExampleKey));
  AwsCredentials with_token = kExampleKey;
  with_token.session_token = "token";
  EXPECT_TRUE(differs(example(), "host", with_token));
  HttpRequest other = example();
  other.body = "Welcome to Amazon S4.";
  EXPECT_TRUE(differs(other, "host", kExampleKey));
  other = example();
  other.headers.emplace_back("If-None-Match", "*");
  EXPECT_TRUE(differs(other, "host", kExampleKey));
}

TEST(AwsSignature, EscapesPathsAsS3Does) {
  EXPECT_EQ(escaped_path("/a b/c+d/\xc3\xa4~-_."), "/a%20b/c%2Bd/%C3%A4~-_.");
}

}  // namespace
}  // namespace evergrove::runtime
