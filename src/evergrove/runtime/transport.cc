// Threads. A connection has two: one reads (of gRPC if the peer dialled, else its own, which has
// dialled before) and one sends. One more looks after all of them ten times a second: who is
// silent, late, or a stranger. The destructor gives up on a thread that is still inside of gRPC's
// connecting; that thread owns what it needs, and ends when gRPC's time to connect is over.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <utility>
#include <vector>

#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_connection.h"
#include "evergrove/runtime/transport_dialler.h"
#include "evergrove/runtime/transport_listener.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{100};
constexpr milliseconds kStrangersEvery{1000};
constexpr milliseconds kNotesEvery{1000};
constexpr milliseconds kThreadsMax{300};  // for threads to end after their connections were cut

bool is_header_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Status check(const TransportOptions& options) {
  if (!is_header_text(options.token)) {
    return invalid_input(
        "A token is of visible ASCII characters without blanks; make one by "
        "`evergrove credentials --out DIR`");
  }
  if (options.name.size() > kGreetingTextMax || options.run.size() > kGreetingTextMax) {
    return invalid_input("The name of a process or of its run is too long; give a shorter one",
                         {{"bytes_max", std::to_string(kGreetingTextMax)}});
  }
  return options.listen.empty() ? Status() : check_may_listen(options);
}

// gRPC writes lines of its own to standard error for what our Statuses say; whoever wants to see
// them sets GRPC_VERBOSITY. It reads it when it is first used.
void silence_grpc() {
  static const int kDone = ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  (void)kDone;
}

}  // namespace

struct Transport::State {
  explicit State(TransportOptions given, Callback callback_given)
      : context(std::make_shared<ConnectionContext>()), callback(std::move(callback_given)) {
    context->options = std::move(given);
    context->emit = [this](TransportEvent event) { emit(std::move(event)); };
  }

  void emit(TransportEvent event) {
    if (has_ended) return;
    const std::shared_lock lock(callback_mutex);
    if (!has_ended) callback(std::move(event));
  }

  // Counts who was refused.
  void refuse(const std::string& note) {
    {
      const std::lock_guard lock(mutex);
      ++refused_count;
      last_note = note;
    }
    tell_refusals(steady_clock::now());
  }

  // Tells of the refusals since the last time, unless that was just now.
  void tell_refusals(steady_clock::time_point now) {
    Refused refused;
    {
      const std::lock_guard lock(mutex);
      const bool is_early = last_told && now - *last_told < kNotesEvery;
      if (is_early || refused_told == refused_count) return;
      last_told = now;
      refused = {last_note, refused_count - std::exchange(refused_told, refused_count)};
    }
    emit(std::move(refused));
  }

  std::shared_ptr<Connection> add(bool is_dialled, std::string address) {
    const std::lock_guard lock(mutex);
    const ConnectionId id = next_id++;
    auto connection = std::make_shared<Connection>(id, is_dialled, std::move(address), context);
    connections.emplace(id, connection);
    return connection;
  }

  // The last that a connection's thread does here.
  void remove(ConnectionId id) {
    const std::lock_guard lock(mutex);
    connections.erase(id);
    changed.notify_all();
  }

  std::shared_ptr<Connection> find(ConnectionId id) const {
    const std::lock_guard lock(mutex);
    const auto found = connections.find(id);
    return found == connections.end() ? nullptr : found->second;
  }

  std::vector<std::shared_ptr<Connection>> all() const {
    const std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<Connection>> list;
    for (const auto& [id, connection] : connections) list.push_back(connection);
    return list;
  }

  void accept(const Greeting& peer, const std::string& address, FlightStream stream) {
    if (is_ending) return;
    const auto connection = add(/*is_dialled=*/false, address);
    connection->run(std::move(stream), peer);
    remove(connection->id());
  }

  // Looks after the connections until the end.
  void watch() {
    auto last = steady_clock::now();
    auto last_strangers = last;
    const auto strangers_every =
        std::min(kStrangersEvery, std::max(context->options.unauthenticated_max, kTick));
    std::unique_lock lock(mutex);
    while (!watch_is_over) {
      changed.wait_for(lock, kTick, [&] { return watch_is_over; });
      lock.unlock();
      const auto now = steady_clock::now();
      // A longer time is one in which we were stopped, and could have heard nobody.
      const auto elapsed = std::chrono::duration_cast<milliseconds>(now - last);
      if (elapsed >= kTick) {
        for (const auto& connection : all()) connection->tick(std::min(elapsed, 3 * kTick));
        last = now;
      }
      if (listener != nullptr && now - last_strangers >= strangers_every) {
        listener->look_for_strangers(now);
        last_strangers = now;
      }
      tell_refusals(now);
      lock.lock();
    }
  }

  bool wait_until_none(milliseconds time_max) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, time_max, [&] { return connections.empty(); });
  }

  const std::shared_ptr<ConnectionContext> context;
  const Callback callback;
  std::shared_mutex callback_mutex;  // shared by who calls back
  std::atomic<bool> has_ended = false;
  std::atomic<bool> is_ending = false;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<ConnectionId, std::shared_ptr<Connection>> connections;  // with a thread each
  ConnectionId next_id = 1;
  uint64_t refused_count = 0;
  uint64_t refused_told = 0;
  std::optional<steady_clock::time_point> last_told;
  std::string last_note;
  bool watch_is_over = false;

  std::unique_ptr<Listener> listener;
  std::thread watcher;
  std::string own_address;
};

Transport::Transport(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Transport>> Transport::open(TransportOptions options, Callback callback) {
  EVERGROVE_RETURN_IF_ERROR(check(options));
  silence_grpc();
  auto state = std::make_shared<State>(std::move(options), std::move(callback));
  const TransportOptions& given = state->context->options;
  if (!given.listen.empty()) {
    State* raw = state.get();  // which outlives its listener
    ListenerHost host;
    host.accept = [raw](const Greeting& peer, const std::string& address, FlightStream stream) {
      raw->accept(peer, address, std::move(stream));
    };
    host.refuse = [raw](const std::string& note) { raw->refuse(note); };
    EVERGROVE_ASSIGN_OR_RETURN(state->listener, Listener::open(given, std::move(host)));
    EVERGROVE_ASSIGN_OR_RETURN(HostPort place, parse_host_port(given.listen));
    if (!given.advertised_host.empty()) {
      place.host = given.advertised_host;
    } else if (is_wildcard(place.host)) {
      place.host = first_address();
    }
    place.port = state->listener->port();
    state->own_address = to_text(place);
  }
  state->watcher = std::thread([raw = state.get()] { raw->watch(); });
  return std::unique_ptr<Transport>(new Transport(std::move(state)));
}

Transport::~Transport() {
  State& state = *state_;
  state.is_ending = true;
  for (const auto& connection : state.all()) connection->close();
  // Closing has its own limit, after which the watcher cuts.
  state.wait_until_none(state.context->options.close_max + kTick);
  state.has_ended = true;
  {
    const std::unique_lock lock(state.callback_mutex);  // until who is calling back is done
  }
  {
    const std::lock_guard lock(state.mutex);
    state.watch_is_over = true;
    state.changed.notify_all();
  }
  state.watcher.join();
  for (const auto& connection : state.all()) connection->cut(Status());
  state.listener.reset();
  state.wait_until_none(kThreadsMax);
}

std::string Transport::address() const { return state_->own_address; }

ConnectionId Transport::dial(std::string address) {
  const auto connection = state_->add(/*is_dialled=*/true, std::move(address));
  std::thread([state = state_, connection] {
    run_dialled(state->context->options, *connection, [&] { return connection->is_ending(); });
    state->remove(connection->id());
  }).detach();
  return connection->id();
}

bool Transport::send(ConnectionId connection, std::string bytes) {
  const auto found = state_->find(connection);
  return found != nullptr && found->send(std::move(bytes));
}

void Transport::close(ConnectionId connection) {
  if (const auto found = state_->find(connection)) found->close();
}

uint64_t Transport::waiting_bytes(ConnectionId connection) const {
  const auto found = state_->find(connection);
  return found == nullptr ? 0 : found->waiting_bytes();
}

uint64_t Transport::refused_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->refused_count;
}

uint64_t Transport::sent_bytes() const { return state_->context->sent_bytes; }

uint64_t Transport::received_bytes() const { return state_->context->received_bytes; }

}  // namespace evergrove::runtime
