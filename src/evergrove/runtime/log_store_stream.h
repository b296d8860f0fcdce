// HttpStream: bytes to and from a server over TCP, with TLS if asked, each step up to a deadline.
//
// One thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

struct HttpAddress;

class HttpStream {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  static Result<std::unique_ptr<HttpStream>> connect(const HttpAddress& address, Deadline deadline);
  virtual ~HttpStream() = default;

  virtual Status write(std::string_view bytes, Deadline deadline) = 0;
  // Returns how many bytes came; 0: the other end has closed.
  virtual Result<size_t> read(char* to, size_t size, Deadline deadline) = 0;
};

}  // namespace evergrove::runtime
