// AWS Signature Version 4 for S3: signs a request, so that the store knows who sends it.
//
// Pure, for tests: the time is given.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "evergrove/runtime/log_store_http.h"

namespace evergrove::runtime {

struct AwsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
};

// Adds the headers x-amz-* and Authorization. Requires: the target comes from escaped_path().
void sign(HttpRequest& request, const std::string& host, const std::string& region,
          const AwsCredentials& credentials, std::time_t now);

}  // namespace evergrove::runtime
