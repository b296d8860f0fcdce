// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_listener.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_local.h"
#include "evergrove/runtime/transport_sockets.h"
#include "evergrove/runtime/transport_stranger.h"
#include "evergrove/runtime/transport_tls.h"

namespace evergrove::runtime {
namespace {

using Clock = Stranger::Clock;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{100};  // for strangers that are late
constexpr milliseconds kPauseWithoutSockets{200};

}  // namespace

class Listener::Thread {
 public:
  Thread(const TransportOptions& options, ListenerHost host, ListeningSocket listening,
         Descriptor local, std::string local_peer, std::unique_ptr<TransportTls> tls)
      : options_(options),
        terms_{options.version, options.name, options.run, options.token},
        host_(std::move(host)),
        listening_(std::move(listening)),
        local_(std::move(local)),
        local_peer_(std::move(local_peer)),
        tls_(std::move(tls)),
        thread_([this] { run(); }) {}
  ~Thread() {
    is_stopping_ = true;
    wake_.call();
    thread_.join();
  }
  uint16_t port() const { return listening_.port; }

 private:
  void run() {
    while (!is_stopping_) {
      wait();
      const Clock::time_point now = Clock::now();
      // First who has come already: in a crowd he may be let in, and make room.
      advance_all();
      if (accepts_at_ <= now) accept_all(now);
      cut_the_late(now);
    }
  }

  void wait() {
    const bool may_accept = accepts_at_ <= Clock::now() && has_place();
    const auto wanted = static_cast<short>(may_accept ? POLLIN : 0);
    polled_.assign({{wake_.get(), POLLIN, 0},
                    {listening_.socket.get(), wanted, 0},
                    {local_.get(), wanted, 0}});  // a descriptor that is none is passed over
    for (const Stranger& one : strangers_) polled_.push_back({one.socket(), one.events(), 0});
    const bool is_idle = strangers_.empty() && may_accept;
    ::poll(polled_.data(), polled_.size(), is_idle ? -1 : static_cast<int>(kLookEvery.count()));
  }

  void advance_all() {
    size_t place = 3;  // in polled_: the strangers' order, which only changes here and below
    for (auto one = strangers_.begin(); one != strangers_.end(); ++place) {
      one = polled_[place].revents == 0 || advance(*one) ? std::next(one) : strangers_.erase(one);
    }
  }

  // False: it is none any more.
  bool advance(Stranger& stranger) {
    const bool was_refused = !stranger.why().ok();
    const Stranger::State state = stranger.advance();
    if (!was_refused && !stranger.why().ok()) {
      // Counted before he knows.
      host_.refuse(stranger.address() + " was refused: " + stranger.why().message());
      return state == Stranger::State::refused && stranger.tell_why();
    }
    if (state == Stranger::State::let_in) {
      host_.accept(stranger.name(), stranger.address(), stranger.take_stream());
    }
    return state == Stranger::State::waiting || state == Stranger::State::refused;
  }

  bool has_place() const {
    return strangers_.size() < options_.unauthenticated_count_max + kJustComeMax;
  }

  void accept_all(Clock::time_point now) {
    while (local_.is_open() && !is_stopping_ && has_place()) {
      AcceptedSocket accepted = accept_locally(local_);
      if (accepted.is_short) accepts_at_ = now + kPauseWithoutSockets;
      if (!accepted.socket.is_open()) break;
      strangers_.emplace_back(local_transport_stream(std::move(accepted.socket)), local_peer_,
                              terms_, now);
    }
    while (!is_stopping_ && has_place()) {
      AcceptedSocket accepted = accept_from(listening_);
      // The run needs what descriptors there are more than those who want to join.
      if (accepted.is_short) accepts_at_ = now + kPauseWithoutSockets;
      if (!accepted.socket.is_open()) return;
      std::unique_ptr<TransportStream> stream;
      if (tls_ == nullptr) {
        stream = plain_transport_stream(std::move(accepted.socket));
      } else if (auto made = tls_->stream(std::move(accepted.socket), ""); made.ok()) {
        stream = std::move(made).value();
      } else {
        continue;
      }
      strangers_.emplace_back(std::move(stream), std::move(accepted.peer), terms_, now);
    }
  }

  void cut_the_late(Clock::time_point now) {
    std::vector<milliseconds> ages;
    for (const Stranger& one : strangers_) {
      ages.push_back(std::chrono::duration_cast<milliseconds>(now - one.since()));
    }
    size_t count =
        late_count(ages, options_.unauthenticated_max, options_.unauthenticated_count_max);
    for (; count > 0; --count) {
      const Stranger& one = strangers_.front();
      if (one.why().ok()) {
        host_.refuse(one.address() + " was cut off: it connected and did not say who it is");
      }
      strangers_.pop_front();
    }
  }

  const TransportOptions& options_;
  const GreetingTerms terms_;
  const ListenerHost host_;
  const ListeningSocket listening_;
  const Descriptor local_;  // not open: there is none
  const std::string local_peer_;
  const std::unique_ptr<TransportTls> tls_;  // null: none
  const WakeUp wake_;
  std::atomic<bool> is_stopping_ = false;

  Clock::time_point accepts_at_{};
  std::list<Stranger> strangers_;  // the first come first
  std::vector<pollfd> polled_;
  std::thread thread_;  // last: it uses all the others
};

Listener::Listener() = default;
Listener::~Listener() = default;

Result<std::unique_ptr<Listener>> Listener::open(const TransportOptions& options,
                                                 ListenerHost host) {
  EVERGROVE_RETURN_IF_ERROR(check_may_listen(options));
  EVERGROVE_ASSIGN_OR_RETURN(const PortRange places, parse_port_range(options.listen));
  std::unique_ptr<TransportTls> tls;
  if (!options.tls_cert_pem.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(
        tls, TransportTls::of_listener(options.tls_cert_pem, options.tls_key_pem));
  }
  raise_socket_limit();
  EVERGROVE_ASSIGN_OR_RETURN(ListeningSocket listening, listen_on(places));
  Descriptor local;
  const HostPort place{places.host, listening.port};
  if (tls == nullptr && options.is_local && is_loopback(place.host)) local = listen_locally(place);
  std::unique_ptr<Listener> listener(new Listener());
  listener->thread_ =
      std::make_unique<Thread>(options, std::move(host), std::move(listening), std::move(local),
                               to_text(place) + " (local)", std::move(tls));
  return listener;
}

uint16_t Listener::port() const { return thread_->port(); }

Status check_may_listen(const TransportOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(const PortRange places, parse_port_range(options.listen));
  const bool has_tls = !options.tls_cert_pem.empty() && !options.tls_key_pem.empty();
  if (options.tls_cert_pem.empty() != options.tls_key_pem.empty()) {
    return invalid_input(
        "A certificate needs its key, and a key its certificate; give both by "
        "--tls-cert and --tls-key");
  }
  if (!options.tls_ca_pem.empty() && !has_tls) {
    return invalid_input(
        "Who connects to this process speaks TLS, as it does to others by --tls-ca; give by "
        "--tls-cert and --tls-key what `evergrove credentials --out DIR` made beside the CA");
  }
  if (is_loopback(places.host) || (has_tls && !options.token.empty())) return {};
  return invalid_input(
      "To listen where other machines can connect needs TLS and a token, or anybody could join the "
      "run; `evergrove credentials --out DIR` makes both, for --tls-cert, --tls-key and "
      "--token-file",
      {{"listen", options.listen},
       {"tls", has_tls ? "yes" : "no"},
       {"token", options.token.empty() ? "no" : "yes"}});
}

}  // namespace evergrove::runtime
