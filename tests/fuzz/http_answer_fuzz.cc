// What object stores and Google's token servers answer: any bytes, in any pieces, are an answer of
// bounded size or refused; so is a file of Google's credentials.
//
// The input is how many bytes come at once (u8, 0: all), what they are (u8: 0: an answer; 1: the
// JSON of one that gives a token; else: a credentials file), and the bytes.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "evergrove/runtime/google_token.h"
#include "evergrove/runtime/log_store_http.h"
#include "evergrove/runtime/log_store_stream.h"

namespace evergrove::runtime {
namespace {

constexpr std::chrono::seconds kLimit{60};

void require(bool condition) {
  if (!condition) std::abort();
}

// What every connection says from its beginning.
struct Script {
  std::string_view bytes;
  size_t piece = 1;
};
Script script;

class ScriptedStream : public HttpStream {
 public:
  Status write(std::string_view, Deadline) override { return {}; }
  Result<size_t> read(char* to, size_t size, Deadline) override {
    const size_t taken = std::min({size, rest_.size(), script.piece});
    std::copy_n(rest_.data(), taken, to);
    rest_.remove_prefix(taken);
    return taken;
  }

 private:
  std::string_view rest_ = script.bytes;
};

void ask() {
  HttpClient client({.has_tls = false, .host = "store", .port = ""});
  // The second request takes a connection that was kept, or another.
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.send({"PUT", "/key", {{"If-None-Match", "*"}}, "body"}, kLimit);
    if (answer.ok()) require(answer->body.size() <= 2 * HttpClient::kAnswerBytesMax);
  }
}

void ask_for_a_token(std::string_view json) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(json.size()) +
                             "\r\n\r\n" + std::string(json);
  script.bytes = answer;
  GoogleToken token({});
  const auto got = token.get(kLimit);
  require(!got.ok() || !got->empty());
}

void read_credentials(std::string_view json) {
  const auto identity = parse_google_credentials(json);
  if (!identity.ok()) return;
  require(identity->token_url.starts_with("http"));
  if (identity->kind == GoogleIdentity::service_account) {
    (void)google_assertion(*identity, std::time_t{0});
  }
}

}  // namespace

// In the place of the library's own, which would go over a socket.
Result<std::unique_ptr<HttpStream>> HttpStream::connect(const HttpAddress&, Deadline) {
  return std::unique_ptr<HttpStream>(std::make_unique<ScriptedStream>());
}

}  // namespace evergrove::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evergrove::runtime;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  script = {.bytes = bytes, .piece = data[0] == 0 ? size : data[0]};
  if (data[1] == 0) {
    ask();
  } else if (data[1] == 1) {
    ask_for_a_token(bytes);
  } else {
    read_credentials(bytes);
  }
  return 0;
}
