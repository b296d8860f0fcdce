// Azure's Shared Key: signs a request to Blob Storage with the account's key.
//
// HMAC-SHA256 of the request in canonical form:
// https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key
// Pure, for tests: the time is given.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/log_store_http.h"

namespace evergrove::runtime {

struct AzureCredentials {
  std::string account;
  std::string key;  // base64, as Azure shows it
};

// Adds the headers x-ms-date, x-ms-version and Authorization. Requires: the target is a path that
// is escaped already, without a query. Refuses a key that is no base64.
Status sign_azure(HttpRequest& request, const AzureCredentials& credentials, std::time_t now);

}  // namespace evergrove::runtime
