// The phases of a connection: shake hands (TLS), read the request's header, write the answer, and
// swallow what the other end still sends, lest the answer be lost with a reset.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/status_connection.h"

#include <poll.h>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>

namespace evergrove::runtime {
namespace {

namespace http = boost::beast::http;

constexpr size_t kSwallowedMax = 1 << 20;

std::string bytes_of(const StatusAnswer& answer) {
  http::response<http::string_body> response(static_cast<http::status>(answer.code), 11);
  for (const auto& [name, value] : answer.headers) response.set(name, value);
  response.set(http::field::cache_control, "no-store");
  response.set(http::field::connection, "close");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Referrer-Policy", "no-referrer");
  response.body() = answer.body;
  response.prepare_payload();
  std::ostringstream text;
  text << response;
  return std::move(text).str();
}

}  // namespace

struct StatusConnection::State {
  enum Phase : uint8_t { hands, request, answer, swallow };

  std::unique_ptr<TransportStream> stream;
  Answerer answerer;
  Phase phase = hands;
  short events = POLLIN;
  http::request_parser<http::empty_body> parser;
  std::string in;  // not parsed yet
  std::string out;
  size_t out_begin = 0;
  size_t swallowed = 0;

  // Each returns false when there is nothing more to do now: `events` says what to wait for.
  bool shake_hands();
  bool read_request();
  bool write_answer();
  bool swallow_rest();
  bool wait(const Io& io);
  void say(const StatusAnswer& said) {
    out = bytes_of(said);
    phase = answer;
  }

  bool is_over = false;
};

bool StatusConnection::State::wait(const Io& io) {
  if (io.state == Io::over) is_over = true;
  events = io.state == Io::wants_write ? POLLOUT : POLLIN;
  return false;
}

bool StatusConnection::State::shake_hands() {
  const Io io = stream->shake_hands();
  if (io.state != Io::done) return wait(io);
  phase = request;
  return true;
}

bool StatusConnection::State::read_request() {
  char bytes[4096];
  const Io io = stream->read(bytes);
  if (io.state != Io::done) return wait(io);
  in.append(bytes, io.bytes);
  boost::system::error_code error;
  const size_t parsed = parser.put(boost::asio::const_buffer(in.data(), in.size()), error);
  in.erase(0, parsed);
  // A line of which the end has not come is not counted by the parser.
  if (in.size() > kHeaderBytesMax) error = http::error::header_limit;
  if (error == http::error::need_more) return true;
  if (error == http::error::header_limit) {
    say(StatusSite::refusal(431, "The request is too long"));
  } else if (!parser.is_header_done()) {
    if (!error) return true;
    say(StatusSite::refusal(400, "This is not a request of HTTP/1.1"));
  } else {
    const auto& header = parser.get();
    const auto text = [](const auto& view) { return std::string(view.data(), view.size()); };
    say(answerer({text(header.method_string()), text(header.target()),
                  text(header[http::field::host]), text(header[http::field::authorization])}));
  }
  return true;
}

bool StatusConnection::State::write_answer() {
  const iovec rest{out.data() + out_begin, out.size() - out_begin};
  const Io io = stream->write({&rest, 1});
  if (io.state != Io::done) return wait(io);
  out_begin += io.bytes;
  if (out_begin < out.size()) return true;
  stream->finish();
  phase = swallow;
  return true;
}

bool StatusConnection::State::swallow_rest() {
  char bytes[4096];
  const Io io = stream->read(bytes);
  if (io.state != Io::done) return wait(io);
  swallowed += io.bytes;
  if (swallowed > kSwallowedMax) is_over = true;
  return !is_over;
}

StatusConnection::StatusConnection(std::unique_ptr<TransportStream> stream, Answerer answerer)
    : state_(std::make_unique<State>()) {
  state_->stream = std::move(stream);
  state_->answerer = std::move(answerer);
  state_->parser.header_limit(kHeaderBytesMax);
  state_->parser.skip(true);  // no body is of interest
}

StatusConnection::~StatusConnection() = default;
StatusConnection::StatusConnection(StatusConnection&&) noexcept = default;
StatusConnection& StatusConnection::operator=(StatusConnection&&) noexcept = default;

short StatusConnection::events() const { return state_->events; }
int StatusConnection::socket() const { return state_->stream->socket(); }

bool StatusConnection::advance() {
  State& state = *state_;
  bool goes_on = true;
  while (goes_on) {
    switch (state.phase) {
      case State::hands:
        goes_on = state.shake_hands();
        break;
      case State::request:
        goes_on = state.read_request();
        break;
      case State::answer:
        goes_on = state.write_answer();
        break;
      case State::swallow:
        goes_on = state.swallow_rest();
        break;
    }
  }
  return !state.is_over;
}

}  // namespace evergrove::runtime
