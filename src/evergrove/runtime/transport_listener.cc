// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_listener.h"

#include <arrow/flight/server.h>
#include <arrow/flight/server_middleware.h>

#include <mutex>
#include <set>
#include <utility>

#include "evergrove/base/sha256.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_sockets.h"
#include "evergrove/runtime/transport_status.h"

namespace evergrove::runtime {
namespace {

namespace flight = arrow::flight;

constexpr std::chrono::milliseconds kShutdownMax{300};

// The only value of a header; empty if it is missing or there several times.
std::string_view header_of(const flight::CallHeaders& headers, std::string_view name) {
  const auto [first, last] = headers.equal_range(name);
  if (first == last || std::next(first) != last) return {};
  return first->second;
}

class Gate : public flight::ServerMiddlewareFactory {
 public:
  Gate(const TransportOptions& options, std::function<void(const std::string&)> refuse)
      : options_(options), refuse_(std::move(refuse)) {}

  arrow::Status StartCall(const flight::CallInfo& info, const flight::ServerCallContext& context,
                          std::shared_ptr<flight::ServerMiddleware>*) override {
    const Status status = check(info, context.incoming_headers());
    if (status.ok()) return arrow::Status::OK();
    refuse_(peer_of_grpc(context.peer()) + " was refused: " + status.message());
    return to_flight(status);
  }

 private:
  Status check(const flight::CallInfo& info, const flight::CallHeaders& headers) const {
    const std::string_view token = header_of(headers, kTokenHeader);
    if (!options_.token.empty() && !is_same_secret(token, kTokenStart + options_.token)) {
      return invalid_input(
          token.empty() ? "A token is needed; give the run's by --token-file"
                        : "The token is not this run's; give by --token-file the one that it has");
    }
    if (info.method != flight::FlightMethod::DoExchange) {
      return unsupported("Nothing but a connection is to be had here");
    }
    const auto peer = decode_greeting(header_of(headers, kGreetingHeader), options_.version);
    if (!peer.ok() && peer.status().kind() == StatusKind::unsupported) {
      return unsupported(
          "This side's version of the protocol is older; update Evergrove here, or "
          "use there the version that is here",
          {{"version_max", std::to_string(options_.version)}});
    }
    if (!peer.ok()) return peer.status();
    if (!options_.run.empty() && !peer->run.empty() && peer->run != options_.run) {
      return invalid_input("This is another run; give the address of one of yours",
                           {{"run", options_.run}, {"your_run", peer->run}});
    }
    return {};
  }

  const TransportOptions& options_;
  const std::function<void(const std::string&)> refuse_;
};

}  // namespace

class Listener::Server : public flight::FlightServerBase {
 public:
  Server(const TransportOptions& options, ListenerHost host)
      : options_(options),
        host_(std::move(host)),
        strangers_(options_.unauthenticated_max, options_.unauthenticated_count_max) {}

  Status start() {
    EVERGROVE_ASSIGN_OR_RETURN(const HostPort place, parse_host_port(options_.listen));
    const bool has_tls = !options_.tls_cert_pem.empty();
    const std::string uri = (has_tls ? "grpc+tls://" : "grpc://") + to_text(place);
    const auto location = flight::Location::Parse(uri);
    if (!location.ok()) {
      return invalid_input("This cannot be listened on; give HOST:PORT",
                           {{"address", options_.listen}});
    }
    EVERGROVE_RETURN_IF_ERROR(check_can_listen(place.host, place.port));
    flight::FlightServerOptions options(*location);
    if (has_tls) options.tls_certificates = {{options_.tls_cert_pem, options_.tls_key_pem}};
    options.middleware.emplace_back("gate", std::make_shared<Gate>(options_, host_.refuse));
    const arrow::Status status = Init(options);
    if (status.ok()) return {};
    if (has_tls) {
      return invalid_input(
          "Certificate and key cannot be used; give --tls-cert and --tls-key as PEM "
          "files that belong together");
    }
    return storage_error("This cannot be listened on; give another host or port",
                         {{"address", options_.listen}, {"reason", first_line(status.message())}});
  }

  void stop() {
    shut_down_peers(static_cast<uint16_t>(port()), [](const std::string&) { return true; });
    const auto deadline = std::chrono::system_clock::now() + kShutdownMax;
    (void)Shutdown(&deadline);
    (void)Wait();
  }

  void look(std::chrono::steady_clock::time_point now) {
    const auto own_port = static_cast<uint16_t>(port());
    std::set<std::string> known;
    {
      const std::lock_guard lock(mutex_);
      known.insert(known_.begin(), known_.end());
    }
    const auto late = strangers_.look(now, accepted_peers(own_port), known);
    if (late.empty()) return;
    const std::set<std::string> cut(late.begin(), late.end());
    shut_down_peers(own_port, [&](const std::string& peer) { return cut.contains(peer); });
    for (const std::string& peer : cut) {
      host_.refuse(peer + " was cut off: it connected and did not say who it is");
    }
  }

  arrow::Status DoExchange(const flight::ServerCallContext& context,
                           std::unique_ptr<flight::FlightMessageReader> reader,
                           std::unique_ptr<flight::FlightMessageWriter> writer) override {
    const auto greeting =
        decode_greeting(header_of(context.incoming_headers(), kGreetingHeader), options_.version);
    if (!greeting.ok()) return to_flight(greeting.status());  // the gate has seen to it
    const std::string peer = peer_of_grpc(context.peer());
    {
      const std::lock_guard lock(mutex_);
      known_.insert(peer);
    }
    FlightStream stream;
    stream.reader = reader.get();
    stream.writer = writer.get();
    stream.cut = [own_port = static_cast<uint16_t>(port()), peer] {
      shut_down_peers(own_port, [&](const std::string& other) { return other == peer; });
    };
    stream.why = [&](const arrow::Status& status) { return why_a_client_ended(status, peer); };
    host_.accept(*greeting, peer, std::move(stream));
    const std::lock_guard lock(mutex_);
    known_.erase(known_.find(peer));
    return arrow::Status::OK();
  }

 private:
  const TransportOptions options_;
  const ListenerHost host_;
  Strangers strangers_;  // of the thread that calls look()
  std::mutex mutex_;
  std::multiset<std::string> known_;  // a client may have several calls on a connection
};

Listener::Listener() = default;

Listener::~Listener() {
  if (server_ != nullptr) server_->stop();
}

Result<std::unique_ptr<Listener>> Listener::open(const TransportOptions& options,
                                                 ListenerHost host) {
  EVERGROVE_RETURN_IF_ERROR(check_may_listen(options));
  raise_socket_limit();
  auto server = std::make_unique<Server>(options, std::move(host));
  EVERGROVE_RETURN_IF_ERROR(server->start());
  std::unique_ptr<Listener> listener(new Listener());
  listener->server_ = std::move(server);
  return listener;
}

uint16_t Listener::port() const { return static_cast<uint16_t>(server_->port()); }

void Listener::look_for_strangers(std::chrono::steady_clock::time_point now) { server_->look(now); }

Status check_may_listen(const TransportOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(const HostPort place, parse_host_port(options.listen));
  const bool has_tls = !options.tls_cert_pem.empty() && !options.tls_key_pem.empty();
  if (options.tls_cert_pem.empty() != options.tls_key_pem.empty()) {
    return invalid_input(
        "A certificate needs its key, and a key its certificate; give both by "
        "--tls-cert and --tls-key");
  }
  if (is_loopback(place.host) || (has_tls && !options.token.empty())) return {};
  return invalid_input(
      "To listen where other machines can connect needs TLS and a token, or anybody could join the "
      "run; `evergrove credentials --out DIR` makes both, for --tls-cert, --tls-key and "
      "--token-file",
      {{"listen", options.listen},
       {"tls", has_tls ? "yes" : "no"},
       {"token", options.token.empty() ? "no" : "yes"}});
}

bool is_same_secret(std::string_view a, std::string_view b) {
  // Of the hashes, so that the length does not show either.
  Sha256 left_hash;
  left_hash.update(a);
  Sha256 right_hash;
  right_hash.update(b);
  const Sha256::Digest left = left_hash.digest();
  const Sha256::Digest right = right_hash.digest();
  unsigned difference = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    difference |= static_cast<unsigned>(left[i] ^ right[i]);
  }
  return difference == 0;
}

}  // namespace evergrove::runtime
