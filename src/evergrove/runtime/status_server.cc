// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/status_server.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <vector>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/status_connection.h"
#include "evergrove/runtime/status_site.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_sockets.h"
#include "evergrove/runtime/transport_tls.h"

namespace evergrove::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPauseWithoutSockets{200};

}  // namespace

Status check_may_show(const StatusServerOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(const HostPort place, parse_host_port(options.listen));
  const bool has_tls = !options.tls_cert_pem.empty() && !options.tls_key_pem.empty();
  if (is_loopback(place.host) || (has_tls && !options.token.empty())) return {};
  return invalid_input(
      "To show the status where other machines can connect needs TLS and a token; give --tls-cert, "
      "--tls-key and, for those who may look but not join the run, a --status-token-file: "
      "`evergrove "
      "credentials --out DIR` makes such files",
      {{"status-listen", options.listen},
       {"tls", has_tls ? "yes" : "no"},
       {"token", options.token.empty() ? "no" : "yes"}});
}

class StatusServer::Thread {
 public:
  Thread(ListeningSocket listening, std::unique_ptr<TransportTls> tls, std::string token)
      : listener_(std::move(listening)),
        tls_(std::move(tls)),
        site(std::move(token)),
        thread_([this] { run(); }) {}
  ~Thread() {
    is_stopping_ = true;
    wake_.call();
    thread_.join();
  }

 private:
  struct Guest {
    StatusConnection connection;
    Clock::time_point end;
  };

  void run() {
    while (!is_stopping_) {
      wait();
      const Clock::time_point now = Clock::now();
      if (accepts_at_ <= now) accept(now);
      // A step that has nothing to do is one call that says so.
      guests_.remove_if(
          [&](Guest& guest) { return now >= guest.end || !guest.connection.advance(); });
    }
  }

  void wait() {
    const Clock::time_point now = Clock::now();
    Clock::time_point until = now + kConnectionSeconds;
    std::vector<pollfd> waited = {{wake_.get(), POLLIN, 0}};
    if (accepts_at_ <= now) {
      waited.push_back({listener_.socket.get(), POLLIN, 0});
    } else {
      until = std::min(until, accepts_at_);
    }
    for (const Guest& guest : guests_) {
      waited.push_back({guest.connection.socket(), guest.connection.events(), 0});
      until = std::min(until, guest.end);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    ::poll(waited.data(), waited.size(), static_cast<int>(std::max<int64_t>(0, left.count())));
  }

  void accept(Clock::time_point now) {
    while (!is_stopping_) {
      Descriptor socket(
          ::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket.is_open()) {
        // Out of descriptors: the run needs them more than a page does.
        const bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
        if (is_short) accepts_at_ = now + kPauseWithoutSockets;
        return;
      }
      Result<std::unique_ptr<TransportStream>> stream =
          tls_ ? tls_->stream(std::move(socket), "") : plain_transport_stream(std::move(socket));
      if (!stream.ok()) continue;
      guests_.push_back(
          {StatusConnection(std::move(stream).value(),
                            [this](const StatusRequest& request) { return site.answer(request); }),
           now + kConnectionSeconds});
      if (guests_.size() > kConnectionsMax) guests_.pop_front();
    }
  }

  ListeningSocket listener_;
  std::unique_ptr<TransportTls> tls_;
  WakeUp wake_;
  Clock::time_point accepts_at_{};
  std::list<Guest> guests_;  // the oldest first
  std::atomic<bool> is_stopping_ = false;

 public:
  StatusSite site;
  std::string url;

 private:
  std::thread thread_;  // last: it uses all the others
};

StatusServer::StatusServer() = default;
StatusServer::~StatusServer() = default;

Result<std::unique_ptr<StatusServer>> StatusServer::open(const StatusServerOptions& options) {
  EVERGROVE_RETURN_IF_ERROR(check_may_show(options));
  EVERGROVE_ASSIGN_OR_RETURN(HostPort place, parse_host_port(options.listen));
  std::unique_ptr<TransportTls> tls;
  if (!is_loopback(place.host)) {
    EVERGROVE_ASSIGN_OR_RETURN(
        tls, TransportTls::of_listener(options.tls_cert_pem, options.tls_key_pem));
  }
  Result<ListeningSocket> made = listen_on({place.host, place.port, place.port});
  if (!made.ok()) return made.status().with_context("The status page");
  ListeningSocket listening = std::move(made).value();
  place.port = listening.port;
  if (is_wildcard(place.host)) place.host = first_address();
  const std::string scheme = tls ? "https://" : "http://";
  std::unique_ptr<StatusServer> server(new StatusServer());
  server->thread_ = std::make_unique<Thread>(std::move(listening), std::move(tls), options.token);
  server->thread_->url = scheme + to_text(place) + "/";
  return server;
}

void StatusServer::publish(std::shared_ptr<const RunSnapshot> snapshot) {
  thread_->site.publish(std::move(snapshot));
}

const std::string& StatusServer::url() const { return thread_->url; }

}  // namespace evergrove::runtime
