// Threads. Who attends reads, and the reader's threads where nobody does. Who calls send() writes.
// The watcher writes what a socket did not take at once, and looks after all connections ten times
// a second: who is silent, or late. The listener's thread talks to strangers. A connection that we
// dial has a thread until it is open; the destructor gives up on one that still asks for a host's
// address, which owns what it needs, and ends when it has been told.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "evergrove/runtime/transport_address.h"
#include "evergrove/runtime/transport_connection.h"
#include "evergrove/runtime/transport_dialler.h"
#include "evergrove/runtime/transport_greeting.h"
#include "evergrove/runtime/transport_listener.h"
#include "evergrove/runtime/transport_reader.h"
#include "evergrove/runtime/transport_sockets.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{100};
constexpr milliseconds kNotesEvery{1000};
constexpr milliseconds kThreadsMax{300};  // for threads to end after their connections were cut

bool is_token(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Status check(const TransportOptions& options) {
  if (!is_token(options.token)) {
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

// False: the system has no more threads for us.
template <typename Work>
bool start_thread(Work work) {
  try {
    std::thread(std::move(work)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

struct Transport::State : std::enable_shared_from_this<Transport::State> {
  explicit State(TransportOptions given, Callback callback_given)
      : context(std::make_shared<ConnectionContext>()), callback(std::move(callback_given)) {
    context->options = std::move(given);
    context->emit = [this](TransportEvent event) { emit(std::move(event)); };
    context->call_when_writable = [this](ConnectionId id, int socket) { watch(id, socket); };
    context->is_rung_for = [this](ConnectionId id, int socket) { reader->be_rung_for(id, socket); };
    context->read_again = [this](ConnectionId id) { reader->read_again(id); };
    reader.emplace(std::max<size_t>(1, context->options.reading_threads),
                   [this](ConnectionId id, bool is_over) { return read(id, is_over); });
  }

  void emit(TransportEvent event) {
    if (has_ended) return;
    {
      const std::shared_lock lock(callback_mutex);
      if (!has_ended) callback(std::move(event));
    }
    if (!reader->is_attending_here()) reader->wake();
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

  // The last that is done with a connection.
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

  // Opens a connection that we dial, on a thread of its own.
  void dial(const std::shared_ptr<Connection>& connection) {
    const bool has_thread = start_thread([self = shared_from_this(), connection] {
      if (!open_dialled(self->context->options, self->tls.get(), *connection)) {
        return self->remove(connection->id());
      }
      self->begin_to_read(*connection);
    });
    if (has_thread) return;
    connection->fail(storage_error("There is no thread for a connection; raise `ulimit -u`"));
    remove(connection->id());
  }

  // Requires: open().
  void begin_to_read(Connection& connection) {
    // What came with the greeting makes no socket readable.
    while (connection.stream().has_pending()) {
      if (!connection.read_some()) return remove(connection.id());
    }
    if (reader->add(connection.id(), connection.stream().socket())) {
      const Bell* const bell = reader->bell();
      if (bell == nullptr || !connection.stream().may_share()) return;
      return connection.give_bell(*bell, TransportReader::place_of(connection.id()));
    }
    connection.fail(storage_error("There is no memory to wait for one more socket"));
    remove(connection.id());
  }

  bool read(ConnectionId id, bool is_over) {
    const auto connection = find(id);
    if (connection && connection->read_some(is_over)) return true;
    if (connection) reader->remove(id, connection->stream().socket());
    remove(id);
    return false;
  }

  // Has the watcher told, once, when the socket takes bytes.
  void watch(ConnectionId id, int socket) const {
    epoll_event wanted = {};
    wanted.events = EPOLLOUT | EPOLLONESHOT;
    wanted.data.u64 = id;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_MOD, socket, &wanted) == 0) return;
    (void)::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket, &wanted);
  }

  // Looks after the connections until the end.
  void run_watcher() {
    auto last = steady_clock::now();
    std::array<epoll_event, 64> writable;
    while (!watch_is_over) {
      const auto since_last = std::chrono::floor<milliseconds>(steady_clock::now() - last);
      const auto left = std::max(kTick - since_last, milliseconds(0));
      const int count = ::epoll_wait(epoll.get(), writable.data(), writable.size(),
                                     static_cast<int>(left.count()));
      for (int i = 0; i < count; ++i) {
        if (const auto connection = find(writable[i].data.u64)) connection->go_on();
      }
      const auto now = steady_clock::now();
      // A longer time is one in which we were stopped, and could have heard nobody.
      const auto elapsed = std::chrono::duration_cast<milliseconds>(now - last);
      if (elapsed < kTick) continue;
      const bool is_listening = reader->has_listened();
      for (const auto& connection : all()) {
        connection->tick(std::min(elapsed, 3 * kTick), is_listening);
      }
      last = now;
      tell_refusals(now);
    }
  }

  Status listen() {
    const TransportOptions& options = context->options;
    ListenerHost host;
    host.accept = [this](const std::string& name, const std::string& address,
                         std::unique_ptr<TransportStream> stream) {
      accept(name, address, std::move(stream));
    };
    host.refuse = [this](const std::string& note) { refuse(note); };
    EVERGROVE_ASSIGN_OR_RETURN(listener, Listener::open(options, std::move(host)));
    EVERGROVE_ASSIGN_OR_RETURN(const PortRange places, parse_port_range(options.listen));
    HostPort place{places.host, listener->port()};
    if (!options.advertised_host.empty()) {
      place.host = options.advertised_host;
    } else if (is_wildcard(place.host)) {
      place.host = first_address();
    }
    own_address = to_text(place);
    return {};
  }

  void accept(const std::string& name, const std::string& address,
              std::unique_ptr<TransportStream> stream) {
    const auto connection = add(/*is_dialled=*/false, address);
    if (!connection->adopt(std::move(stream))) return remove(connection->id());
    if (!connection->open(name)) return remove(connection->id());
    begin_to_read(*connection);
  }

  bool wait_until_none(milliseconds time_max) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, time_max, [&] { return connections.empty(); });
  }

  const std::shared_ptr<ConnectionContext> context;
  const Callback callback;
  std::shared_mutex callback_mutex;  // shared by who calls back
  std::atomic<bool> has_ended = false;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<ConnectionId, std::shared_ptr<Connection>> connections;  // with a thread each
  ConnectionId next_id = 1;
  uint64_t refused_count = 0;
  uint64_t refused_told = 0;
  std::optional<steady_clock::time_point> last_told;
  std::string last_note;

  std::optional<TransportReader> reader;
  const Descriptor epoll{::epoll_create1(EPOLL_CLOEXEC)};
  const WakeUp wake;  // of the watcher
  std::atomic<bool> watch_is_over = false;
  std::unique_ptr<TransportTls> tls;  // of who dials; null: none
  std::unique_ptr<Listener> listener;
  std::thread watcher;
  std::string own_address;
};

Transport::Transport(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Transport>> Transport::open(TransportOptions options, Callback callback) {
  EVERGROVE_RETURN_IF_ERROR(check(options));
  auto state = std::make_shared<State>(std::move(options), std::move(callback));
  const TransportOptions& given = state->context->options;
  if (!state->epoll.is_open() || !state->wake.is_open() || !state->reader->is_open()) {
    return storage_error("There are no more descriptors for a connection; raise `ulimit -n`");
  }
  if (!given.tls_ca_pem.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(state->tls, TransportTls::of_dialler(given.tls_ca_pem));
  }
  if (!given.listen.empty()) {
    EVERGROVE_RETURN_IF_ERROR(state->listen());
  }
  epoll_event woken = {};
  woken.events = EPOLLIN;
  (void)::epoll_ctl(state->epoll.get(), EPOLL_CTL_ADD, state->wake.get(), &woken);
  state->reader->start();
  state->watcher = std::thread([raw = state.get()] { raw->run_watcher(); });
  return std::unique_ptr<Transport>(new Transport(std::move(state)));
}

Transport::~Transport() {
  State& state = *state_;
  state.listener.reset();  // so that nobody comes who would not be told
  for (const auto& connection : state.all()) connection->close();
  state.reader->stand_in();
  // Closing has its own limit, after which the watcher cuts.
  state.wait_until_none(state.context->options.close_max + kTick);
  state.has_ended = true;
  {
    const std::unique_lock lock(state.callback_mutex);  // until who is calling back is done
  }
  state.watch_is_over = true;
  state.wake.call();
  state.watcher.join();
  for (const auto& connection : state.all()) connection->cut(Status());
  state.wait_until_none(kThreadsMax);
  state.reader->stop();
}

std::string Transport::address() const { return state_->own_address; }

ConnectionId Transport::dial(std::string address) {
  const auto connection = state_->add(/*is_dialled=*/true, std::move(address));
  state_->dial(connection);
  return connection->id();
}

void Transport::attend(steady_clock::time_point until, uint32_t count) {
  state_->reader->attend(until, count);
}

void Transport::wake() { state_->reader->wake(); }

bool Transport::send(ConnectionId connection, std::string bytes) {
  const auto found = state_->find(connection);
  return found != nullptr && found->send(std::move(bytes));
}

bool Transport::send(ConnectionId connection, const std::vector<Bytes>& pieces) {
  const auto found = state_->find(connection);
  return found != nullptr && found->send(pieces);
}

bool Transport::is_near(ConnectionId connection) const {
  const auto found = state_->find(connection);
  return found != nullptr && found->is_near();
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
