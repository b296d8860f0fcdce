// Assertions that the key's other half confirms, and credentials files of all kinds.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/google_token.h"

#include <gtest/gtest.h>
#include <mbedtls/base64.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "evergrove/base/sha256.h"

namespace evergrove::runtime {
namespace {

using nlohmann::json;

class Key {
 public:
  Key() {
    mbedtls_entropy_init(&entropy_);
    mbedtls_ctr_drbg_init(&random_);
    mbedtls_pk_init(&key_);
    EXPECT_EQ(mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0), 0);
    EXPECT_EQ(mbedtls_pk_setup(&key_, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), 0);
    EXPECT_EQ(
        mbedtls_rsa_gen_key(mbedtls_pk_rsa(key_), mbedtls_ctr_drbg_random, &random_, 1024, 65537),
        0);
  }
  ~Key() {
    mbedtls_pk_free(&key_);
    mbedtls_ctr_drbg_free(&random_);
    mbedtls_entropy_free(&entropy_);
  }

  std::string pem() {
    std::string text(4096, 0);
    EXPECT_EQ(
        mbedtls_pk_write_key_pem(&key_, reinterpret_cast<unsigned char*>(text.data()), text.size()),
        0);
    text.resize(text.find('\0'));
    return text;
  }
  bool confirms(std::string_view text, std::string_view signature) {
    Sha256 hash;
    hash.update(text);
    const Sha256::Digest digest = hash.digest();
    return mbedtls_pk_verify(&key_, MBEDTLS_MD_SHA256, digest.data(), digest.size(),
                             reinterpret_cast<const unsigned char*>(signature.data()),
                             signature.size()) == 0;
  }

 private:
  mbedtls_entropy_context entropy_;
  mbedtls_ctr_drbg_context random_;
  mbedtls_pk_context key_;
};

std::string from_base64_url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  while (text.size() % 4 != 0) text += '=';
  std::string bytes(text.size(), 0);
  size_t size = 0;
  EXPECT_EQ(
      mbedtls_base64_decode(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), &size,
                            reinterpret_cast<const unsigned char*>(text.data()), text.size()),
      0);
  bytes.resize(size);
  return bytes;
}

json service_account(const std::string& pem) {
  return {{"type", "service_account"},
          {"client_email", "trainer@shop.iam.gserviceaccount.com"},
          {"private_key_id", "k1"},
          {"private_key", pem},
          {"token_uri", "https://oauth2.googleapis.com/token"}};
}

TEST(GoogleToken, SignsAnAssertionThatTheKeyConfirms) {
  Key key;
  const auto identity = parse_google_credentials(service_account(key.pem()).dump());
  ASSERT_TRUE(identity.ok()) << identity.status().message();
  const auto assertion = google_assertion(*identity, 1'700'000'000);
  ASSERT_TRUE(assertion.ok()) << assertion.status().message();
  const size_t second = assertion->rfind('.');
  const size_t first = assertion->find('.');
  const json head = json::parse(from_base64_url(assertion->substr(0, first)));
  const json claims =
      json::parse(from_base64_url(assertion->substr(first + 1, second - first - 1)));
  EXPECT_EQ(head, (json{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", "k1"}}));
  EXPECT_EQ(claims["iss"], "trainer@shop.iam.gserviceaccount.com");
  EXPECT_EQ(claims["aud"], "https://oauth2.googleapis.com/token");
  EXPECT_EQ(claims["exp"].get<int64_t>() - claims["iat"].get<int64_t>(), 3600);
  const std::string signature = from_base64_url(assertion->substr(second + 1));
  EXPECT_TRUE(key.confirms(assertion->substr(0, second), signature));
  EXPECT_FALSE(key.confirms(assertion->substr(0, second) + "x", signature));
}

TEST(GoogleToken, RefusesCredentialsThatItCannotUse) {
  const auto refused = [](const json& object) {
    return !parse_google_credentials(object.dump()).ok();
  };
  EXPECT_FALSE(refused(service_account("a key")));
  EXPECT_FALSE(
      google_assertion(*parse_google_credentials(service_account("a key").dump()), 0).ok());
  json other = service_account("a key");
  other["token_uri"] = "http://example.org/token";
  EXPECT_TRUE(refused(other)) << "what opens the account would go over the network in the open";
  other["token_uri"] = "http://127.0.0.1:8080/token";
  EXPECT_FALSE(refused(other));
  other["type"] = "external_account";
  EXPECT_TRUE(refused(other));
  EXPECT_TRUE(refused({{"type", "authorized_user"}, {"client_id", "x"}}));
  EXPECT_FALSE(refused({{"type", "authorized_user"}, {"client_id", "x"}, {"refresh_token", "y"}}));
  EXPECT_TRUE(refused(json::array()));
  EXPECT_FALSE(parse_google_credentials("{").ok());
}

}  // namespace
}  // namespace evergrove::runtime
