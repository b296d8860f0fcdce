// What Flight and gRPC say of a failure, as a Status that says what to do, and the other way.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace arrow {
class Status;
}

namespace evergrove::runtime {

// Headers of a call, by which a dialler says who it is.
inline constexpr const char* kTokenHeader = "authorization";
inline constexpr const char* kTokenStart = "Bearer ";
inline constexpr const char* kGreetingHeader = "evergrove-greeting-bin";  // of any bytes

// The refusal that a client is to read; why_a_server_ended() gives the very Status back.
arrow::Status to_flight(const Status& status);
// What it means that the other end's stream has ended, by a failure or (ok) without a word.
Status why_a_client_ended(const arrow::Status& status, const std::string& address);
Status why_a_server_ended(const arrow::Status& status, const std::string& address, bool has_tls);

// The beginning of what others have written, as one line that a terminal may show.
std::string first_line(std::string_view text);

}  // namespace evergrove::runtime
