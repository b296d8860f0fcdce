// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace evergrove::runtime {
namespace {

bool parse_ipv4(std::string_view host, in_addr& address) {
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

bool parse_ipv6(std::string_view host, in6_addr& address) {
  return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool is_host(std::string_view host, bool in_brackets) {
  in6_addr six;
  if (in_brackets) return parse_ipv6(host, six);
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, is_host_character);
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const bool in_brackets = text.starts_with("[");
  const size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, std::min(colon, text.size()));
  const bool is_closed = !in_brackets || (host.size() > 2 && host.ends_with("]"));
  if (in_brackets && is_closed) host = host.substr(1, host.size() - 2);
  HostPort place{std::string(host), 0};
  bool is_port = false;
  if (colon != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, place.port);
    is_port = error == std::errc() && stop == end;
  }
  if (!is_closed || !is_port || !is_host(host, in_brackets)) {
    return invalid_input("An address is HOST:PORT, as 10.0.0.7:7070 or [::1]:7070; give one so",
                         {{"address", std::string(text.substr(0, 300))}});
  }
  return place;
}

Result<PortRange> parse_port_range(std::string_view text) {
  const size_t dash = text.rfind('-');
  const size_t colon = text.rfind(':');
  const bool is_range = dash != std::string_view::npos && colon != std::string_view::npos &&
                        dash > colon;  // a host's name may have a dash
  EVERGROVE_ASSIGN_OR_RETURN(const HostPort place,
                             parse_host_port(text.substr(0, is_range ? dash : text.size())));
  PortRange places{place.host, place.port, place.port};
  if (!is_range) return places;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + dash + 1, end, places.port_last);
  if (error != std::errc() || stop != end || place.port == 0 || places.port_last < place.port) {
    return invalid_input("A range of ports is HOST:FIRST-LAST, as 10.0.0.7:9500-9599; give one so",
                         {{"address", std::string(text.substr(0, 300))}});
  }
  return places;
}

std::string to_text(const HostPort& place) {
  const bool is_ipv6 = place.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + place.host + "]" : place.host) + ":" + std::to_string(place.port);
}

std::string to_text(const PortRange& places) {
  const std::string first = to_text(HostPort{places.host, places.port_first});
  return places.port_last == places.port_first ? first
                                               : first + "-" + std::to_string(places.port_last);
}

bool is_loopback(std::string_view host) {
  in_addr four;
  if (parse_ipv4(host, four)) return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six;
  if (parse_ipv6(host, six)) return IN6_IS_ADDR_LOOPBACK(&six);
  return host == "localhost";
}

bool is_wildcard(std::string_view host) {
  in_addr four;
  if (parse_ipv4(host, four)) return four.s_addr == 0;
  in6_addr six;
  return parse_ipv6(host, six) && IN6_IS_ADDR_UNSPECIFIED(&six);
}

std::string first_address() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "127.0.0.1";
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, freeifaddrs);
  std::string found;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    const bool is_up = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!is_up || one->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* four = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
      return text;
    }
    if (one->ifa_addr->sa_family == AF_INET6 && found.empty()) {
      const auto* six = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)) continue;  // useless without its interface
      inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
      found = text;
    }
  }
  return found.empty() ? "127.0.0.1" : found;
}

}  // namespace evergrove::runtime
