// HOST:PORT, as users write it and sockets have it; HOST:FIRST-LAST, where any of some ports will
// do.
//
//   EVERGROVE_ASSIGN_OR_RETURN(HostPort place, parse_host_port("[::1]:7070"));
//   EVERGROVE_ASSIGN_OR_RETURN(PortRange places, parse_port_range("10.0.0.5:9500-9599"));
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

// Ports of one host; port_first 0 is any port of the system's choice.
struct PortRange {
  std::string host;
  uint16_t port_first = 0, port_last = 0;
};

// Reads HOST:PORT; an IPv6 address stands in brackets. invalid_input for anything else.
Result<HostPort> parse_host_port(std::string_view text);
// Reads HOST:PORT or HOST:FIRST-LAST.
Result<PortRange> parse_port_range(std::string_view text);
// The same, with brackets where they are needed.
std::string to_text(const HostPort& place);
std::string to_text(const PortRange& places);

// Whether nobody but this machine can reach the host: localhost, 127.0.0.0/8, ::1.
bool is_loopback(std::string_view host);
// Whether the host stands for all addresses of this machine: 0.0.0.0, ::.
bool is_wildcard(std::string_view host);
// The address that others probably reach this machine by: the first of an interface that is up
// and no loopback; 127.0.0.1 if there is none.
std::string first_address();

}  // namespace evergrove::runtime
