// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_store_stream.h"

#include <fcntl.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/log_store_http.h"

namespace evergrove::runtime {
namespace {

Status no_answer(const std::string& reason) {
  return storage_error("The log's object store does not answer; check its address and the network",
                       {{"reason", reason}});
}

// Waits until the socket may be read from or written to.
Status wait_for(int socket, short events, HttpStream::Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return no_answer("the time limit is over");
    pollfd waited = {socket, events, 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(left.count()) + 1);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return no_answer(std::strerror(errno));
  }
}

class TcpStream : public HttpStream {
 public:
  explicit TcpStream(Descriptor socket) : socket_(std::move(socket)) {}

  Status write(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EAGAIN) {
        EVERGROVE_RETURN_IF_ERROR(wait_for(socket_.get(), POLLOUT, deadline));
      } else if (errno != EINTR) {
        return no_answer(std::strerror(errno));
      }
    }
    return {};
  }

  Result<size_t> read(char* to, size_t size, Deadline deadline) override {
    for (;;) {
      const ssize_t got = ::recv(socket_.get(), to, size, 0);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno == EAGAIN) {
        EVERGROVE_RETURN_IF_ERROR(wait_for(socket_.get(), POLLIN, deadline));
      } else if (errno != EINTR) {
        return no_answer(std::strerror(errno));
      }
    }
  }

  int socket() const { return socket_.get(); }

 private:
  Descriptor socket_;
};

Result<std::unique_ptr<TcpStream>> connect_tcp(const HttpAddress& address,
                                               HttpStream::Deadline deadline) {
  const std::string port = !address.port.empty() ? address.port : address.has_tls ? "443" : "80";
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return no_answer(address.host + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  Status why = no_answer("no address");
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    Descriptor socket(::socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) continue;
    const int no_delay = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
    if (::connect(socket.get(), one->ai_addr, one->ai_addrlen) != 0) {
      if (errno != EINPROGRESS) {
        why = no_answer(std::strerror(errno));
        continue;
      }
      why = wait_for(socket.get(), POLLOUT, deadline);
      if (!why.ok()) continue;
      int failure = 0;
      socklen_t size = sizeof failure;
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
      if (failure != 0) {
        why = no_answer(std::strerror(failure));
        continue;
      }
    }
    return std::make_unique<TcpStream>(std::move(socket));
  }
  return why;
}

std::string certificates_path() {
  for (const char* name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* path = std::getenv(name);
    if (path != nullptr && *path != '\0') return path;
  }
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem"}) {
    if (read_file(path).ok()) return path;
  }
  return "/etc/ssl/cert.pem";
}

std::string tls_reason(int code) {
  char text[128] = {};
  mbedtls_strerror(code, text, sizeof text);
  return text;
}

class TlsStream : public HttpStream {
 public:
  explicit TlsStream(std::unique_ptr<TcpStream> tcp) : tcp_(std::move(tcp)) {
    mbedtls_ssl_init(&ssl_);
    mbedtls_ssl_config_init(&config_);
    mbedtls_x509_crt_init(&trusted_);
    mbedtls_entropy_init(&entropy_);
    mbedtls_ctr_drbg_init(&random_);
  }
  ~TlsStream() override {
    mbedtls_ssl_free(&ssl_);
    mbedtls_ssl_config_free(&config_);
    mbedtls_x509_crt_free(&trusted_);
    mbedtls_ctr_drbg_free(&random_);
    mbedtls_entropy_free(&entropy_);
  }

  Status shake_hands(const std::string& host, Deadline deadline) {
    const std::string certificates = certificates_path();
    // More than 0: so many were not understood, as one of a bundle may.
    if (mbedtls_x509_crt_parse_file(&trusted_, certificates.c_str()) < 0) {
      return storage_error(
          "The certificates that the system trusts cannot be read; install them "
          "(ca-certificates), or name a file with SSL_CERT_FILE",
          {{"file", certificates}});
    }
    int code = mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0);
    if (code == 0) {
      code = mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    }
    if (code != 0) return no_answer(tls_reason(code));
    mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config_, &trusted_, nullptr);
    mbedtls_ssl_conf_rng(&config_, mbedtls_ctr_drbg_random, &random_);
    mbedtls_ssl_conf_min_version(&config_, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    code = mbedtls_ssl_setup(&ssl_, &config_);
    if (code == 0) code = mbedtls_ssl_set_hostname(&ssl_, host.c_str());
    if (code != 0) return no_answer(tls_reason(code));
    mbedtls_ssl_set_bio(&ssl_, tcp_.get(), send_some, receive_some, nullptr);
    const Status shaken = repeat([&] { return mbedtls_ssl_handshake(&ssl_); }, deadline).status();
    const uint32_t doubts = mbedtls_ssl_get_verify_result(&ssl_);
    if (shaken.ok() || doubts == 0 || doubts == UINT32_MAX) return shaken;
    char text[512] = {};
    mbedtls_x509_crt_verify_info(text, sizeof text, "", doubts);
    std::string reasons = text;
    std::replace(reasons.begin(), reasons.end(), '\n', ' ');
    return invalid_input(
        "The certificate of the log's object store is not trusted; name a file of the certificates "
        "that are with SSL_CERT_FILE",
        {{"host", host}, {"trusted", certificates}, {"reason", reasons}});
  }

  Status write(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      EVERGROVE_ASSIGN_OR_RETURN(
          const int sent,
          repeat([&] { return mbedtls_ssl_write(&ssl_, as_bytes(bytes.data()), bytes.size()); },
                 deadline));
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return {};
  }

  Result<size_t> read(char* to, size_t size, Deadline deadline) override {
    EVERGROVE_ASSIGN_OR_RETURN(
        const int got,
        repeat([&] { return mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(to), size); },
               deadline));
    return static_cast<size_t>(got);
  }

 private:
  static const unsigned char* as_bytes(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
  }
  static int send_some(void* tcp, const unsigned char* bytes, size_t size) {
    const ssize_t sent = ::send(static_cast<TcpStream*>(tcp)->socket(), bytes, size, MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<int>(sent);
    const bool later = errno == EAGAIN || errno == EINTR;
    return later ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
  }
  static int receive_some(void* tcp, unsigned char* bytes, size_t size) {
    const ssize_t got = ::recv(static_cast<TcpStream*>(tcp)->socket(), bytes, size, 0);
    if (got >= 0) return static_cast<int>(got);
    const bool later = errno == EAGAIN || errno == EINTR;
    return later ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
  }

  // Does a step of TLS until it is done, waiting for the socket in between.
  template <typename Step>
  Result<int> repeat(Step step, Deadline deadline) {
    for (;;) {
      const int code = step();
      if (code >= 0) return code;
      if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) return 0;
      if (code == MBEDTLS_ERR_SSL_WANT_READ) {
        EVERGROVE_RETURN_IF_ERROR(wait_for(tcp_->socket(), POLLIN, deadline));
      } else if (code == MBEDTLS_ERR_SSL_WANT_WRITE) {
        EVERGROVE_RETURN_IF_ERROR(wait_for(tcp_->socket(), POLLOUT, deadline));
      } else {
        return no_answer(tls_reason(code));
      }
    }
  }

  std::unique_ptr<TcpStream> tcp_;
  mbedtls_ssl_context ssl_;
  mbedtls_ssl_config config_;
  mbedtls_x509_crt trusted_;
  mbedtls_entropy_context entropy_;
  mbedtls_ctr_drbg_context random_;
};

}  // namespace

Result<std::unique_ptr<HttpStream>> HttpStream::connect(const HttpAddress& address,
                                                        Deadline deadline) {
  EVERGROVE_ASSIGN_OR_RETURN(std::unique_ptr<TcpStream> tcp, connect_tcp(address, deadline));
  if (!address.has_tls) return std::unique_ptr<HttpStream>(std::move(tcp));
  auto tls = std::make_unique<TlsStream>(std::move(tcp));
  EVERGROVE_RETURN_IF_ERROR(tls->shake_hands(address.host, deadline));
  return std::unique_ptr<HttpStream>(std::move(tls));
}

}  // namespace evergrove::runtime
