// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/google_token.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "evergrove/base/sha256.h"
#include "evergrove/runtime/log_store_http.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

using nlohmann::json;

constexpr const char* kScope = "https://www.googleapis.com/auth/devstorage.read_write";
constexpr const char* kTokenUrl = "https://oauth2.googleapis.com/token";
constexpr const char* kMetadataPath = "/computeMetadata/v1/instance/service-accounts/default/token";
constexpr std::chrono::seconds kRenewBefore{120};
constexpr size_t kFileBytesMax = size_t{1} << 20;

std::string base64_url(std::string_view bytes) {
  std::string text = base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  while (text.ends_with('=')) text.pop_back();
  return text;
}

// RSA with SHA-256, PKCS #1 1.5.
Result<std::string> rsa_signature(const std::string& key_pem, const std::string& text) {
  mbedtls_pk_context key;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_pk_init(&key);
  mbedtls_entropy_init(&entropy);
  mbedtls_ctr_drbg_init(&random);
  std::string signature(MBEDTLS_PK_SIGNATURE_MAX_SIZE, 0);
  size_t size = 0;
  const auto* pem = reinterpret_cast<const unsigned char*>(key_pem.c_str());
  Sha256 hash;
  hash.update(text);
  const Sha256::Digest digest = hash.digest();
  const bool is_signed =
      mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0) == 0 &&
      mbedtls_pk_parse_key(&key, pem, key_pem.size() + 1, nullptr, 0) == 0 &&
      mbedtls_pk_get_type(&key) == MBEDTLS_PK_RSA &&
      mbedtls_pk_sign(&key, MBEDTLS_MD_SHA256, digest.data(), digest.size(),
                      reinterpret_cast<unsigned char*>(signature.data()), &size,
                      mbedtls_ctr_drbg_random, &random) == 0;
  mbedtls_ctr_drbg_free(&random);
  mbedtls_entropy_free(&entropy);
  mbedtls_pk_free(&key);
  if (!is_signed) {
    return invalid_input("The private key in Google's credentials cannot be used; make a new one");
  }
  signature.resize(size);
  return signature;
}

std::string text_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// An address and the path behind it.
struct Url {
  HttpAddress address;
  std::string path;
};

Result<Url> parse_url(const std::string& url) {
  const size_t host = url.find("://");
  const size_t path = host == std::string::npos ? host : url.find('/', host + 3);
  Url result;
  result.path = path == std::string::npos ? "/" : url.substr(path);
  EVERGROVE_ASSIGN_OR_RETURN(result.address, parse_http_address(url.substr(0, path), "https"));
  const std::string& name = result.address.host;
  const bool is_near = name == "127.0.0.1" || name == "localhost" || name == "::1";
  if (!result.address.has_tls && !is_near) {
    return invalid_input(
        "Google's credentials name a token_uri that is not https; they are not used",
        {{"token_uri", url}});
  }
  return result;
}

std::string metadata_host() {
  const char* host = std::getenv("GCE_METADATA_HOST");
  return host != nullptr && *host != '\0' ? host : "metadata.google.internal";
}

Result<HttpAnswer> ask_machine(std::chrono::milliseconds limit) {
  EVERGROVE_ASSIGN_OR_RETURN(const HttpAddress address,
                             parse_http_address(metadata_host(), "http"));
  return HttpClient(address).send({"GET", kMetadataPath, {{"Metadata-Flavor", "Google"}}, {}},
                                  limit);
}

Result<HttpAnswer> ask_server(const GoogleIdentity& identity, std::chrono::milliseconds limit) {
  EVERGROVE_ASSIGN_OR_RETURN(const Url url, parse_url(identity.token_url));
  std::string form;
  if (identity.kind == GoogleIdentity::service_account) {
    EVERGROVE_ASSIGN_OR_RETURN(const std::string assertion,
                               google_assertion(identity, std::time(nullptr)));
    form = "grant_type=" + percent_escaped("urn:ietf:params:oauth:grant-type:jwt-bearer") +
           "&assertion=" + percent_escaped(assertion);
  } else {
    form = "grant_type=refresh_token&client_id=" + percent_escaped(identity.client_id) +
           "&client_secret=" + percent_escaped(identity.client_secret) +
           "&refresh_token=" + percent_escaped(identity.refresh_token);
  }
  return HttpClient(url.address)
      .send({"POST", url.path, {{"Content-Type", "application/x-www-form-urlencoded"}}, form},
            limit);
}

}  // namespace

Result<GoogleIdentity> parse_google_credentials(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return invalid_input("Google's credentials file is no JSON object");
  const std::string type = text_in(object, "type");
  GoogleIdentity identity;
  identity.token_url = text_in(object, "token_uri");
  if (identity.token_url.empty()) identity.token_url = kTokenUrl;
  if (type == "service_account") {
    identity.kind = GoogleIdentity::service_account;
    identity.email = text_in(object, "client_email");
    identity.private_key_pem = text_in(object, "private_key");
    identity.key_id = text_in(object, "private_key_id");
    if (identity.email.empty() || identity.private_key_pem.empty()) {
      return invalid_input("Google's credentials file lacks client_email or private_key");
    }
  } else if (type == "authorized_user") {
    identity.kind = GoogleIdentity::user;
    identity.client_id = text_in(object, "client_id");
    identity.client_secret = text_in(object, "client_secret");
    identity.refresh_token = text_in(object, "refresh_token");
    if (identity.client_id.empty() || identity.refresh_token.empty()) {
      return invalid_input("Google's credentials file lacks client_id or refresh_token");
    }
  } else {
    return unsupported(
        "This kind of Google credentials cannot keep a log; use a service account's key, gcloud "
        "auth "
        "application-default login, or a machine of Google's with a service account",
        {{"type", type}});
  }
  EVERGROVE_RETURN_IF_ERROR(parse_url(identity.token_url).status());
  return identity;
}

Result<GoogleIdentity> google_identity_of_environment() {
  const char* named = std::getenv("GOOGLE_APPLICATION_CREDENTIALS");
  const bool is_named = named != nullptr && *named != '\0';
  const char* home = std::getenv("HOME");
  const std::string path = is_named ? named
                                    : std::string(home == nullptr ? "" : home) +
                                          "/.config/gcloud/application_default_credentials.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (!is_named) return GoogleIdentity{};
    return invalid_input("The file of Google's credentials cannot be read",
                         {{"GOOGLE_APPLICATION_CREDENTIALS", path}});
  }
  std::string text;
  for (char block[4096]; file.read(block, sizeof block) || file.gcount() > 0;) {
    text.append(block, static_cast<size_t>(file.gcount()));
    if (text.size() > kFileBytesMax) break;
  }
  Result<GoogleIdentity> identity = parse_google_credentials(text);
  if (!identity.ok()) return identity.status().with_context(path);
  return identity;
}

Result<std::string> google_assertion(const GoogleIdentity& identity, std::time_t now) {
  json head = {{"alg", "RS256"}, {"typ", "JWT"}};
  if (!identity.key_id.empty()) head["kid"] = identity.key_id;
  const json claims = {{"iss", identity.email},
                       {"scope", kScope},
                       {"aud", identity.token_url},
                       {"iat", now},
                       {"exp", now + 3600}};
  const std::string text = base64_url(head.dump()) + "." + base64_url(claims.dump());
  EVERGROVE_ASSIGN_OR_RETURN(const std::string signature,
                             rsa_signature(identity.private_key_pem, text));
  return text + "." + base64_url(signature);
}

Result<std::string> GoogleToken::get(std::chrono::milliseconds limit) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!token_.empty() && now + kRenewBefore < ends_) return token_;
  EVERGROVE_ASSIGN_OR_RETURN(const HttpAnswer answer, identity_.kind == GoogleIdentity::machine
                                                          ? ask_machine(limit)
                                                          : ask_server(identity_, limit));
  const json object = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  std::string token = object.is_object() ? text_in(object, "access_token") : "";
  if (answer.code != 200 || token.empty()) {
    const Details details = {{"answer", std::to_string(answer.code)}};
    if (answer.code >= 500 || answer.code == 429) {
      return storage_error("Google gives no access token; repeat the command later", details);
    }
    return invalid_input("Google gives no access token; check the credentials", details);
  }
  const auto lasts = object.find("expires_in");
  const int64_t seconds =
      lasts != object.end() && lasts->is_number_integer() ? lasts->get<int64_t>() : 300;
  token_ = std::move(token);
  ends_ = now + std::chrono::seconds(std::clamp<int64_t>(seconds, 0, 24 * 3600));
  return token_;
}

}  // namespace evergrove::runtime
