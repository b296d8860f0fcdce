// ServerStream: an accepted connection over a socket that does not block, with or without TLS.
//
// Each call does what can be done now and says what to wait for. One thread at a time.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto tls, TlsServer::create(cert_pem, key_pem));
//   std::unique_ptr<ServerStream> stream = tls->stream(std::move(socket));
//   const Io io = stream->read(buffer, sizeof buffer);
//   if (io.state == Io::wants_read) ...poll, and again
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {

struct Io {
  enum State : uint8_t { done, wants_read, wants_write, over };
  State state = over;  // over: the other end has closed or failed
  size_t bytes = 0;
};

class ServerStream {
 public:
  explicit ServerStream(Descriptor socket) : socket_(std::move(socket)) {}
  virtual ~ServerStream() = default;

  // Is done at once without TLS. Comes before the others.
  virtual Io shake_hands() = 0;
  virtual Io read(char* to, size_t size) = 0;
  virtual Io write(std::string_view bytes) = 0;
  // Says that nothing more will be written.
  virtual void finish() = 0;
  int socket() const { return socket_.get(); }

 private:
  Descriptor socket_;
};

std::unique_ptr<ServerStream> plain_stream(Descriptor socket);

// A certificate and its key, for many streams, which must not outlive it.
class TlsServer {
 public:
  static Result<std::unique_ptr<TlsServer>> create(const std::string& cert_pem,
                                                   const std::string& key_pem);
  ~TlsServer();

  // Null if there is no memory for it.
  std::unique_ptr<ServerStream> stream(Descriptor socket) const;

 private:
  struct Context;
  TlsServer();

  std::unique_ptr<Context> context_;
};

}  // namespace evergrove::runtime
