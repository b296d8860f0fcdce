// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cluster_client.h"

#include "evergrove/runtime/event_queue.h"
#include "evergrove/runtime/transport.h"

namespace evergrove::runtime {

Result<std::string> ask_coordinator(const ClientRequest& request, const std::string& question) {
  EventQueue<TransportEvent> events;
  TransportOptions options;
  options.token = request.token;
  options.tls_ca_pem = request.tls_ca_pem;
  options.name = "client";
  EVERGROVE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Transport> transport,
      Transport::open(options, [&](TransportEvent event) { events.push(std::move(event)); }));
  const ConnectionId connection = transport->dial(request.coordinator);
  const auto until = std::chrono::steady_clock::now() + request.patience;
  while (std::optional<TransportEvent> event = events.pop(until)) {
    if (std::holds_alternative<Opened>(*event)) {
      transport->send(connection, kQuestionTag + question);
    } else if (const auto* closed = std::get_if<Closed>(&*event)) {
      if (!closed->why.ok()) return closed->why;
      break;
    } else if (const auto* received = std::get_if<Received>(&*event)) {
      const std::string_view bytes = received->bytes.view;
      if (bytes.empty()) continue;
      if (bytes[0] == kAnswerTag) return std::string(bytes.substr(1));
      if (bytes[0] == kRefusalTag) return invalid_input(bytes.substr(1));
    }
  }
  return storage_error("The coordinator did not answer; is it running, and is the address right?",
                       {{"coordinator", request.coordinator}});
}

}  // namespace evergrove::runtime
