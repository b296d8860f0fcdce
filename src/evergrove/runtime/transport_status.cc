// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_status.h"

#include <arrow/flight/types.h>
#include <arrow/status.h>

#include <array>
#include <utility>

namespace evergrove::runtime {
namespace {

using arrow::flight::FlightStatusCode;
using arrow::flight::FlightStatusDetail;

constexpr std::string_view kRefusal = "evergrove:";  // then the kind's name, a colon, the sentence
constexpr size_t kLineMax = 600;

constexpr std::array kRefusalKinds = {StatusKind::invalid_input, StatusKind::unsupported,
                                      StatusKind::corrupt, StatusKind::storage};

// The Status that to_flight() was given, if it was given one.
Status refusal_of(std::string_view text, const std::string& address) {
  for (StatusKind kind : kRefusalKinds) {
    const std::string start = std::string(kRefusal) + std::string(kind_name(kind)) + ":";
    if (!text.starts_with(start)) continue;
    return Status(kind, first_line(text.substr(start.size())))
        .with_context(address + " refuses us");
  }
  return {};
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Status tls_failure(std::string_view words, const std::string& address) {
  if (contains(words, "CERTIFICATE_VERIFY_FAILED") ||
      contains(words, "certificate verify failed")) {
    return invalid_input(
        "The peer's certificate is not signed by the CA that was given; give by --tls-ca the "
        "ca.pem that was made with it",
        {{"address", address}});
  }
  if (contains(words, "Hostname Verification") || contains(words, "Peer name") ||
      contains(words, "hostname")) {
    return invalid_input(
        "The peer's certificate is for another host; make one for this host by `evergrove "
        "credentials --host NAME`",
        {{"address", address}});
  }
  if (contains(words, "WRONG_VERSION_NUMBER") || contains(words, "wrong version number")) {
    return invalid_input(
        "The peer does not speak TLS; leave out --tls-ca, or start it with "
        "--tls-cert and --tls-key",
        {{"address", address}});
  }
  return {};
}

}  // namespace

std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  std::string line;
  for (char c : text.substr(0, kLineMax)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  if (text.size() > kLineMax) line += "...";
  return line;
}

arrow::Status to_flight(const Status& status) {
  return arrow::flight::MakeFlightError(
      FlightStatusCode::Unauthenticated, status.message(),
      std::string(kRefusal) + std::string(kind_name(status.kind())) + ":" + status.message());
}

Status why_a_client_ended(const arrow::Status& status, const std::string& address) {
  // What is no failure of gRPC's is one of Arrow's reading: bytes that are none of ours.
  const bool is_network = status.ok() || FlightStatusDetail::UnwrapStatus(status) != nullptr ||
                          status.IsIOError() || status.IsCancelled();
  if (!is_network) {
    return corrupt("The peer sent what is no message",
                   {{"address", address}, {"reason", first_line(status.message())}});
  }
  return storage_error("The peer ended without a goodbye; it was killed, or the network is cut",
                       {{"address", address}});
}

Status why_a_server_ended(const arrow::Status& status, const std::string& address, bool has_tls) {
  const auto detail = FlightStatusDetail::UnwrapStatus(status);
  if (detail == nullptr) return why_a_client_ended(status, address);
  if (Status refusal = refusal_of(detail->extra_info(), address); !refusal.ok()) return refusal;
  const std::string& words = status.message();
  if (Status failure = tls_failure(words, address); !failure.ok()) return failure;
  const char* sentence =
      has_tls ? "The peer is gone, or the network is cut"
              : "The peer is gone, or the network is cut, or it speaks TLS, for which --tls-ca is "
                "to be given";
  return storage_error(sentence, {{"address", address}, {"reason", first_line(words)}});
}

}  // namespace evergrove::runtime
