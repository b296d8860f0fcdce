// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/server_stream.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <sys/socket.h>

#include <cerrno>

namespace evergrove::runtime {
namespace {

bool is_for_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

class PlainStream : public ServerStream {
 public:
  using ServerStream::ServerStream;

  Io shake_hands() override { return {Io::done}; }
  Io read(char* to, size_t size) override {
    const ssize_t got = ::recv(socket(), to, size, 0);
    if (got > 0) return {Io::done, static_cast<size_t>(got)};
    return {got < 0 && is_for_later(errno) ? Io::wants_read : Io::over};
  }
  Io write(std::string_view bytes) override {
    const ssize_t sent = ::send(socket(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {Io::done, static_cast<size_t>(sent)};
    return {is_for_later(errno) ? Io::wants_write : Io::over};
  }
  void finish() override { ::shutdown(socket(), SHUT_WR); }
};

int send_some(void* stream, const unsigned char* bytes, size_t size) {
  const int socket = static_cast<ServerStream*>(stream)->socket();
  const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<int>(sent);
  return is_for_later(errno) ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

int receive_some(void* stream, unsigned char* bytes, size_t size) {
  const ssize_t got = ::recv(static_cast<ServerStream*>(stream)->socket(), bytes, size, 0);
  if (got >= 0) return static_cast<int>(got);
  return is_for_later(errno) ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

class TlsStream : public ServerStream {
 public:
  explicit TlsStream(Descriptor socket) : ServerStream(std::move(socket)) {
    mbedtls_ssl_init(&ssl_);
  }
  ~TlsStream() override { mbedtls_ssl_free(&ssl_); }

  bool set_up(const mbedtls_ssl_config& config) {
    if (mbedtls_ssl_setup(&ssl_, &config) != 0) return false;
    mbedtls_ssl_set_bio(&ssl_, static_cast<ServerStream*>(this), send_some, receive_some, nullptr);
    return true;
  }

  Io shake_hands() override { return io(mbedtls_ssl_handshake(&ssl_)); }
  Io read(char* to, size_t size) override {
    const Io got = io(mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(to), size));
    return got.state == Io::done && got.bytes == 0 ? Io{Io::over} : got;
  }
  Io write(std::string_view bytes) override {
    return io(mbedtls_ssl_write(&ssl_, reinterpret_cast<const unsigned char*>(bytes.data()),
                                bytes.size()));
  }
  void finish() override {
    (void)mbedtls_ssl_close_notify(&ssl_);
    ::shutdown(socket(), SHUT_WR);
  }

 private:
  static Io io(int code) {
    if (code >= 0) return {Io::done, static_cast<size_t>(code)};
    if (code == MBEDTLS_ERR_SSL_WANT_READ) return {Io::wants_read};
    if (code == MBEDTLS_ERR_SSL_WANT_WRITE) return {Io::wants_write};
    return {Io::over};
  }

  mbedtls_ssl_context ssl_;
};

Status not_understood(const char* what, int code) {
  char text[128] = {};
  mbedtls_strerror(code, text, sizeof text);
  return invalid_input(std::string("The ") + what +
                           " for TLS is not understood; give PEM files, as `evergrove credentials` "
                           "makes them",
                       {{"reason", text}});
}

}  // namespace

struct TlsServer::Context {
  Context() {
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
  }
  ~Context() {
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&certificate);
    mbedtls_pk_free(&key);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
  }

  mbedtls_ssl_config config;
  mbedtls_x509_crt certificate;
  mbedtls_pk_context key;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
};

TlsServer::TlsServer() : context_(std::make_unique<Context>()) {}
TlsServer::~TlsServer() = default;

std::unique_ptr<ServerStream> plain_stream(Descriptor socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

Result<std::unique_ptr<TlsServer>> TlsServer::create(const std::string& cert_pem,
                                                     const std::string& key_pem) {
  std::unique_ptr<TlsServer> server(new TlsServer());
  Context& context = *server->context_;
  // PEM is understood with the NUL at its end only.
  const auto bytes = [](const std::string& pem) {
    return reinterpret_cast<const unsigned char*>(pem.c_str());
  };
  int code = mbedtls_x509_crt_parse(&context.certificate, bytes(cert_pem), cert_pem.size() + 1);
  if (code != 0) return not_understood("certificate", code);
  code = mbedtls_pk_parse_key(&context.key, bytes(key_pem), key_pem.size() + 1, nullptr, 0);
  if (code == 0) code = mbedtls_pk_check_pair(&context.certificate.pk, &context.key);
  if (code != 0) return not_understood("key", code);
  code = mbedtls_ctr_drbg_seed(&context.random, mbedtls_entropy_func, &context.entropy, nullptr, 0);
  if (code == 0) {
    code = mbedtls_ssl_config_defaults(&context.config, MBEDTLS_SSL_IS_SERVER,
                                       MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  }
  if (code == 0) {
    code = mbedtls_ssl_conf_own_cert(&context.config, &context.certificate, &context.key);
  }
  if (code != 0) return not_understood("certificate", code);
  mbedtls_ssl_conf_rng(&context.config, mbedtls_ctr_drbg_random, &context.random);
  mbedtls_ssl_conf_min_version(&context.config, MBEDTLS_SSL_MAJOR_VERSION_3,
                               MBEDTLS_SSL_MINOR_VERSION_3);
  return server;
}

std::unique_ptr<ServerStream> TlsServer::stream(Descriptor socket) const {
  auto stream = std::make_unique<TlsStream>(std::move(socket));
  if (!stream->set_up(context_->config)) return nullptr;
  return stream;
}

}  // namespace evergrove::runtime
