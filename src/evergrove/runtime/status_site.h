// StatusSite: what is answered to a request for a run's status; no sockets.
//
// GET / is a page, /status.json and /metrics are the run's snapshot, /healthz says ok. Nothing can
// be changed by a request. With a token, all but /healthz needs it, as a bearer's or as the
// password of Basic authentication, which browsers ask for. Without one, requests whose Host is
// not this machine's loopback are refused, so that a web page elsewhere cannot have a browser here
// read the run (DNS rebinding).
//
// publish() is called by the run's thread, answer() by the server's; each may wait for the other
// as long as it takes to copy a pointer.
//
//   StatusSite site(/*token=*/"");
//   site.publish(snapshot);
//   StatusAnswer answer = site.answer({"GET", "/metrics", "localhost:9090", ""});
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evergrove/runtime/run_snapshot.h"

namespace evergrove::runtime {

struct StatusRequest {
  std::string method;
  std::string target;  // with its query, which means nothing
  std::string host;
  std::string authorization;
};

struct StatusAnswer {
  unsigned code = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

class StatusSite {
 public:
  explicit StatusSite(std::string token);

  void publish(std::shared_ptr<const RunSnapshot> snapshot);
  StatusAnswer answer(const StatusRequest& request);
  // To a request that was not understood, or not wanted, before it was read to its end.
  static StatusAnswer refusal(unsigned code, const std::string& reason);

 private:
  StatusAnswer page() const;
  bool may_ask(const StatusRequest& request) const;

  const std::string token_;
  const std::string policy_;  // what the page may do in a browser
  std::mutex mutex_;
  std::shared_ptr<const RunSnapshot> snapshot_;
  // Of the server's thread: the last JSON and what it was made from.
  std::shared_ptr<const RunSnapshot> json_of_;
  std::string json_;
};

// The page, which shows what /status.json says; status_page.html.
std::string_view status_page();

}  // namespace evergrove::runtime
