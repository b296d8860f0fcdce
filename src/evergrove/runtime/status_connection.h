// StatusConnection: one HTTP/1.1 request over a stream, and its answer; then the connection ends.
//
// It never waits: advance() does what can be done now, and says whether there will be more. What
// the other end may have of us is bounded: kHeaderBytesMax of request, no body, and as long as
// whoever owns the connection lets it live. Boost.Beast understands the request and writes the
// answer. One thread.
//
//   StatusConnection connection(plain_transport_stream(std::move(socket)), [&](const StatusRequest&
//   request)
//   {
//     return site.answer(request);
//   });
//   while (connection.advance()) ...poll connection.socket() for connection.events()
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "evergrove/runtime/status_site.h"
#include "evergrove/runtime/transport_stream.h"

namespace evergrove::runtime {

class StatusConnection {
 public:
  using Answerer = std::function<StatusAnswer(const StatusRequest&)>;

  StatusConnection(std::unique_ptr<TransportStream> stream, Answerer answerer);
  ~StatusConnection();
  StatusConnection(StatusConnection&&) noexcept;
  StatusConnection& operator=(StatusConnection&&) noexcept;

  // False: it is over.
  bool advance();
  // What poll() is to wait for.
  short events() const;
  int socket() const;

  static constexpr size_t kHeaderBytesMax = 8 << 10;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace evergrove::runtime
