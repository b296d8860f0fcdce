// ask_coordinator(): one question to a running coordinator, and its answer.
//
// Questions: "status" (the answer is that of snapshot_json()) and "drain NAME" (let a worker hand
// over and leave). The answer to what cannot be done is its reason, as invalid_input.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

inline constexpr char kQuestionTag = 'q';
inline constexpr char kAnswerTag = 'a';
inline constexpr char kRefusalTag = 'r';

struct ClientRequest {
  std::string coordinator;  // HOST:PORT
  std::string token;
  std::string tls_ca_pem;
  std::chrono::milliseconds patience{10'000};
};

Result<std::string> ask_coordinator(const ClientRequest& request, const std::string& question);

}  // namespace evergrove::runtime
