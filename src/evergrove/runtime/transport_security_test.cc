// Who is let in and who is not, and that trying does no harm to those who are.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/testing_transport.h"
#include "evergrove/runtime/tls_credentials.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_greeting.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;

bool has(const Status& status, std::string_view words) {
  return status.message().find(words) != std::string::npos;
}

const Credentials& credentials() {
  static const Credentials made = make_credentials({}).value();
  return made;
}

const Credentials& other_credentials() {
  static const Credentials made = make_credentials({"other.example"}).value();
  return made;
}

TransportOptions with_token(TransportOptions options, std::string token) {
  options.token = std::move(token);
  return options;
}

TransportOptions tls_listener() {
  TransportOptions options = with_token(loopback(), credentials().token);
  options.tls_cert_pem = credentials().cert_pem;
  options.tls_key_pem = credentials().key_pem;
  return options;
}

TransportOptions tls_dialler() {
  TransportOptions options;
  options.token = credentials().token;
  options.tls_ca_pem = credentials().ca_pem;
  return options;
}

// A plain TCP connection to a port of the loopback.
class RawConnection {
 public:
  explicit RawConnection(const std::string& address)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(parse_host_port(address)->port);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  void write(std::string_view bytes) {
    (void)::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Whether the other side has ended it within the time.
  bool is_ended_within(milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    char buffer[4096];
    while (std::chrono::steady_clock::now() < end) {
      pollfd one{socket_.get(), POLLIN, 0};
      if (::poll(&one, 1, 50) <= 0) continue;
      if (::recv(socket_.get(), buffer, sizeof buffer, 0) <= 0) return true;
    }
    return false;
  }

 private:
  Descriptor socket_;
};

TEST(TransportSecurity, RefusesToListenBeyondLoopbackWithoutTlsAndToken) {
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "10.0.0.1:0", "some-host:0"}) {
    for (const bool with_tls : {false, true}) {
      TransportOptions options = with_tls ? tls_listener() : with_token({}, "secret");
      if (with_tls) options.token.clear();
      options.listen = listen;
      const auto opened = Transport::open(options, [](const TransportEvent&) {});
      ASSERT_FALSE(opened.ok()) << listen;
      EXPECT_EQ(opened.status().kind(), StatusKind::invalid_input);
      EXPECT_TRUE(has(opened.status(), "`evergrove credentials --out DIR`"))
          << opened.status().message();
    }
  }
  TransportOptions options = tls_listener();
  options.listen = "0.0.0.0:0";
  Endpoint listener(options);
  ASSERT_NE(listener.transport, nullptr);
  EXPECT_EQ(listener.transport->address().find("0.0.0.0"), std::string::npos);
  EXPECT_EQ(listener.transport->address(),
            first_address() + listener.transport->address().substr(first_address().size()));
  options.advertised_host = "worker-7.internal";
  Endpoint named(options);
  EXPECT_EQ(named.transport->address().find("worker-7.internal:"), 0u);
}

TEST(TransportSecurity, RefusesOptionsThatCannotBe) {
  const auto refused = [](TransportOptions options) {
    const auto opened = Transport::open(std::move(options), [](const TransportEvent&) {});
    return opened.ok() ? Status() : opened.status();
  };
  EXPECT_EQ(refused(with_token(loopback(), "two words")).kind(), StatusKind::invalid_input);
  EXPECT_EQ(refused(with_token({}, "line\n")).kind(), StatusKind::invalid_input);
  TransportOptions options = loopback();
  options.name = std::string(kGreetingTextMax + 1, 'x');
  EXPECT_EQ(refused(options).kind(), StatusKind::invalid_input);
  options = tls_listener();
  options.tls_key_pem.clear();
  EXPECT_TRUE(has(refused(options), "--tls-key"));
  options = tls_listener();
  options.tls_key_pem = other_credentials().key_pem;
  EXPECT_TRUE(has(refused(options), "belong together")) << "a key of another certificate";
  options = tls_listener();
  options.tls_cert_pem = "no certificate";
  EXPECT_TRUE(has(refused(options), "--tls-cert"));
  // All of a run trust the same CA: its peers would expect TLS of it.
  options = loopback();
  options.tls_ca_pem = credentials().ca_pem;
  EXPECT_TRUE(has(refused(options), "--tls-cert and --tls-key"));
  options = tls_listener();
  options.tls_ca_pem = credentials().ca_pem;
  options.listen = "192.0.2.1:0";  // an address for examples, which nobody has
  EXPECT_TRUE(has(refused(options), "not of this machine"));
  options.listen = "no-such-host.invalid:0";
  EXPECT_TRUE(has(refused(options), "not known"));
  options = loopback();
  options.listen = "127.0.0.1";
  EXPECT_EQ(refused(options).kind(), StatusKind::invalid_input);
}

TEST(TransportSecurity, LetsInWhoHasTheToken) {
  Endpoint listener(with_token(loopback(), "secret"));
  Endpoint dialler(with_token({}, "secret"));
  dialler.connect(listener);
  EXPECT_EQ(listener.transport->refused_count(), 0u);
}

TEST(TransportSecurity, RefusesNoTokenAndAWrongOne) {
  Besieged place(besieged_options());
  const std::string address = place.listener.transport->address();
  Endpoint none;
  const Status no_token = none.why_refused(address);
  EXPECT_EQ(no_token.kind(), StatusKind::invalid_input);
  EXPECT_TRUE(has(no_token, "A token is needed")) << no_token.message();
  for (const char* wrong : {"secre", "secret1", "Secret", "x"}) {
    Endpoint dialler(with_token({}, wrong));
    const Status why = dialler.why_refused(address);
    EXPECT_EQ(why.kind(), StatusKind::invalid_input);
    EXPECT_TRUE(has(why, "not this run's")) << why.message();
    EXPECT_FALSE(has(why, "secret")) << "tells the token: " << why.message();
  }
  EXPECT_EQ(place.listener.transport->refused_count(), 5u);
  place.expect_refused(5);
  for (const Refused& one : place.listener.refused) {
    EXPECT_EQ(one.note.find("secret"), std::string::npos) << "tells the token: " << one.note;
  }
}

TEST(TransportSecurity, NotesOfRefusalsAreFew) {
  Besieged place(besieged_options());
  Endpoint dialler;
  constexpr uint64_t kTries = 50;
  for (uint64_t i = 0; i < kTries; ++i) {
    EXPECT_FALSE(dialler.why_refused(place.listener.transport->address()).ok());
  }
  EXPECT_EQ(place.listener.transport->refused_count(), kTries);
  const std::lock_guard lock(place.listener.mutex);
  EXPECT_LT(place.listener.refused.size(), kTries / 2);
}

TEST(TransportSecurity, RefusesAnotherRun) {
  TransportOptions options = loopback();
  options.run = "fraud-2026";
  Endpoint listener(options);
  TransportOptions other;
  other.run = "churn-2026";
  Endpoint stranger(other);
  const Status why = stranger.why_refused(listener.transport->address());
  EXPECT_EQ(why.kind(), StatusKind::invalid_input);
  EXPECT_TRUE(has(why, "another run")) << why.message();
  other.run = "fraud-2026";
  Endpoint same(other);
  same.connect(listener);
  Endpoint unaware;  // a worker that has yet to be told
  unaware.connect(listener);
  EXPECT_EQ(listener.transport->refused_count(), 1u);
}

TEST(TransportSecurity, RefusesAVersionFromTheFutureEitherWay) {
  TransportOptions later;
  later.version = kTransportVersion + 1;
  Endpoint listener(loopback());
  Endpoint later_dialler(later);
  const Status there = later_dialler.why_refused(listener.transport->address());
  EXPECT_EQ(there.kind(), StatusKind::unsupported);
  EXPECT_TRUE(has(there, "older")) << there.message();
  TransportOptions later_loopback = loopback();
  later_loopback.version = kTransportVersion + 1;
  Endpoint later_listener(later_loopback);
  Endpoint dialler;
  const Status here = dialler.why_refused(later_listener.transport->address());
  EXPECT_EQ(here.kind(), StatusKind::unsupported);
  EXPECT_TRUE(has(here, "update Evergrove here")) << here.message();
}

TEST(TransportSecurity, SpeaksTls) {
  Endpoint listener(tls_listener());
  listener.is_echoing = true;
  Endpoint dialler(tls_dialler());
  const ConnectionId out = dialler.connect(listener);
  const std::string large(5u << 20, 'x');
  ASSERT_TRUE(dialler.transport->send(out, large));
  ASSERT_TRUE(dialler.wait([&] { return dialler.received.size() == 1; }));
  EXPECT_TRUE(dialler.received[0].bytes.view == large);
}

TEST(TransportSecurity, RefusesACertificateOfAnotherCa) {
  Endpoint listener(tls_listener());
  TransportOptions options = tls_dialler();
  options.tls_ca_pem = other_credentials().ca_pem;
  Endpoint dialler(options);
  const Status why = dialler.why_refused(listener.transport->address());
  EXPECT_EQ(why.kind(), StatusKind::invalid_input);
  EXPECT_TRUE(has(why, "not signed by the CA")) << why.message();
}

TEST(TransportSecurity, RefusesACertificateOfAnotherName) {
  Endpoint listener(tls_listener());
  TransportOptions options = tls_dialler();
  options.tls_server_name = "elsewhere.example";
  Endpoint dialler(options);
  const Status why = dialler.why_refused(listener.transport->address());
  EXPECT_EQ(why.kind(), StatusKind::invalid_input) << why.message();
  EXPECT_TRUE(has(why, "another host")) << why.message();
}

TEST(TransportSecurity, ChecksTheTokenUnderTls) {
  Endpoint listener(tls_listener());
  TransportOptions options = tls_dialler();
  options.token = other_credentials().token;
  Endpoint dialler(options);
  EXPECT_TRUE(has(dialler.why_refused(listener.transport->address()), "not this run's"));
}

TEST(TransportSecurity, TellsTlsFromPlain) {
  Endpoint with_tls(tls_listener());
  Endpoint plain_dialler(with_token({}, credentials().token));
  const Status needs_tls = plain_dialler.why_refused(with_tls.transport->address());
  // Not what passes, such as a cut network: trying again is in vain.
  EXPECT_EQ(needs_tls.kind(), StatusKind::invalid_input);
  EXPECT_TRUE(has(needs_tls, "The peer speaks TLS; give by --tls-ca")) << needs_tls.message();
  Endpoint plain(with_token(loopback(), credentials().token));
  Endpoint tls(tls_dialler());
  const Status no_tls = tls.why_refused(plain.transport->address());
  EXPECT_EQ(no_tls.kind(), StatusKind::invalid_input);
  EXPECT_TRUE(has(no_tls, "does not speak TLS")) << no_tls.message();
}

TEST(TransportSecurity, SurvivesGarbageAtItsPort) {
  Besieged place(besieged_options());
  const std::string address = place.listener.transport->address();
  std::string zeros(70000, '\0');
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), zeros, std::string(70000, '\xff'),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string(9, '\xff'),
        // A frame of HTTP/2 of the largest length, of which nothing comes.
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string("\xff\xff\xff\x00\x00", 5)}) {
    RawConnection raw(address);
    raw.write(bytes);
    place.expect_unharmed();
  }
}

TEST(TransportSecurity, CutsOffWhoDoesNotSayWhoHeIs) {
  TransportOptions options = besieged_options();
  options.unauthenticated_max = milliseconds(300);
  Besieged place(options);
  RawConnection silent(place.listener.transport->address());
  RawConnection slow(place.listener.transport->address());
  // As slow-loris does: another byte of a good beginning now and then.
  const std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  bool is_ended = false;
  for (size_t i = 0; i < 300 && !is_ended; ++i) {
    if (i < preface.size()) slow.write(preface.substr(i, 1));
    is_ended = slow.is_ended_within(milliseconds(50));
  }
  EXPECT_TRUE(is_ended);
  EXPECT_TRUE(silent.is_ended_within(milliseconds(5000)));
  place.expect_refused(2);
}

TEST(TransportSecurity, CutsOffTheFirstOfTooManyStrangers) {
  TransportOptions options = besieged_options();
  options.unauthenticated_max = milliseconds(600000);
  options.unauthenticated_count_max = 5;
  Besieged place(options);
  std::vector<std::unique_ptr<RawConnection>> all;
  all.reserve(20);
  for (int i = 0; i < 20; ++i) {
    all.push_back(std::make_unique<RawConnection>(place.listener.transport->address()));
  }
  place.expect_refused(15);
  size_t ended = 0;
  for (const auto& one : all) ended += one->is_ended_within(milliseconds(200)) ? 1 : 0;
  EXPECT_EQ(ended, 15u);
}

TEST(TransportSecurity, SecretsAreComparedWhole) {
  EXPECT_TRUE(is_same_secret("abc", "abc"));
  EXPECT_TRUE(is_same_secret("", ""));
  EXPECT_FALSE(is_same_secret("abc", "abd"));
  EXPECT_FALSE(is_same_secret("abc", "ab"));
  EXPECT_FALSE(is_same_secret("", "a"));
}

}  // namespace
}  // namespace evergrove::runtime
