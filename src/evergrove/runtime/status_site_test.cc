// What is answered to whom; over real sockets in tests/process/test_status_page.py.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/status_site.h"

#include <gtest/gtest.h>

#include "evergrove/runtime/status_server.h"
#include "evergrove/runtime/tls_credentials.h"

namespace evergrove::runtime {
namespace {

std::string header(const StatusAnswer& answer, const std::string& name) {
  for (const auto& [key, value] : answer.headers) {
    if (key == name) return value;
  }
  return "";
}

StatusAnswer get(StatusSite& site, const std::string& target, const std::string& host = "localhost",
                 const std::string& authorization = "") {
  return site.answer({"GET", target, host, authorization});
}

TEST(StatusSite, AnswersFourPlacesAndNoOther) {
  StatusSite site("");
  for (const char* target : {"/", "/status.json", "/metrics", "/healthz", "/metrics?a=b"}) {
    EXPECT_EQ(get(site, target).code, 200u) << target;
  }
  for (const char* target : {"", "/x", "//", "/../etc/passwd", "*", "/status.json/", "/?/x/.."}) {
    EXPECT_EQ(get(site, target).code, target == std::string("/?/x/..") ? 200u : 404u) << target;
  }
}

TEST(StatusSite, IsForLookingOnly) {
  StatusSite site("");
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "", "get"}) {
    const StatusAnswer answer = site.answer({method, "/", "localhost", ""});
    EXPECT_EQ(answer.code, 405u) << method;
    EXPECT_EQ(header(answer, "Allow"), "GET");
  }
}

TEST(StatusSite, ShowsTheNewestSnapshot) {
  StatusSite site("");
  EXPECT_NE(get(site, "/status.json").body.find("preparing"), std::string::npos);
  auto run = std::make_shared<RunSnapshot>();
  run->is_prepared = true;
  run->label = "fraud";
  site.publish(run);
  EXPECT_NE(get(site, "/status.json").body.find("\"fraud\""), std::string::npos);
  EXPECT_EQ(get(site, "/status.json").body, get(site, "/status.json").body);
}

TEST(StatusSite, WithoutATokenOnlyThisMachineMayAskForIt) {
  StatusSite site("");
  for (const char* host : {"localhost", "localhost:9000", "127.0.0.1:1", "127.0.0.1", "[::1]:80"}) {
    EXPECT_EQ(get(site, "/", host).code, 200u) << host;
  }
  // A page elsewhere that has given its own name this machine's address.
  for (const char* host : {"evil.example", "evil.example:80", "localhost.evil.example", "",
                           "::1:", "127.0.0.1.evil.example", "10.0.0.7:80"}) {
    EXPECT_EQ(get(site, "/status.json", host).code, 403u) << host;
  }
}

TEST(StatusSite, WithATokenWhoHasItMayAsk) {
  StatusSite site("secret");
  const auto code = [&](const char* authorization) {
    return get(site, "/metrics", "any.example", authorization).code;
  };
  EXPECT_EQ(code("Bearer secret"), 200u);
  EXPECT_EQ(code("bearer  secret"), 200u);
  EXPECT_EQ(code("Basic bWU6c2VjcmV0"), 200u);  // me:secret
  EXPECT_EQ(code("Basic OnNlY3JldA=="), 200u);  // :secret
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "secret", "Basic secret",
        "Basic c2VjcmV0", "Basic bWU6b3RoZXI=", "Digest secret", "Basic ????", "Bearer\tsecret"}) {
    EXPECT_EQ(code(wrong), 401u) << wrong;
  }
  EXPECT_NE(header(get(site, "/"), "WWW-Authenticate").find("Basic"), std::string::npos);
  EXPECT_EQ(get(site, "/healthz", "any.example").code, 200u);  // probes have no token
}

TEST(StatusSite, ThePageMayRunItsOwnScriptOnly) {
  StatusSite site("");
  const StatusAnswer page = get(site, "/");
  const std::string policy = header(page, "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("script-src 'sha256-"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  // Nothing from elsewhere, and nothing put in as markup.
  EXPECT_EQ(page.body.find("http://"), page.body.find("http://www.w3.org/2000/svg"));
  EXPECT_EQ(page.body.find("https://"), std::string::npos);
  EXPECT_EQ(page.body.find("innerHTML"), std::string::npos);
}

TEST(StatusServer, BeyondLoopbackNeedsTlsAndAToken) {
  const auto credentials = make_credentials({});
  ASSERT_TRUE(credentials.ok());
  StatusServerOptions options{"0.0.0.0:0", "", "", ""};
  for (int given = 0; given < 4; ++given) {
    options.token = (given & 1) != 0 ? "secret" : "";
    options.tls_cert_pem = (given & 2) != 0 ? credentials->cert_pem : "";
    options.tls_key_pem = (given & 2) != 0 ? credentials->key_pem : "";
    const Status status = check_may_show(options);
    EXPECT_EQ(status.ok(), given == 3) << given;
    if (given == 3) continue;
    EXPECT_NE(status.message().find("evergrove credentials"), std::string::npos);
    EXPECT_FALSE(StatusServer::open(options).ok());
  }
  EXPECT_TRUE(check_may_show({"127.0.0.1:0", "", "", ""}).ok());
}

TEST(StatusServer, SaysWhyItCannotListen) {
  const auto first = StatusServer::open({"127.0.0.1:0", "", "", ""});
  ASSERT_TRUE(first.ok()) << first.status().message();
  const std::string url = (*first)->url();
  const std::string place = url.substr(7, url.size() - 8);
  EXPECT_EQ(StatusServer::open({place, "", "", ""}).status().kind(), StatusKind::storage);
  for (const char* wrong : {"", "127.0.0.1", "127.0.0.1:99999", "nowhere", ":80"}) {
    EXPECT_EQ(StatusServer::open({wrong, "", "", ""}).status().kind(), StatusKind::invalid_input)
        << wrong;
  }
  const auto credentials = make_credentials({});
  const auto other = make_credentials({});
  ASSERT_TRUE(credentials.ok() && other.ok());
  for (const auto& [cert, key] : {std::pair(std::string("no PEM"), credentials->key_pem),
                                  std::pair(credentials->cert_pem, std::string("no PEM")),
                                  std::pair(credentials->cert_pem, other->key_pem)}) {
    const auto opened = StatusServer::open({"0.0.0.0:0", "secret", cert, key});
    EXPECT_EQ(opened.status().kind(), StatusKind::invalid_input);
  }
}

}  // namespace
}  // namespace evergrove::runtime
