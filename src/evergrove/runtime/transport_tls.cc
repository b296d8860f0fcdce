// A context of Mbed TLS is one thread's at a time, so reading and writing share a lock, which is
// never held while anything is waited for: it is held for a record of 16 KiB at most.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_tls.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

namespace evergrove::runtime {
namespace {

constexpr size_t kRecordBytes = 16384;

// AES first: all machines that training is done on have instructions for it.
constexpr int kCipherSuites[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                 MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                 0};

std::string reason_of(int code) {
  char text[128] = {};
  mbedtls_strerror(code, text, sizeof text);
  return text;
}

// PEM is understood with the NUL at its end only.
const unsigned char* pem_bytes(const std::string& pem) {
  return reinterpret_cast<const unsigned char*>(pem.c_str());
}

int send_some(void* socket, const unsigned char* bytes, size_t size) {
  const int number = *static_cast<const int*>(socket);
  const ssize_t sent = ::send(number, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<int>(sent);
  const bool is_for_later = errno == EAGAIN || errno == EINTR;
  return is_for_later ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

int receive_some(void* socket, unsigned char* bytes, size_t size) {
  const int number = *static_cast<const int*>(socket);
  const ssize_t got = ::recv(number, bytes, size, MSG_DONTWAIT);
  if (got >= 0) return static_cast<int>(got);
  const bool is_for_later = errno == EAGAIN || errno == EINTR;
  return is_for_later ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

}  // namespace

// What all streams of one side share. Mbed TLS has locks of its own in what changes in it.
struct TransportTls::Context {
  Context() {
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&certificates);
    mbedtls_pk_init(&key);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
  }
  ~Context() {
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&certificates);
    mbedtls_pk_free(&key);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int prepare(int side) {
    int code = mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0);
    if (code != 0) return code;
    code = mbedtls_ssl_config_defaults(&config, side, MBEDTLS_SSL_TRANSPORT_STREAM,
                                       MBEDTLS_SSL_PRESET_DEFAULT);
    if (code != 0) return code;
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_ciphersuites(&config, kCipherSuites);
    mbedtls_ssl_conf_renegotiation(&config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    return 0;
  }

  mbedtls_ssl_config config;
  mbedtls_x509_crt certificates;  // our own, or those that are trusted
  mbedtls_pk_context key;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
};

namespace {

class TlsTransportStream : public TransportStream {
 public:
  TlsTransportStream(Descriptor socket, std::shared_ptr<const void> context)
      : TransportStream(std::move(socket)), context_(std::move(context)), number_(this->socket()) {
    mbedtls_ssl_init(&ssl_);
  }
  ~TlsTransportStream() override { mbedtls_ssl_free(&ssl_); }

  int set_up(const mbedtls_ssl_config& config, const std::string& name) {
    int code = mbedtls_ssl_setup(&ssl_, &config);
    if (code == 0 && !name.empty()) code = mbedtls_ssl_set_hostname(&ssl_, name.c_str());
    mbedtls_ssl_set_bio(&ssl_, &number_, send_some, receive_some, nullptr);
    return code;
  }

  Io shake_hands() override {
    code_ = mbedtls_ssl_handshake(&ssl_);
    const bool is_no_tls =
        code_ == MBEDTLS_ERR_SSL_INVALID_RECORD || code_ == MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO;
    if (is_no_tls && ssl_.conf->endpoint == MBEDTLS_SSL_IS_SERVER) say_that_this_is_tls();
    return io(code_);
  }
  Status why_no_hands() const override;

  Io read(std::span<char> room) override {
    const std::lock_guard lock(mutex_);
    const int code =
        mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(room.data()), room.size());
    return code == 0 ? Io{Io::over} : io(code);
  }
  bool has_pending() override {
    const std::lock_guard lock(mutex_);
    return mbedtls_ssl_check_pending(&ssl_) != 0;
  }
  Io read_waiting(std::span<char> room) override {
    for (;;) {
      const Io got = read(room);
      if (got.state == Io::done || got.state == Io::over) return got;
      wait_for(got.state == Io::wants_read ? POLLIN : POLLOUT);
    }
  }
  Io write(std::span<const iovec> pieces) override {
    const std::lock_guard lock(mutex_);
    // What was not taken whole is kept: it is encrypted already.
    if (record_.empty()) gather(pieces);
    const int code = mbedtls_ssl_write(
        &ssl_, reinterpret_cast<const unsigned char*>(record_.data()), record_.size());
    if (code > 0) record_.clear();
    return io(code);
  }
  void finish() override {
    {
      const std::lock_guard lock(mutex_);
      (void)mbedtls_ssl_close_notify(&ssl_);
    }
    ::shutdown(socket(), SHUT_WR);
  }

 private:
  static Io io(int code) {
    if (code >= 0) return {Io::done, static_cast<size_t>(code)};
    if (code == MBEDTLS_ERR_SSL_WANT_READ) return {Io::wants_read};
    if (code == MBEDTLS_ERR_SSL_WANT_WRITE) return {Io::wants_write};
    return {Io::over};
  }
  // Mbed TLS says nothing to who does not speak TLS; one of ours would take that for a cut network,
  // and try again.
  void say_that_this_is_tls() {
    (void)mbedtls_ssl_send_alert_message(&ssl_, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                         MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION);
    // A socket that is closed with bytes unread takes back what it has said.
    std::array<unsigned char, 512> unread;
    (void)receive_some(&number_, unread.data(), unread.size());
  }
  void gather(std::span<const iovec> pieces) {
    for (const iovec& piece : pieces) {
      const size_t size = std::min(piece.iov_len, kRecordBytes - record_.size());
      record_.append(static_cast<const char*>(piece.iov_base), size);
      if (record_.size() == kRecordBytes) return;
    }
  }

  const std::shared_ptr<const void> context_;  // which ssl_ points into
  int number_;                                 // of the socket
  std::mutex mutex_;
  mbedtls_ssl_context ssl_;
  std::string record_;  // that is being written
  int code_ = 0;        // of the last shake_hands()
};

Status TlsTransportStream::why_no_hands() const {
  const uint32_t doubts = mbedtls_ssl_get_verify_result(&ssl_);
  if (doubts == 0 || doubts == UINT32_MAX) {
    const bool is_end = code_ == 0 || code_ == MBEDTLS_ERR_SSL_CONN_EOF;
    if (is_end) return {};
    if (code_ == MBEDTLS_ERR_SSL_INVALID_RECORD) {
      return invalid_input(
          "The peer does not speak TLS; leave out --tls-ca, or start it with --tls-cert and "
          "--tls-key");
    }
    return storage_error("TLS could not be agreed on", {{"reason", reason_of(code_)}});
  }
  if ((doubts & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
    return invalid_input(
        "The peer's certificate is not signed by the CA that was given; give by --tls-ca the "
        "ca.pem that was made with it");
  }
  if ((doubts & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
    return invalid_input(
        "The peer's certificate is for another host; make one for this host by `evergrove "
        "credentials --host NAME`");
  }
  if ((doubts & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0) {
    return invalid_input(
        "The peer's certificate is not valid at this time; check the clocks, or make a new one by "
        "`evergrove credentials --out DIR`");
  }
  return invalid_input("The peer's certificate cannot be used",
                       {{"flags", std::to_string(doubts)}});
}

}  // namespace

TransportTls::~TransportTls() = default;

Result<std::unique_ptr<TransportTls>> TransportTls::of_listener(const std::string& cert_pem,
                                                                const std::string& key_pem) {
  const auto context = std::make_shared<Context>();
  int code =
      mbedtls_x509_crt_parse(&context->certificates, pem_bytes(cert_pem), cert_pem.size() + 1);
  if (code == 0) {
    code = mbedtls_pk_parse_key(&context->key, pem_bytes(key_pem), key_pem.size() + 1, nullptr, 0);
  }
  if (code == 0) code = mbedtls_pk_check_pair(&context->certificates.pk, &context->key);
  if (code == 0) code = context->prepare(MBEDTLS_SSL_IS_SERVER);
  if (code == 0) {
    code = mbedtls_ssl_conf_own_cert(&context->config, &context->certificates, &context->key);
  }
  if (code == 0) return std::unique_ptr<TransportTls>(new TransportTls(context));
  return invalid_input(
      "Certificate and key cannot be used; give --tls-cert and --tls-key as PEM files that belong "
      "together",
      {{"reason", reason_of(code)}});
}

Result<std::unique_ptr<TransportTls>> TransportTls::of_dialler(const std::string& ca_pem) {
  const auto context = std::make_shared<Context>();
  // More than 0: so many were not understood, as one of a bundle may.
  int code = mbedtls_x509_crt_parse(&context->certificates, pem_bytes(ca_pem), ca_pem.size() + 1);
  if (code >= 0) code = context->prepare(MBEDTLS_SSL_IS_CLIENT);
  if (code != 0) {
    return invalid_input("The CA cannot be used; give --tls-ca as a PEM file of certificates",
                         {{"reason", reason_of(code)}});
  }
  mbedtls_ssl_conf_authmode(&context->config, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_ca_chain(&context->config, &context->certificates, nullptr);
  return std::unique_ptr<TransportTls>(new TransportTls(context));
}

Result<std::unique_ptr<TransportStream>> TransportTls::stream(Descriptor socket,
                                                              const std::string& name) const {
  auto stream = std::make_unique<TlsTransportStream>(std::move(socket), context_);
  const int code = stream->set_up(context_->config, name);
  if (code != 0) return storage_error("TLS could not begin", {{"reason", reason_of(code)}});
  return std::unique_ptr<TransportStream>(std::move(stream));
}

}  // namespace evergrove::runtime
