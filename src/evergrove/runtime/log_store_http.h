// HttpClient: one request and its answer over HTTP/1.1, with or without TLS; for small objects.
//
// Connections are kept and used again; many threads may send at once, each over a connection of
// its own. A request ends at its time limit whatever the other end does (but finding a
// host's address takes as long as the system's resolver takes), and an answer beyond
// kAnswerBytesMax is refused. What the server says of itself is checked against the certificates
// that the system trusts (AWS_CA_BUNDLE and SSL_CERT_FILE name others). No proxies, no redirects.
//
//   HttpClient client({.has_tls = true, .host = "bucket.s3.eu-west-1.amazonaws.com"});
//   Result<HttpAnswer> answer = client.send({"PUT", "/key", headers, bytes}, seconds(10));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

struct HttpAddress {
  bool has_tls = false;
  std::string host;
  std::string port;  // empty: 80 or 443

  // As the Host header has it.
  std::string authority() const;
};
// Understands scheme://host:port, or host:port with the scheme given. No path may follow.
Result<HttpAddress> parse_http_address(std::string_view text, std::string_view default_scheme);

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string target;
  HttpHeaders headers;  // without Host and Content-Length
  std::string_view body;
};

struct HttpAnswer {
  int code = 0;
  std::string body;
};

class HttpStream;

class HttpClient {
 public:
  explicit HttpClient(HttpAddress address);
  ~HttpClient();

  // Returns storage for what did not get an answer; it may have been done all the same.
  Result<HttpAnswer> send(const HttpRequest& request, std::chrono::milliseconds limit);
  const HttpAddress& address() const { return address_; }

  static constexpr size_t kAnswerBytesMax = size_t{1} << 20;

 private:
  HttpAddress address_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<HttpStream>> idle_;
};

}  // namespace evergrove::runtime
