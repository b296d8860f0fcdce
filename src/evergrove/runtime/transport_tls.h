// TLS of a Transport: streams of who listens with a certificate, and of who dials and trusts a CA.
//
// Promise: TLS 1.2 with ephemeral keys and authenticated encryption, or nothing; a peer's
// certificate is checked against the CA and the name. Streams keep what they need of their
// TransportTls, which any thread may use.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const auto tls, TransportTls::of_dialler(ca_pem));
//   EVERGROVE_ASSIGN_OR_RETURN(auto stream, tls->stream(std::move(socket), "worker-7.internal"));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {

class TransportTls {
 public:
  // invalid_input for what is no certificate, no key, or a key of another certificate.
  static Result<std::unique_ptr<TransportTls>> of_listener(const std::string& cert_pem,
                                                           const std::string& key_pem);
  static Result<std::unique_ptr<TransportTls>> of_dialler(const std::string& ca_pem);
  ~TransportTls();

  // The other end is to have a certificate for this name; of a listener it is not asked for one.
  Result<std::unique_ptr<TransportStream>> stream(Descriptor socket, const std::string& name) const;

 private:
  struct Context;
  explicit TransportTls(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  std::shared_ptr<Context> context_;
};

}  // namespace evergrove::runtime
