// Certificates and tokens: what they are, who may read them. That TLS takes them is shown by
// transport_security_test.cc.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/tls_credentials.h"

#include <gtest/gtest.h>
#include <mbedtls/x509_crt.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {
namespace {

class TlsCredentialsFiles : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/evergrove_credentials_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write_token(const std::string& bytes, mode_t mode) {
    std::string path = folder_ + "/token_file";
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  static mode_t mode_of(const std::string& path) {
    struct stat about = {};
    EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
    return about.st_mode & 0777;
  }

  std::string folder_;
};

// Whether the CA vouches for the certificate under the name.
bool is_vouched_for(const std::string& cert_pem, const std::string& ca_pem, const char* name) {
  mbedtls_x509_crt cert;
  mbedtls_x509_crt ca;
  mbedtls_x509_crt_init(&cert);
  mbedtls_x509_crt_init(&ca);
  const auto parse = [](mbedtls_x509_crt* into, const std::string& pem) {
    return mbedtls_x509_crt_parse(into, reinterpret_cast<const unsigned char*>(pem.c_str()),
                                  pem.size() + 1);
  };
  EXPECT_EQ(parse(&cert, cert_pem), 0);
  EXPECT_EQ(parse(&ca, ca_pem), 0);
  uint32_t flags = 0;
  const int verified = mbedtls_x509_crt_verify(&cert, &ca, nullptr, name, &flags, nullptr, nullptr);
  mbedtls_x509_crt_free(&cert);
  mbedtls_x509_crt_free(&ca);
  return verified == 0;
}

TEST(TlsCredentials, TheCaVouchesForItsCertificateOnly) {
  const auto one = make_credentials({"worker.example", "10.1.2.3"});
  const auto other = make_credentials({});
  ASSERT_TRUE(one.ok());
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(is_vouched_for(one->cert_pem, one->ca_pem, kCredentialsName));
  EXPECT_TRUE(is_vouched_for(one->cert_pem, one->ca_pem, "localhost"));
  EXPECT_TRUE(is_vouched_for(one->cert_pem, one->ca_pem, "worker.example"));
  EXPECT_FALSE(is_vouched_for(one->cert_pem, one->ca_pem, "another.example"));
  EXPECT_FALSE(is_vouched_for(other->cert_pem, one->ca_pem, kCredentialsName));
  EXPECT_FALSE(is_vouched_for(one->cert_pem, other->ca_pem, kCredentialsName));
}

TEST(TlsCredentials, EachIsNew) {
  const auto one = make_credentials({});
  const auto other = make_credentials({});
  ASSERT_TRUE(one.ok());
  ASSERT_TRUE(other.ok());
  EXPECT_NE(one->token, other->token);
  EXPECT_NE(one->key_pem, other->key_pem);
  EXPECT_NE(one->ca_pem, other->ca_pem);
  EXPECT_EQ(one->token.size(), 64u);
  EXPECT_TRUE(std::ranges::all_of(one->token, [](unsigned char c) { return std::isxdigit(c); }));
}

TEST(TlsCredentials, TakesManyHostsAndRefusesWhatIsNone) {
  std::vector<std::string> hosts;
  hosts.reserve(101);
  for (int i = 0; i < 100; ++i) hosts.push_back("machine-" + std::to_string(i) + ".example.org");
  const auto many = make_credentials(hosts);
  ASSERT_TRUE(many.ok()) << many.status().message();
  EXPECT_TRUE(is_vouched_for(many->cert_pem, many->ca_pem, "machine-99.example.org"));
  hosts.emplace_back("one-more");
  EXPECT_EQ(make_credentials(hosts).status().kind(), StatusKind::invalid_input);
  for (const char* host : {"", "two words", "host/path", "host,CN=x"}) {
    EXPECT_EQ(make_credentials({host}).status().kind(), StatusKind::invalid_input) << host;
  }
}

TEST(TlsCredentials, KnowsItsOwnCa) {
  const auto made = make_credentials({});
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(is_made_by_us(made->ca_pem));
  EXPECT_FALSE(is_made_by_us(made->cert_pem));
  EXPECT_FALSE(is_made_by_us(made->ca_pem + made->cert_pem));
  EXPECT_FALSE(is_made_by_us("nonsense"));
  EXPECT_FALSE(is_made_by_us(""));
}

TEST_F(TlsCredentialsFiles, SecretsAreTheOwnersAlone) {
  const auto made = make_credentials({});
  ASSERT_TRUE(made.ok());
  const std::string folder = folder_ + "/deep/er";
  ASSERT_TRUE(write_credentials(*made, folder).ok());
  EXPECT_EQ(mode_of(folder + "/key.pem"), 0600u);
  EXPECT_EQ(mode_of(folder + "/token"), 0600u);
  EXPECT_EQ(read_token_file(folder + "/token").value(), made->token);
  EXPECT_EQ(read_file(folder + "/cert.pem").value(), made->cert_pem);
  EXPECT_EQ(read_file(folder + "/key.pem").value(), made->key_pem);
  EXPECT_EQ(read_file(folder + "/ca.pem").value(), made->ca_pem);
}

TEST_F(TlsCredentialsFiles, NothingIsOverwritten) {
  const auto made = make_credentials({});
  ASSERT_TRUE(made.ok());
  for (const char* name : {"key.pem", "token", "cert.pem", "ca.pem"}) {
    const std::string folder = folder_ + "/of_" + name;
    ASSERT_TRUE(make_folder(folder).ok());
    std::ofstream(folder + "/" + name) << "precious";
    const Status status = write_credentials(*made, folder);
    EXPECT_EQ(status.kind(), StatusKind::invalid_input);
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    EXPECT_EQ(read_file(folder + "/" + name).value(), "precious");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  }
  EXPECT_FALSE(write_credentials(*made, "").ok());
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_FALSE(write_credentials(*made, folder_ + "/file").ok());
}

TEST_F(TlsCredentialsFiles, ReadsATokenThatOnlyTheOwnerMayRead) {
  EXPECT_EQ(read_token_file(write_token("secret\n", 0600)).value(), "secret");
  EXPECT_EQ(read_token_file(write_token("secret\r\n", 0400)).value(), "secret");
  for (mode_t mode : {0640, 0604, 0660, 0644, 0610}) {
    const Status status = read_token_file(write_token("secret\n", mode)).status();
    EXPECT_EQ(status.kind(), StatusKind::invalid_input);
    EXPECT_NE(status.message().find("chmod 600"), std::string::npos) << status.message();
    EXPECT_EQ(status.message().find("secret"), std::string::npos) << status.message();
  }
}

TEST_F(TlsCredentialsFiles, RefusesATokenThatIsNone) {
  for (const char* bytes : {"", "\n", "\r\n\n"}) {
    const Status status = read_token_file(write_token(bytes, 0600)).status();
    EXPECT_EQ(status.kind(), StatusKind::invalid_input);
    EXPECT_NE(status.message().find("empty"), std::string::npos) << status.message();
  }
  for (const std::string& bytes : {std::string("two words"), std::string("two\nlines"),
                                   std::string("z\0z", 3), std::string(5000, 'x')}) {
    EXPECT_FALSE(read_token_file(write_token(bytes, 0600)).ok());
  }
  EXPECT_EQ(read_token_file(folder_ + "/none").status().kind(), StatusKind::not_found);
  EXPECT_FALSE(read_token_file(folder_).ok());
}

}  // namespace
}  // namespace evergrove::runtime
