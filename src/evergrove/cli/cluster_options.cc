// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/cluster_options.h"

#include <fstream>
#include <sstream>

#include "evergrove/runtime/tls_credentials.h"
#include "evergrove/runtime/transport_listener.h"

namespace evergrove::cli {
namespace {

Status read_pem(const std::string& path, std::string& to) {
  if (path.empty()) return {};
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) {
    return not_found("The certificate or key could not be read", {{"file", path}});
  }
  to = text.str();
  return {};
}

}  // namespace

Result<ClusterSecrets> read_secrets(const ClusterOptions& options) {
  ClusterSecrets secrets;
  if (!options.token_file.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(secrets.token, runtime::read_token_file(options.token_file));
  }
  if (!options.status_token_file.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(secrets.status_token,
                               runtime::read_token_file(options.status_token_file));
  }
  EVERGROVE_RETURN_IF_ERROR(read_pem(options.tls_cert, secrets.tls_cert_pem));
  EVERGROVE_RETURN_IF_ERROR(read_pem(options.tls_key, secrets.tls_key_pem));
  EVERGROVE_RETURN_IF_ERROR(read_pem(options.tls_ca, secrets.tls_ca_pem));
  if (options.listen.empty()) return secrets;
  // Now, and not when the data has been looked through.
  runtime::TransportOptions transport;
  transport.listen = options.listen;
  transport.token = secrets.token;
  transport.tls_cert_pem = secrets.tls_cert_pem;
  transport.tls_key_pem = secrets.tls_key_pem;
  transport.tls_ca_pem = secrets.tls_ca_pem;
  EVERGROVE_RETURN_IF_ERROR(runtime::check_may_listen(transport));
  return secrets;
}

}  // namespace evergrove::cli
