// Credentials of a run: a certificate that its processes trust, and a token that they share.
//
// The CA signs this one certificate, and its key is thrown away: who trusts the CA trusts whoever
// has the certificate's key, on whatever machine, so that machines may come and go without a
// certificate for each. The token is 32 bytes of the system's randomness. Secrets are written to
// files that only their owner may read, and are never printed.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const Credentials credentials, make_credentials({"10.0.0.7"}));
//   EVERGROVE_RETURN_IF_ERROR(write_credentials(credentials, "secrets"));
//   EVERGROVE_ASSIGN_OR_RETURN(options.token, read_token_file("secrets/token"));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

// A name that every certificate of ours has, and that is checked in place of the host's.
inline constexpr const char* kCredentialsName = "evergrove";

struct Credentials {
  std::string cert_pem;
  std::string key_pem;
  std::string ca_pem;
  std::string token;  // 64 hex digits
};

// A token alone, for processes of one machine.
Result<std::string> make_token();
// Makes new ones. The certificate is for kCredentialsName, localhost and `hosts`: names or
// addresses, for clients that are not ours, such as a browser.
Result<Credentials> make_credentials(const std::vector<std::string>& hosts);
// Writes cert.pem, key.pem, ca.pem and token into the folder, which is made if need be;
// invalid_input if one of them is there.
Status write_credentials(const Credentials& credentials, const std::string& folder);
// Reads a token; invalid_input if it is empty, not one line of visible characters, or if others
// than the owner may read the file.
Result<std::string> read_token_file(const std::string& path);
// Whether the PEM is a CA of make_credentials().
bool is_made_by_us(std::string_view ca_pem);

}  // namespace evergrove::runtime
