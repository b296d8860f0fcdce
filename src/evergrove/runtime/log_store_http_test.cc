// The HTTP client against a server that answers with given bytes, or not at all.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_store_http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;

struct Connection {
  std::vector<std::string> answers;
};

constexpr milliseconds kAtOnce{0};

// Accepts connections one after the other; each gets its answers, one a request, and is closed.
class Server {
 public:
  Server(std::vector<Connection> connections, milliseconds byte_delay)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), byte_delay_(byte_delay) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    thread_ = std::thread([this, all = std::move(connections)] {
      for (const Connection& each : all) serve(each.answers);
    });
  }
  ~Server() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  HttpAddress address() const { return {false, "127.0.0.1", std::to_string(port_)}; }
  const std::string& requests() const { return requests_; }

 private:
  void serve(const std::vector<std::string>& answers) {
    const Descriptor client(::accept(listener_.get(), nullptr, nullptr));
    if (!client.is_open()) return;
    for (const std::string& answer : answers) {
      std::string request;
      char bytes[4096];
      while (request.find("\r\n\r\nbody") == std::string::npos) {
        const ssize_t got = ::recv(client.get(), bytes, sizeof bytes, 0);
        if (got <= 0) return;
        request.append(bytes, static_cast<size_t>(got));
      }
      requests_ += request;
      const size_t step = byte_delay_.count() > 0 ? 1 : answer.size();
      for (size_t place = 0; place < answer.size(); place += step) {
        if (::send(client.get(), answer.data() + place, step, MSG_NOSIGNAL) < 0) return;
        std::this_thread::sleep_for(byte_delay_);
      }
    }
  }

  Descriptor listener_;
  milliseconds byte_delay_;
  uint16_t port_ = 0;
  std::string requests_;
  std::thread thread_;
};

const HttpRequest kRequest = {"PUT", "/key", {{"If-None-Match", "*"}}, "body"};
constexpr const char* kDone = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Result<HttpAnswer> answer_to(const std::string& bytes, milliseconds limit = milliseconds(5000)) {
  Server server({Connection{{bytes}}}, kAtOnce);
  HttpClient client(server.address());
  return client.send(kRequest, limit);
}

TEST(HttpClient, SendsTheRequestAndKeepsTheConnection) {
  Server server({Connection{{kDone, kDone}}}, kAtOnce);
  HttpClient client(server.address());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.send(kRequest, milliseconds(5000));
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    EXPECT_EQ(answer->code, 200);
    EXPECT_EQ(answer->body, "ok");
  }
  EXPECT_TRUE(server.requests().starts_with("PUT /key HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_NE(server.requests().find("\r\nContent-Length: 4\r\n"), std::string::npos);
  EXPECT_NE(server.requests().find("\r\nIf-None-Match: *\r\n"), std::string::npos);
}

TEST(HttpClient, TakesAnotherConnectionWhenAKeptOneWasClosed) {
  Server server({Connection{{kDone}}, Connection{{kDone}}}, kAtOnce);
  HttpClient client(server.address());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.send(kRequest, milliseconds(5000));
    ASSERT_TRUE(answer.ok()) << answer.status().message();
  }
}

TEST(HttpClient, ReadsBodiesOfEachKind) {
  const std::string start = "HTTP/1.1 412 Precondition Failed\r\n";
  for (const std::string rest :
       {"content-LENGTH:  5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n", "\r\nhello",
        "Connection: close\r\n\r\nhello"}) {
    const auto answer = answer_to(start + rest);
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    EXPECT_EQ(answer->code, 412);
    EXPECT_EQ(answer->body, "hello");
  }
  EXPECT_EQ(answer_to("HTTP/1.1 204 No Content\r\n\r\n")->code, 204);
  EXPECT_EQ(answer_to("HTTP/1.1 100 Continue\r\n\r\n" + std::string(kDone))->code, 200);
}

TEST(HttpClient, RefusesWhatIsNoAnswer) {
  for (const std::string& bytes : std::vector<std::string>{
           "", "SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1 2\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
           "HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
           "HTTP/1.1 200 OK\r\nX: " + std::string(3 << 20, 'x'), "HTTP/1.1 200 OK\r\n"}) {
    const auto answer = answer_to(bytes);
    EXPECT_EQ(answer.status().kind(), StatusKind::storage) << bytes.substr(0, 60);
  }
}

TEST(HttpClient, EndsInTimeWhenTheServerIsSlowOrSilent) {
  const auto start = std::chrono::steady_clock::now();
  {
    Server slow({Connection{{kDone}}}, milliseconds(50));
    HttpClient client(slow.address());
    EXPECT_EQ(client.send(kRequest, milliseconds(200)).status().kind(), StatusKind::storage);
  }
  {
    Server silent({}, kAtOnce);
    HttpClient client(silent.address());
    EXPECT_EQ(client.send(kRequest, milliseconds(200)).status().kind(), StatusKind::storage);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(HttpClient, SaysThatNobodyListens) {
  HttpAddress address;
  {
    Server server({}, kAtOnce);
    address = server.address();
  }
  HttpClient client(address);
  const Status status = client.send(kRequest, milliseconds(2000)).status();
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("refused"), std::string::npos) << status.message();
}

TEST(HttpAddress, UnderstandsSchemesPortsAndIpv6) {
  const auto address = parse_http_address("http://host:9000/", "https");
  ASSERT_TRUE(address.ok());
  EXPECT_FALSE(address->has_tls);
  EXPECT_EQ(address->authority(), "host:9000");
  EXPECT_TRUE(parse_http_address("s3.eu-west-1.amazonaws.com", "https")->has_tls);
  EXPECT_EQ(parse_http_address("[::1]:80", "http")->port, "80");
  EXPECT_EQ(parse_http_address("[::1]", "http")->port, "");
  for (const char* wrong :
       {"", "ftp://host", "http://host/path", "http://", "a b", "host\r\nX: y"}) {
    EXPECT_EQ(parse_http_address(wrong, "http").status().kind(), StatusKind::invalid_input)
        << wrong;
  }
}

}  // namespace
}  // namespace evergrove::runtime
