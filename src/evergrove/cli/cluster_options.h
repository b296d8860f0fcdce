// ClusterOptions: what a user says about the processes of a run on several machines.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "evergrove/base/status.h"

namespace CLI {
class App;
}

namespace evergrove::cli {

struct ClusterOptions {
  std::string listen;
  std::string token_file;
  std::string tls_cert, tls_key, tls_ca;
  std::string status_listen;  // HOST:PORT of the status page; empty or kNoStatusPage: none
  std::string status_token_file;
};

inline constexpr const char* kNoStatusPage = "off";

// What the files of the options hold; empty where none was said. Refuses a `listen` that may not be
// listened on with them.
struct ClusterSecrets {
  std::string token, tls_cert_pem, tls_key_pem, tls_ca_pem, status_token;
};
Result<ClusterSecrets> read_secrets(const ClusterOptions& options);

}  // namespace evergrove::cli
