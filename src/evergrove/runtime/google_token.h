// GoogleToken: the access token with which Google's services are asked, kept until it ends.
//
// From where Google's own tools have it, in this order: the file that
// GOOGLE_APPLICATION_CREDENTIALS names, or gcloud's application_default_credentials.json (a service
// account, whose key signs an assertion that a token is given for, or a user's refresh token); else
// the metadata server of the machine. https://google.aip.dev/auth/4110, RFC 7523. Many threads may
// use one at once.
//
//   GoogleToken token(from_environment());
//   EVERGROVE_ASSIGN_OR_RETURN(std::string bearer, token.get(seconds(10)));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

// Where tokens come from.
struct GoogleIdentity {
  enum Kind : uint8_t { machine, service_account, user };
  Kind kind = machine;
  std::string token_url;                                // that tokens are asked of
  std::string email, private_key_pem, key_id;           // service_account
  std::string client_id, client_secret, refresh_token;  // user
};

// Reads a credentials file's JSON. Refuses other kinds (workload identity federation), and a
// token_uri that is neither https nor of this machine: it is sent what opens the account.
Result<GoogleIdentity> parse_google_credentials(std::string_view json);
// Refuses a file that is named and cannot be read.
Result<GoogleIdentity> google_identity_of_environment();

// The assertion of a service account, valid for an hour from now, for reading and writing storage.
Result<std::string> google_assertion(const GoogleIdentity& identity, std::time_t now);

class GoogleToken {
 public:
  explicit GoogleToken(GoogleIdentity identity) : identity_(std::move(identity)) {}
  // Returns storage for what may pass, such as a server that does not answer.
  Result<std::string> get(std::chrono::milliseconds limit);

 private:
  GoogleIdentity identity_;
  std::mutex mutex_;
  std::string token_;
  std::chrono::steady_clock::time_point ends_;
};

}  // namespace evergrove::runtime
