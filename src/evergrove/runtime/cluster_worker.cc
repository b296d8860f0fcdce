// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cluster_worker.h"

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <variant>

#include "evergrove/base/hash.h"
#include "evergrove/cluster/worker.h"
#include "evergrove/runtime/backoff.h"
#include "evergrove/runtime/cluster_setup.h"
#include "evergrove/runtime/cpu_hold.h"
#include "evergrove/runtime/event_queue.h"
#include "evergrove/runtime/heap_hold.h"
#include "evergrove/runtime/machine_memory.h"
#include "evergrove/runtime/part_reader.h"
#include "evergrove/runtime/shard_cache.h"
#include "evergrove/runtime/shard_reader.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/runtime/transport.h"

namespace evergrove::runtime {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kHeartbeatEvery{500};
constexpr milliseconds kDialAgainMin{100};
constexpr milliseconds kDialAgainMax{3000};
// Of a worker that is to leave and cannot.
constexpr milliseconds kSayItWaitsAfter{3000};
constexpr milliseconds kSayItWaitsEvery{30000};

using WorkerEvent = std::variant<TransportEvent, ShardRead, NumberedFacts>;

std::string own_name() {
  char host[256] = "host";
  gethostname(host, sizeof(host) - 1);
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return std::string(host) + "-" + std::to_string(getpid()) + "-" +
         std::to_string(now / 1'000'000 % 1'000'000);
}

class WorkerHost {
 public:
  explicit WorkerHost(const WorkerRequest& request)
      : request_(request),
        name_(request.name.empty() ? own_name() : request.name),
        threads_(request.threads > 0 ? request.threads
                                     : static_cast<int>(std::thread::hardware_concurrency())),
        dial_again_({.seed = hash_name(name_), .first = kDialAgainMin, .most = kDialAgainMax}) {}
  ~WorkerHost() {
    std::unique_ptr<Transport> transport;
    {
      const std::lock_guard lock(transport_mutex_);
      transport = std::move(transport_);
    }
    transport.reset();  // others need not wait until what is being read here is read
    part_reader_.reset();
    shard_reader_.reset();
  }

  Status run();
  WorkerReport report() const {
    return {name_, transport_->sent_bytes(), transport_->received_bytes()};
  }

 private:
  struct Peer {
    ConnectionId connection = 0;
    bool is_open = false;
    std::deque<std::vector<Bytes>> waiting;
  };
  bool is_asked_to_leave() const {
    return request_.is_asked_to_leave && request_.is_asked_to_leave();
  }
  void note(const std::string& text) {
    if (request_.note) request_.note(text);
  }
  void push(WorkerEvent event);
  void wait_until(Clock::time_point until);
  std::optional<WorkerEvent> next_event(Clock::time_point until);
  bool is_of_coordinator(const WorkerEvent& event) const;
  Status handle(TransportEvent event);
  Status receive(const Received& received);
  Result<bool> describe(const Received& received);
  Status act(std::vector<cluster::WorkerAction> actions);
  Peer* peer_of(const std::string& member);
  bool is_near(const std::string& member);
  void send(const std::string& to, std::vector<Bytes> pieces);
  void dial_coordinator();
  void follow_coordinator();
  Status leave(Clock::time_point now);
  Status open_cache();
  void start_worker(ClusterSetup setup);

  const WorkerRequest& request_;
  std::string name_;
  int threads_;
  EventQueue<WorkerEvent> events_;  // outlives all that puts something into it
  std::deque<WorkerEvent> later_;   // of the coordinator's, in order
  std::unique_ptr<Transport> transport_;
  std::mutex transport_mutex_;    // of who wakes it while it may be going
  ConnectionId coordinator_ = 0;  // dialled; 0: none
  bool is_connected_ = false;
  std::string coordinator_address_;  // the one that was dialled last
  size_t coordinator_place_ = 0;
  Backoff dial_again_;
  Clock::time_point dial_at_, heard_;
  std::map<std::string, Peer> peers_;  // by address
  std::map<ConnectionId, std::string> peer_addresses_;
  ClusterSetup setup_;
  std::optional<ShardCache> cache_;  // until the reader has it
  std::string described_;            // the data that opened_ is of, as encode_describe() has it
  std::optional<Result<train::DataSpec>> opened_;
  std::unique_ptr<PartReader> part_reader_;
  std::unique_ptr<ShardReader> shard_reader_;  // as soon as there is a worker
  std::unique_ptr<cluster::Worker> worker_;
  uint64_t busy_us_ = 0;  // in receive()
  bool is_leaving_ = false;
  Clock::time_point say_it_waits_at_;
  bool is_over_ = false;
  Status end_;
};

void WorkerHost::dial_coordinator() {
  is_connected_ = false;
  if (request_.find_coordinator) {
    coordinator_address_ = request_.find_coordinator();
  } else {
    const auto& all = request_.coordinators;
    coordinator_address_ = all[coordinator_place_++ % all.size()];
  }
  if (coordinator_address_.empty()) {
    dial_at_ = Clock::now() + kHeartbeatEvery;
    return;
  }
  coordinator_ = transport_->dial(coordinator_address_);
}

// Leaves a coordinator that is elsewhere now; Closed follows, and the new one is dialled.
void WorkerHost::follow_coordinator() {
  if (!request_.find_coordinator || coordinator_ == 0) return;
  const std::string address = request_.find_coordinator();
  if (address.empty() || address == coordinator_address_) return;
  coordinator_address_ = address;  // so that it is left once
  dial_again_.reset();
  transport_->close(coordinator_);
}

Status WorkerHost::open_cache() {
  if (request_.cache_folder.empty()) return {};
  EVERGROVE_ASSIGN_OR_RETURN(ShardCache cache,
                             ShardCache::open({.folder = request_.cache_folder,
                                               .bytes_max = request_.cache_bytes_max,
                                               .note = request_.note}));
  cache_.emplace(std::move(cache));
  return {};
}

Status WorkerHost::run() {
  EVERGROVE_RETURN_IF_ERROR(open_cache());
  TransportOptions options;
  options.listen = request_.listen;
  options.token = request_.token;
  options.tls_cert_pem = request_.tls_cert_pem;
  options.tls_key_pem = request_.tls_key_pem;
  options.tls_ca_pem = request_.tls_ca_pem;
  options.name = name_;
  options.reading_threads = std::clamp<size_t>(size_t(threads_) / 4, 1, 4);
  EVERGROVE_ASSIGN_OR_RETURN(transport_, Transport::open(options, [this](TransportEvent event) {
                               events_.push(std::move(event));
                             }));
  if (request_.on_listening) request_.on_listening(transport_->address());
  heard_ = Clock::now();
  dial_coordinator();
  const ThreadLimit threads(threads_);
  // Of one thread, which is this one; where there are more the system has to spread them. Not
  // before there is a worker: threads that are started here would be held, too.
  std::optional<CpuHold> hold;
  if (threads_ == 1) hold.emplace();
  Clock::time_point beat_at = Clock::now() + kHeartbeatEvery;
  Clock::time_point look_at = Clock::now();
  while (!is_over_) {
    const Clock::time_point until = coordinator_ == 0 ? std::min(beat_at, dial_at_) : beat_at;
    std::optional<WorkerEvent> event = next_event(Clock::now());
    const bool kept_up = !event && worker_ && threads.execute([&] { return worker_->keep_up(); });
    if (!event && !kept_up) event = next_event(until);
    if (event) {
      EVERGROVE_RETURN_IF_ERROR(threads.execute([&]() -> Status {
        if (auto* from_transport = std::get_if<TransportEvent>(&*event)) {
          return handle(std::move(*from_transport));
        }
        if (auto* facts = std::get_if<NumberedFacts>(&*event)) {
          send("", {Bytes::of(encode_facts(*facts))});
          return {};
        }
        ShardRead& read = std::get<ShardRead>(*event);
        return act(read.status.ok()
                       ? worker_->loaded(std::move(read.pieces), std::move(read.store))
                       : worker_->load_failed(read.pieces[0].shard, read.status.message()));
      }));
    }
    const Clock::time_point now = Clock::now();
    if (hold && worker_ && now >= look_at) {
      hold->look();
      look_at = now + CpuHold::kLookEvery;
    }
    if (coordinator_ == 0 && now >= dial_at_) dial_coordinator();
    if (now < beat_at) continue;
    beat_at = now + kHeartbeatEvery;
    if (request_.is_asked_to_stop && request_.is_asked_to_stop()) {
      return interrupted("The worker was stopped");
    }
    follow_coordinator();
    if (is_connected_) {
      heard_ = now;
      if (worker_) {
        MessageBatch batch;
        batch.add({worker_->epoch(), worker_->heartbeat(busy_us_)});
        send("", batch.take_pieces());
      }
      if (is_asked_to_leave()) {
        if (!worker_) return {};  // it holds nothing yet
        EVERGROVE_RETURN_IF_ERROR(leave(now));
      }
      continue;
    }
    if (is_asked_to_leave()) return {};
    if (now - heard_ > request_.patience) {
      return storage_error(
          "No coordinator could be reached; is it running, and is the address right?",
          {{"coordinator", coordinator_address_}});
    }
  }
  return end_;
}

// Asks to leave, again and again; Goodbye comes when others have what it holds.
Status WorkerHost::leave(Clock::time_point now) {
  if (!is_leaving_) {
    is_leaving_ = true;
    say_it_waits_at_ = now + kSayItWaitsAfter;
    note("Hands over its shards, then leaves");
  } else if (now >= say_it_waits_at_) {
    say_it_waits_at_ = now + kSayItWaitsEvery;
    note(
        "Waits for another worker to take its shards; stop it again (SIGTERM) to leave at once, "
        "its shards will be read by whoever comes");
  }
  return act(worker_->leave());
}

// Of other threads than the transport's.
void WorkerHost::push(WorkerEvent event) {
  events_.push(std::move(event));
  const std::lock_guard lock(transport_mutex_);
  if (transport_) transport_->wake();
}

// Its end, too: before it may come why.
bool WorkerHost::is_of_coordinator(const WorkerEvent& event) const {
  const auto* from_transport = std::get_if<TransportEvent>(&event);
  if (from_transport == nullptr) return false;
  if (const auto* received = std::get_if<Received>(from_transport)) {
    return received->connection == coordinator_;
  }
  const auto* closed = std::get_if<Closed>(from_transport);
  return closed != nullptr && closed->connection == coordinator_;
}

// Who computes on one thread would be disturbed by another one that reads; of more, one can.
void WorkerHost::wait_until(Clock::time_point until) {
  if (threads_ == 1) return transport_->attend(until);
  events_.wait(until);
}

// What there is, or comes until then. Others' parts come before the next round: when one is
// complete the coordinator says what is to follow while there is still something to do here.
std::optional<WorkerEvent> WorkerHost::next_event(Clock::time_point until) {
  for (bool has_looked = false;; has_looked = true) {
    while (auto event = events_.take()) {
      if (!is_of_coordinator(*event)) return event;
      later_.push_back(std::move(*event));
    }
    if (has_looked && (!later_.empty() || Clock::now() >= until)) break;
    wait_until(later_.empty() ? until : Clock::now());
  }
  if (later_.empty()) return std::nullopt;
  WorkerEvent event = std::move(later_.front());
  later_.pop_front();
  return event;
}

Status WorkerHost::handle(TransportEvent event) {
  if (const auto* opened = std::get_if<Opened>(&event)) {
    if (opened->connection == coordinator_) {
      is_connected_ = true;
      heard_ = Clock::now();
      // Its set-up comes first; a worker that has one joins when it comes again.
    } else if (const auto address = peer_addresses_.find(opened->connection);
               address != peer_addresses_.end()) {
      Peer& peer = peers_[address->second];
      peer.is_open = true;
      for (const std::vector<Bytes>& pieces : peer.waiting) {
        transport_->send(opened->connection, pieces);
      }
      peer.waiting.clear();
    }
  } else if (const auto* received = std::get_if<Received>(&event)) {
    return receive(*received);
  } else if (const auto* closed = std::get_if<Closed>(&event)) {
    if (closed->connection == coordinator_) {
      if (part_reader_) part_reader_->forget();
      coordinator_ = 0;
      is_connected_ = false;
      dial_at_ = Clock::now() + dial_again_.next();
      // A refusal will not be taken back.
      if (closed->why.kind() != StatusKind::storage && !closed->why.ok()) return closed->why;
    } else if (const auto address = peer_addresses_.find(closed->connection);
               address != peer_addresses_.end()) {
      peers_.erase(address->second);
      peer_addresses_.erase(address);
    }
  }
  return {};
}

// What comes before the set-up. Returns whether it was that.
Result<bool> WorkerHost::describe(const Received& received) {
  const std::string_view bytes = received.bytes.view;
  if (bytes[0] == kDescribeTag) {
    if (!part_reader_ || described_ != bytes) {
      EVERGROVE_ASSIGN_OR_RETURN(const DataDescription data, decode_describe(bytes.substr(1)));
      described_ = bytes;
      opened_ = open_data(data, source::Readers::several, request_.fetch);
      part_reader_ = std::make_unique<PartReader>(
          *opened_, threads_, [this](NumberedFacts facts) { push(std::move(facts)); });
    }
    part_reader_->forget();  // what another coordinator asked
    send("", {Bytes::of(std::string(1, kReaderTag))});
    return true;
  }
  if (bytes[0] == kPartTag && part_reader_) {
    EVERGROVE_ASSIGN_OR_RETURN(NumberedRequest request, decode_part(bytes.substr(1)));
    part_reader_->read(std::move(request));
    return true;
  }
  if (bytes[0] != kEndTag) return false;
  const Status why = decode_end(bytes.substr(1));
  return why.with_context("The coordinator ends the run");
}

Status WorkerHost::receive(const Received& received) {
  const std::string_view bytes = received.bytes.view;
  if (bytes.empty()) return {};
  if (received.connection == coordinator_) {
    dial_again_.reset();
    EVERGROVE_ASSIGN_OR_RETURN(const bool is_done, describe(received));
    if (is_done) return {};
  }
  if (bytes[0] == kSetupTag && received.connection == coordinator_) {
    EVERGROVE_ASSIGN_OR_RETURN(ClusterSetup setup, decode_setup(bytes.substr(1)));
    if (!worker_) {
      start_worker(std::move(setup));
    } else if (train::encode_header(setup.run.header) != train::encode_header(setup_.run.header)) {
      return invalid_input("The coordinator has another run now; start this worker again");
    }
    return act(worker_->join(static_cast<uint32_t>(threads_)));
  }
  if (bytes[0] != kMessagesTag || !worker_) return {};
  const auto messages = decode_messages(received.bytes.from(1));
  if (!messages.ok()) {
    note(messages.status().message());
    return {};
  }
  // What comes of parts that came together goes out together: each frame wakes somebody.
  std::vector<cluster::WorkerAction> actions;
  for (size_t i = 0; i < messages->size(); ++i) {
    const cluster::Message& message = (*messages)[i];
    const Clock::time_point begin = Clock::now();
    for (cluster::WorkerAction& action : worker_->receive(message)) {
      actions.push_back(std::move(action));
    }
    busy_us_ += static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
    const bool more_parts =
        i + 1 < messages->size() && std::holds_alternative<cluster::Part>((*messages)[i + 1].body);
    if (more_parts && std::holds_alternative<cluster::Part>(message.body)) continue;
    EVERGROVE_RETURN_IF_ERROR(act(std::exchange(actions, {})));
    // What was asked for, and is somebody else's now, need not be read.
    if (std::holds_alternative<cluster::LoadShards>(message.body)) {
      shard_reader_->keep(worker_->loading());
    }
  }
  return {};
}

void WorkerHost::start_worker(ClusterSetup setup) {
  setup_ = std::move(setup);
  if (part_reader_) part_reader_->forget();  // others were quicker
  worker_ = std::make_unique<cluster::Worker>(
      name_, transport_->address(), setup_.run,
      request_.memory_bytes > 0 ? request_.memory_bytes : shard_memory_bytes());
  worker_->set_near([this](const std::string& member) { return is_near(member); });
  // What was opened to be described keeps footers and partitions; who comes later opens it.
  auto opened = described_ == encode_describe(setup_.data) ? opened_ : std::nullopt;
  if (opened && opened->ok()) (*opened)->let_go();
  ShardReaderOptions options;
  options.setup = &setup_;
  options.open = [this, opened = std::move(opened)] {
    return opened ? *opened : open_data(setup_.data, source::Readers::several, request_.fetch);
  };
  options.cache = std::exchange(cache_, std::nullopt);
  options.threads = threads_;
  options.note = request_.note;
  shard_reader_ = std::make_unique<ShardReader>(std::move(options),
                                                [this](ShardRead read) { push(std::move(read)); });
}

// Dials it, if nobody has yet. Null: there is no such member.
WorkerHost::Peer* WorkerHost::peer_of(const std::string& name) {
  for (const cluster::Member& member : worker_->view().members) {
    if (member.name != name) continue;
    Peer& peer = peers_[member.address];
    if (peer.connection == 0) {
      peer.connection = transport_->dial(member.address);
      peer_addresses_[peer.connection] = member.address;
    }
    return &peer;
  }
  return nullptr;
}

bool WorkerHost::is_near(const std::string& member) {
  const Peer* const peer = peer_of(member);
  return peer != nullptr && peer->is_open && transport_->is_near(peer->connection);
}

void WorkerHost::send(const std::string& to, std::vector<Bytes> pieces) {
  if (to.empty()) {
    if (is_connected_) transport_->send(coordinator_, pieces);
    return;
  }
  Peer* const peer = peer_of(to);
  if (peer == nullptr) return;
  if (peer->is_open) {
    transport_->send(peer->connection, pieces);
  } else {
    peer->waiting.push_back(std::move(pieces));
  }
}

Status WorkerHost::act(std::vector<cluster::WorkerAction> actions) {
  std::map<std::string, MessageBatch> batches;
  for (cluster::WorkerAction& action : actions) {
    if (auto* message = std::get_if<cluster::SendAction>(&action)) {
      batches[message->to].add(message->message);
    } else if (auto* load = std::get_if<cluster::LoadAction>(&action)) {
      const bool is_first = worker_->shards().empty() && load->decided->empty();
      shard_reader_->read(load->shards, load->decided, is_first);
    } else {
      const Status& why = std::get<cluster::StopAction>(action).status;
      is_over_ = true;
      if (why.kind() != StatusKind::interrupted) end_ = why;
      note(why.ok() ? "The run is finished" : why.message());
    }
  }
  for (auto& [to, batch] : batches) send(to, batch.take_pieces());
  return {};
}

}  // namespace

Result<WorkerReport> run_worker(const WorkerRequest& request) {
  const HeapHold hold;
  WorkerHost host(request);
  EVERGROVE_RETURN_IF_ERROR(host.run());
  return host.report();
}

}  // namespace evergrove::runtime
