// HOST:PORT, as users write it and sockets have it.
//
//   EVERGROVE_ASSIGN_OR_RETURN(HostPort place, parse_host_port("[::1]:7070"));
//   if (!is_loopback(place.host)) ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

struct HostPort {
  std::string host;  // without the brackets of an IPv6 address
  uint16_t port = 0;
};

// Reads HOST:PORT; an IPv6 address stands in brackets. invalid_input for anything else.
Result<HostPort> parse_host_port(std::string_view text);
// The same, with brackets where they are needed.
std::string to_text(const HostPort& place);

// Whether nobody but this machine can reach the host: localhost, 127.0.0.0/8, ::1.
bool is_loopback(std::string_view host);
// Whether the host stands for all addresses of this machine: 0.0.0.0, ::.
bool is_wildcard(std::string_view host);
// The address that others probably reach this machine by: the first of an interface that is up
// and no loopback; 127.0.0.1 if there is none.
std::string first_address();

}  // namespace evergrove::runtime
