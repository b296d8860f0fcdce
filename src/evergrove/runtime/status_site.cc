// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/status_site.h"

#include <algorithm>
#include <optional>

#include "evergrove/base/lower_case.h"
#include "evergrove/base/sha256.h"
#include "evergrove/runtime/run_metrics_text.h"
#include "evergrove/runtime/signing.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_greeting.h"

namespace evergrove::runtime {
namespace {

// 'sha256-...' of what stands in an element of the page.
std::string hash_of(std::string_view element) {
  const std::string_view page = status_page();
  const std::string open = "<" + std::string(element) + ">";
  const size_t begin = page.find(open) + open.size();
  Sha256 sha;
  sha.update(page.substr(begin, page.find("</" + std::string(element) + ">") - begin));
  const Sha256::Digest digest = sha.digest();
  return "'sha256-" + base64({reinterpret_cast<const char*>(digest.data()), digest.size()}) + "'";
}

// The page's own script and style, and nothing from or to anywhere else.
std::string page_policy() {
  return "default-src 'none'; connect-src 'self'; img-src data:; script-src " + hash_of("script") +
         "; style-src " + hash_of("style") +
         "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

bool is_here(const std::string& host) {
  // The port is optional in a Host, and may be another one behind a tunnel.
  const Result<HostPort> place = parse_host_port(host);
  if (place.ok()) return is_loopback(place->host);
  const Result<HostPort> with_port = parse_host_port(host + ":80");
  return with_port.ok() && is_loopback(with_port->host);
}

StatusAnswer text_answer(std::string body, const std::string& type) {
  return {200, std::move(body), {{"Content-Type", type}}};
}

}  // namespace

StatusSite::StatusSite(std::string token)
    : token_(std::move(token)),
      policy_(page_policy()),
      snapshot_(std::make_shared<const RunSnapshot>()) {}

void StatusSite::publish(std::shared_ptr<const RunSnapshot> snapshot) {
  const std::lock_guard lock(mutex_);
  snapshot_.swap(snapshot);
}

StatusAnswer StatusSite::refusal(unsigned code, const std::string& reason) {
  return {code, reason + "\n", {{"Content-Type", "text/plain; charset=utf-8"}}};
}

bool StatusSite::may_ask(const StatusRequest& request) const {
  if (token_.empty()) return true;
  const std::string_view given = request.authorization;
  const std::string scheme = lower_case(given.substr(0, std::min(given.find(' '), given.size())));
  const std::string_view rest =
      given.substr(std::min(given.find_first_not_of(' ', scheme.size()), given.size()));
  if (scheme == "bearer") return is_same_secret(rest, token_);
  if (scheme != "basic") return false;
  const std::optional<std::string> pair = from_base64(rest);
  if (!pair || pair->find(':') == std::string::npos) return false;
  return is_same_secret(std::string_view(*pair).substr(pair->find(':') + 1), token_);
}

StatusAnswer StatusSite::page() const {
  return {200,
          std::string(status_page()),
          {{"Content-Type", "text/html; charset=utf-8"}, {"Content-Security-Policy", policy_}}};
}

StatusAnswer StatusSite::answer(const StatusRequest& request) {
  if (request.method != "GET") {
    StatusAnswer refused = refusal(405, "Only GET is answered here");
    refused.headers.emplace_back("Allow", "GET");
    return refused;
  }
  const std::string path = request.target.substr(0, request.target.find('?'));
  if (path == "/healthz") return text_answer("ok\n", "text/plain; charset=utf-8");
  if (token_.empty() && !is_here(request.host)) {
    return refusal(
        403,
        "Ask for this by a name of this machine's loopback, such as localhost; beyond it "
        "the coordinator needs --status-token-file");
  }
  if (!may_ask(request)) {
    StatusAnswer refused = refusal(
        401,
        "The token is missing or wrong; send the one of --status-token-file as a bearer token, or "
        "as the password");
    refused.headers.emplace_back("WWW-Authenticate",
                                 "Basic realm=\"evergrove\", charset=\"UTF-8\"");
    return refused;
  }
  if (path == "/") return page();
  std::shared_ptr<const RunSnapshot> snapshot;
  {
    const std::lock_guard lock(mutex_);
    snapshot = snapshot_;
  }
  if (path == "/metrics") {
    return text_answer(run_metrics_text(*snapshot, process_usage()),
                       "text/plain; version=0.0.4; charset=utf-8");
  }
  if (path == "/status.json") {
    if (json_of_ != snapshot) {
      json_ = snapshot_json(*snapshot);
      json_of_ = std::move(snapshot);
    }
    return text_answer(json_, "application/json");
  }
  return refusal(404, "There is nothing here; try /, /status.json, /metrics or /healthz");
}

}  // namespace evergrove::runtime
