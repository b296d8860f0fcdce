// What a browser, or anybody, says to the status page: any bytes, in any pieces, get one answer of
// HTTP or none, no more is read of them than is allowed, and without the token nobody sees the run.
//
// The input is how many bytes come at once (u8, 0: all), whether there is a token (u8), and the
// bytes of the connection.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "evergrove/runtime/status_connection.h"
#include "evergrove/runtime/status_site.h"
#include "evergrove/runtime/transport_stream.h"

namespace {

using namespace evergrove::runtime;

void require(bool condition) {
  if (!condition) std::abort();
}

// The other end of a connection, in memory: says its bytes piece by piece, and keeps what it hears.
class MemoryStream : public TransportStream {
 public:
  MemoryStream(std::string_view says, size_t piece, std::string& heard)
      : TransportStream(Descriptor(-1)), says_(says), piece_(piece), heard_(heard) {}

  Io read(std::span<char> room) override {
    if (says_.empty()) return {};
    if (is_pausing_ = !is_pausing_; is_pausing_) return {Io::wants_read};
    const size_t size = std::min({room.size(), says_.size(), piece_});
    std::copy_n(says_.data(), size, room.data());
    says_.remove_prefix(size);
    return {Io::done, size};
  }
  Io read_waiting(std::span<char> room) override { return read(room); }
  Io write(std::span<const iovec> pieces) override {
    if (is_pausing_ = !is_pausing_; is_pausing_) return {Io::wants_write};
    const size_t size = std::min<size_t>(pieces[0].iov_len, 1000);
    heard_.append(static_cast<const char*>(pieces[0].iov_base), size);
    return {Io::done, size};
  }
  void finish() override { require(!std::exchange(has_finished_, true)); }

 private:
  std::string_view says_;
  size_t piece_;
  std::string& heard_;
  bool is_pausing_ = false;
  bool has_finished_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool has_token = (data[1] & 1) != 0;
  static StatusSite open_site("");
  static StatusSite closed_site("a-token-that-nobody-makes-up");
  StatusSite& site = has_token ? closed_site : open_site;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string heard;
  int answers = 0;
  unsigned code = 0;
  StatusConnection connection(
      std::make_unique<MemoryStream>(bytes, data[0] == 0 ? size : data[0], heard),
      [&](const StatusRequest& request) {
        ++answers;
        require(request.target.size() + request.host.size() <= StatusConnection::kHeaderBytesMax);
        const StatusAnswer answer = site.answer(request);
        code = answer.code;
        // All that a stranger may learn is that somebody is there.
        const bool is_open = std::string_view(request.target).substr(0, 8) == "/healthz";
        require(!has_token || code != 200 || is_open);
        return answer;
      });
  while (connection.advance()) continue;
  require(answers <= 1);
  require(heard.empty() || heard.starts_with("HTTP/1.1 "));
  if (answers == 1 && !heard.empty()) {
    require(heard.starts_with("HTTP/1.1 " + std::to_string(code) + " "));
  }
  return 0;
}
