// An answer is a status line, headers up to an empty line, and a body: none (HEAD, 1xx, 204, 304),
// in chunks, of Content-Length bytes, or up to the end of the connection (RFC 9112, 6.3).
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_store_http.h"

#include <algorithm>
#include <charconv>

#include "evergrove/base/lower_case.h"
#include "evergrove/runtime/log_store_stream.h"

namespace evergrove::runtime {
namespace {

Status not_http(const std::string& what) {
  return storage_error("The log's object store does not answer in HTTP; check its address",
                       {{"reason", what}});
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool parse_size(std::string_view text, int base, size_t& size) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), size, base);
  return end.ec == std::errc() && end.ptr != text.data();
}

// Reads one answer from a stream.
class AnswerReader {
 public:
  AnswerReader(HttpStream& stream, HttpStream::Deadline deadline)
      : stream_(stream), deadline_(deadline) {}

  Status read(HttpAnswer& answer) {
    std::string line;
    do {
      EVERGROVE_RETURN_IF_ERROR(read_line(line));
      if (!line.starts_with("HTTP/1.") || line.size() < 12 ||
          std::from_chars(line.data() + 9, line.data() + 12, answer.code).ec != std::errc()) {
        return not_http("the answer has no status line");
      }
      keeps_ = line[7] == '1';
      EVERGROVE_RETURN_IF_ERROR(read_headers());
    } while (answer.code >= 100 && answer.code < 200);
    if (answer.code == 204 || answer.code == 304) return {};
    if (is_chunked_) return read_chunks(answer.body);
    if (has_length_) return read_bytes(length_, answer.body);
    keeps_ = false;
    return read_to_end(answer.body);
  }

  // Whether the connection may be used again.
  bool keeps() const { return keeps_ && buffer_.empty(); }
  bool has_begun() const { return has_begun_; }

 private:
  Result<bool> read_more() {
    char bytes[1 << 14];
    EVERGROVE_ASSIGN_OR_RETURN(const size_t got, stream_.read(bytes, sizeof bytes, deadline_));
    if (got == 0) return false;
    has_begun_ = true;
    buffer_.append(bytes, got);
    return true;
  }
  Status need_more() {
    if (buffer_.size() > HttpClient::kAnswerBytesMax) return not_http("the answer is too long");
    EVERGROVE_ASSIGN_OR_RETURN(const bool is_more, read_more());
    if (!is_more) return not_http("the connection ended within an answer");
    return {};
  }
  Status read_line(std::string& line) {
    size_t end = 0;
    while ((end = buffer_.find('\n')) == std::string::npos) {
      EVERGROVE_RETURN_IF_ERROR(need_more());
    }
    line = std::string(trimmed(std::string_view(buffer_).substr(0, end)));
    buffer_.erase(0, end + 1);
    return {};
  }
  Status read_headers() {
    std::string line;
    for (size_t bytes = 0;; bytes += line.size()) {
      EVERGROVE_RETURN_IF_ERROR(read_line(line));
      if (line.empty()) return {};
      if (bytes > HttpClient::kAnswerBytesMax) return not_http("the answer is too long");
      const size_t colon = std::min(line.find(':'), line.size());
      const std::string name = lower_case(std::string_view(line).substr(0, colon));
      const std::string value =
          lower_case(trimmed(std::string_view(line).substr(std::min(colon + 1, line.size()))));
      if (name == "content-length") {
        has_length_ = parse_size(value, 10, length_);
        if (!has_length_) return not_http("the answer's length is no number");
      } else if (name == "transfer-encoding") {
        is_chunked_ = value == "chunked";
      } else if (name == "connection" && value == "close") {
        keeps_ = false;
      }
    }
  }
  Status read_bytes(size_t size, std::string& body) {
    if (size > HttpClient::kAnswerBytesMax - std::min(body.size(), HttpClient::kAnswerBytesMax)) {
      return not_http("the answer is too long");
    }
    while (buffer_.size() < size) EVERGROVE_RETURN_IF_ERROR(need_more());
    body.append(buffer_, 0, size);
    buffer_.erase(0, size);
    return {};
  }
  Status read_chunks(std::string& body) {
    std::string line;
    for (;;) {
      EVERGROVE_RETURN_IF_ERROR(read_line(line));
      size_t size = 0;
      if (!parse_size(line, 16, size)) return not_http("a chunk's length is no number");
      if (size == 0) return read_headers();  // the trailer
      EVERGROVE_RETURN_IF_ERROR(read_bytes(size, body));
      EVERGROVE_RETURN_IF_ERROR(read_line(line));
    }
  }
  Status read_to_end(std::string& body) {
    for (;;) {
      if (buffer_.size() > HttpClient::kAnswerBytesMax) return not_http("the answer is too long");
      EVERGROVE_ASSIGN_OR_RETURN(const bool is_more, read_more());
      if (!is_more) break;
    }
    body = std::move(buffer_);
    buffer_.clear();
    return {};
  }

  HttpStream& stream_;
  HttpStream::Deadline deadline_;
  std::string buffer_;
  bool has_begun_ = false;
  bool keeps_ = true;
  bool is_chunked_ = false;
  bool has_length_ = false;
  size_t length_ = 0;
};

std::string head_of(const HttpRequest& request, const HttpAddress& address) {
  std::string head = request.method + " " + request.target +
                     " HTTP/1.1\r\nHost: " + address.authority() +
                     "\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n";
  for (const auto& [name, value] : request.headers) head += name + ": " + value + "\r\n";
  return head + "\r\n";
}

}  // namespace

std::string HttpAddress::authority() const { return port.empty() ? host : host + ":" + port; }

Result<HttpAddress> parse_http_address(std::string_view text, std::string_view default_scheme) {
  std::string_view scheme = default_scheme;
  std::string_view rest = text;
  if (const size_t end = text.find("://"); end != std::string_view::npos) {
    scheme = text.substr(0, end);
    rest = text.substr(end + 3);
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  HttpAddress address;
  address.has_tls = scheme == "https";
  const size_t bracket = rest.rfind(']');  // of an IPv6 address
  const size_t colon = rest.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  address.host = std::string(rest.substr(0, has_port ? colon : rest.size()));
  if (has_port) address.port = std::string(rest.substr(colon + 1));
  const bool is_known = scheme == "https" || scheme == "http";
  if (!is_known || address.host.empty() ||
      rest.find_first_of("/ \r\n?#@") != std::string_view::npos) {
    return invalid_input(
        "The address of an object store is not understood; give it as http://host:port",
        {{"address", std::string(text)}});
  }
  return address;
}

HttpClient::HttpClient(HttpAddress address) : address_(std::move(address)) {}
HttpClient::~HttpClient() = default;

Result<HttpAnswer> HttpClient::send(const HttpRequest& request, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const std::string head = head_of(request, address_);
  for (;;) {
    std::unique_ptr<HttpStream> stream;
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        stream = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    const bool is_used = stream != nullptr;
    if (!is_used) {
      EVERGROVE_ASSIGN_OR_RETURN(stream, HttpStream::connect(address_, deadline));
    }
    AnswerReader reader(*stream, deadline);
    HttpAnswer answer;
    Status status = stream->write(head, deadline);
    if (status.ok()) status = stream->write(request.body, deadline);
    if (status.ok()) status = reader.read(answer);
    if (status.ok()) {
      if (reader.keeps()) {
        std::lock_guard lock(mutex_);
        idle_.push_back(std::move(stream));
      }
      return answer;
    }
    // A kept connection may have been closed by the server in the meantime: take another.
    const bool is_late = std::chrono::steady_clock::now() >= deadline;
    if (!is_used || reader.has_begun() || is_late) return status;
  }
}

}  // namespace evergrove::runtime
