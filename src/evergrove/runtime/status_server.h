// StatusServer: a run's status page and metrics over HTTP, for browsers and Prometheus.
//
// Promise: nothing that anybody sends changes or slows the run. The server has a thread of its own
// that never waits for one client; the run only hands it a snapshot now and then. A connection is
// ended after kConnectionSeconds, and the oldest of more than kConnectionsMax at once, whatever it
// does. Beyond loopback it listens only with TLS and a token.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto server, StatusServer::open({.listen = "127.0.0.1:0"}));
//   print("Status page: " + server->url());
//   server->publish(snapshot);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/run_snapshot.h"

namespace evergrove::runtime {

struct StatusServerOptions {
  std::string listen;  // HOST:PORT, port 0 for any
  std::string token;   // who asks must have it; empty: nobody, and only on loopback
  std::string tls_cert_pem, tls_key_pem;  // used beyond loopback, where they must be
};

// Why the options may not listen as they say.
Status check_may_show(const StatusServerOptions& options);

class StatusServer {
 public:
  static Result<std::unique_ptr<StatusServer>> open(const StatusServerOptions& options);
  ~StatusServer();

  void publish(std::shared_ptr<const RunSnapshot> snapshot);
  // Where the page is, such as http://127.0.0.1:40001/.
  const std::string& url() const;

  static constexpr size_t kConnectionsMax = 64;
  static constexpr std::chrono::seconds kConnectionSeconds{10};

 private:
  class Thread;
  StatusServer();

  std::unique_ptr<Thread> thread_;
};

}  // namespace evergrove::runtime
