// gRPC reconnects, retries and pings by itself if it is let; here it is not. A connection that has
// failed is to be seen, and dialled again by who knows why. Our own pings tell silence: those of
// gRPC are taken for an attack by its servers, which count them, and cannot be told not to.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_dialler.h"

#include <arrow/flight/client.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "evergrove/runtime/tls_credentials.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_sockets.h"
#include "evergrove/runtime/transport_status.h"

namespace evergrove::runtime {
namespace {

namespace flight = arrow::flight;

flight::FlightClientOptions client_options(const TransportOptions& options) {
  auto client = flight::FlightClientOptions::Defaults();
  client.tls_root_certs = options.tls_ca_pem;
  client.override_hostname = options.tls_server_name;
  if (options.tls_server_name.empty() && is_made_by_us(options.tls_ca_pem)) {
    client.override_hostname = kCredentialsName;
  }
  const int dial_ms = static_cast<int>(options.dial_max.count());
  client.generic_options = {
      {"grpc.use_local_subchannel_pool", 1},       // a socket for each connection
      {"grpc.min_reconnect_backoff_ms", dial_ms},  // which is the time to connect, too
      {"grpc.enable_retries", 0},
      {"grpc.enable_http_proxy", 0},
      {"grpc.service_config_disable_resolution", 1},
  };
  return client;
}

Result<std::unique_ptr<flight::FlightClient>> connect(const TransportOptions& options,
                                                      const HostPort& place) {
  const bool has_tls = !options.tls_ca_pem.empty();
  const std::string uri = (has_tls ? "grpc+tls://" : "grpc://") + to_text(place);
  const auto location = flight::Location::Parse(uri);
  if (!location.ok()) {
    return invalid_input("This is no address; give HOST:PORT", {{"address", to_text(place)}});
  }
  auto client = flight::FlightClient::Connect(*location, client_options(options));
  if (!client.ok()) {
    return invalid_input(
        "A connection could not be prepared; is the CA a PEM file?",
        {{"address", to_text(place)}, {"reason", first_line(client.status().message())}});
  }
  return std::move(client).ValueOrDie();
}

Status run(const TransportOptions& options, Connection& connection,
           const std::function<bool()>& is_stopped) {
  const std::string& address = connection.peer_address();
  EVERGROVE_ASSIGN_OR_RETURN(const HostPort place, parse_host_port(address));
  EVERGROVE_RETURN_IF_ERROR(
      probe(place.host, place.port, options.dial_max, is_stopped).with_context(address));
  EVERGROVE_ASSIGN_OR_RETURN(const auto client, connect(options, place));
  flight::FlightCallOptions call;
  if (!options.token.empty()) call.headers.emplace_back(kTokenHeader, kTokenStart + options.token);
  call.headers.emplace_back(kGreetingHeader,
                            encode_greeting({options.version, options.name, options.run}));
  const bool has_tls = !options.tls_ca_pem.empty();
  auto exchange = client->DoExchange(call, flight::FlightDescriptor::Command("evergrove"));
  if (!exchange.ok()) return why_a_server_ended(exchange.status(), address, has_tls);
  const auto [writer, reader] = std::pair(exchange->writer.get(), exchange->reader.get());
  FlightStream stream;
  stream.reader = reader;
  stream.writer = writer;
  stream.cut = [reader = reader] { reader->Cancel(); };
  stream.why = [&, writer = writer](const arrow::Status& status) {
    // An end without a word is explained by the call's status.
    return why_a_server_ended(status.ok() ? writer->Close() : status, address, has_tls);
  };
  connection.run(std::move(stream), Greeting());
  reader->Cancel();
  (void)writer->Close();
  return {};
}

}  // namespace

void run_dialled(const TransportOptions& options, Connection& connection,
                 const std::function<bool()>& is_stopped) {
  const Status status = run(options, connection, is_stopped);
  if (!status.ok()) connection.fail(status);
}

}  // namespace evergrove::runtime
