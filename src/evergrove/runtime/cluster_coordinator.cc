// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cluster_coordinator.h"

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <variant>

#include "evergrove/runtime/cluster_client.h"
#include "evergrove/runtime/cluster_description.h"
#include "evergrove/runtime/cluster_setup.h"
#include "evergrove/runtime/epoch.h"
#include "evergrove/runtime/event_queue.h"
#include "evergrove/runtime/heap_hold.h"
#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/peak_memory.h"
#include "evergrove/runtime/run_checks.h"
#include "evergrove/runtime/run_log.h"
#include "evergrove/runtime/run_past.h"
#include "evergrove/runtime/run_progress.h"
#include "evergrove/runtime/run_snapshot.h"
#include "evergrove/runtime/status_server.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/source/store.h"

namespace evergrove::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTickEvery{100};
constexpr std::chrono::milliseconds kShowEvery{500};
constexpr std::chrono::milliseconds kTellEvery{500};
// Workers have whole shards each, so that there are to be many more than workers: of 13 one of two
// has a sixth more rows than the other, which waits for it at every round.
constexpr uint64_t kShardsWanted = 256;
// Parts of the data that are looked at before there are shards; answers are the longer the more.
constexpr uint32_t kPartsWanted = 16;
constexpr uint64_t kShardRowsMin = 4096;
constexpr uint64_t kShardRowsMax = 1 << 20;

// What the decided trees come to.
struct DecidedModel {
  model::Model model;
  std::string digest;
  Result<std::string> bytes = std::string();  // of its file; of a model that is written
};

// From the transport, or from the thread that reads parts here.
using CoordinatorEvent = std::variant<TransportEvent, NumberedFacts>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class CoordinatorHost {
 public:
  explicit CoordinatorHost(const CoordinatorRequest& request)
      : request_(request), training_(request.training), start_(Clock::now()) {}
  ~CoordinatorHost() {
    // No event may come after the queue is gone.
    describing_.reset();
    transport_.reset();
  }

  Result<ClusterReport> run();

 private:
  cluster::Time now() const {
    return std::chrono::duration_cast<cluster::Time>(Clock::now() - start_);
  }
  bool tell(std::string_view phase, double share);
  Status open_log();
  Status take_model();
  uint64_t rows_each(uint64_t count_wanted) const;
  Result<train::RunDescription> describe();
  Status prepare();
  Status open_status_page();
  Status listen();
  Status serve();
  std::optional<CoordinatorEvent> next_event(Clock::time_point until);
  Status handle(TransportEvent event);
  Status receive(const Received& received);
  void look_whether_near();
  Status answer(const Received& received);
  Status act(std::vector<cluster::CoordinatorAction> actions);
  void begin_model();
  RunSnapshot snapshot() const;
  void show();
  Result<ClusterReport> finish();

  const CoordinatorRequest& request_;
  const TrainingRequest& training_;
  Clock::time_point start_;
  double started_unix_seconds_ =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  uint64_t epoch_ = 1;
  uint64_t trees_an_iteration_ = 1;
  std::unique_ptr<RunLog> log_;
  RunPast past_;
  size_t logged_count_ = 0;  // iterations that are in the log already
  std::string setup_bytes_;
  std::unique_ptr<cluster::Coordinator> machine_;
  EventQueue<CoordinatorEvent> events_;
  std::unique_ptr<Transport> transport_;
  std::set<ConnectionId> opened_;
  std::unique_ptr<ClusterDescription> describing_;   // until the data is described
  size_t reader_count_ = 0;                          // workers there when it was
  std::map<std::string, ConnectionId> connections_;  // by worker's name
  std::map<ConnectionId, std::string> names_;
  RunProgress progress_;
  std::unique_ptr<StatusServer> status_server_;
  bool is_over_ = false;
  std::future<DecidedModel> model_;  // as soon as all trees are decided
  ClusterReport report_;
};

bool CoordinatorHost::tell(std::string_view phase, double share) {
  if (!training_.progress) return true;
  TrainingProgress progress;
  progress.phase = phase;
  progress.share = share;
  progress.seconds = seconds_since(start_);
  return training_.progress(progress);
}

Status CoordinatorHost::open_log() {
  if (training_.log_folder.empty()) return {};
  EVERGROVE_ASSIGN_OR_RETURN(epoch_, take_epoch(training_.log_folder, "coordinator"));
  EVERGROVE_ASSIGN_OR_RETURN(log_, RunLog::open(training_.log_folder, {.epoch = epoch_}));
  EVERGROVE_ASSIGN_OR_RETURN(
      past_, past_of_log(*log_, source::without_credentials(training_.log_folder), training_.resume,
                         training_.data, training_.parameters));
  logged_count_ = past_.iterations.size();
  return {};
}

// A model that is to get more trees; what of it the log has already, if anything, comes first.
Status CoordinatorHost::take_model() {
  if (!training_.continue_from) return {};
  EVERGROVE_ASSIGN_OR_RETURN(
      RunPast known, past_of_model(*training_.continue_from, training_.data, training_.parameters));
  EVERGROVE_ASSIGN_OR_RETURN(past_, joined_past(std::move(past_), std::move(known),
                                                source::without_credentials(training_.log_folder)));
  return {};
}

uint64_t CoordinatorHost::rows_each(uint64_t count_wanted) const {
  if (request_.shard_rows > 0) return request_.shard_rows;
  return std::clamp(training_.data.data->row_count() / count_wanted, kShardRowsMin, kShardRowsMax);
}

// By the workers that are there. Files are hashed here meanwhile.
Result<train::RunDescription> CoordinatorHost::describe() {
  train::Parameters parameters = training_.parameters;
  if (past_.header) parameters.objective = past_.header->parameters.objective;
  const std::future<void> manifests = std::async(std::launch::async, [this] {
    training_.data.data->manifest();
    for (const auto& valid : training_.data.valid) valid.source->manifest();
  });
  const auto send = [this](ConnectionId to, std::string bytes) {
    transport_->send(to, std::move(bytes));
  };
  const auto on_read = [this](NumberedFacts facts) {
    events_.push(std::move(facts));
    transport_->wake();
  };
  EVERGROVE_ASSIGN_OR_RETURN(
      describing_, ClusterDescription::begin({.spec = training_.data,
                                              .data = request_.data,
                                              .parameters = parameters,
                                              .known = past_.header ? &*past_.header : nullptr,
                                              .threads = training_.threads,
                                              .sizes = {rows_each(kPartsWanted), kPartsWanted}},
                                             send, on_read));
  for (const ConnectionId connection : opened_) describing_->opened(connection);
  Clock::time_point tick_at = Clock::now();
  while (!describing_->is_complete()) {
    if (std::optional<CoordinatorEvent> event = next_event(tick_at + kTickEvery)) {
      if (auto* facts = std::get_if<NumberedFacts>(&*event)) {
        EVERGROVE_RETURN_IF_ERROR(describing_->read_here(std::move(*facts)));
      } else {
        EVERGROVE_RETURN_IF_ERROR(handle(std::get<TransportEvent>(std::move(*event))));
      }
    }
    if (Clock::now() - tick_at < kTickEvery) continue;
    tick_at = Clock::now();
    describing_->tick();
    if (!tell("reading", describing_->share())) return train::stopped_before_training();
    if (request_.on_status) EVERGROVE_RETURN_IF_ERROR(request_.on_status({}));
  }
  if (!tell("reading", 1)) return train::stopped_before_training();
  manifests.wait();
  EVERGROVE_RETURN_IF_ERROR(check_fingerprints(training_.data));
  reader_count_ = describing_->reader_count();
  train::RunDescription run = describing_->finish();
  describing_.reset();
  training_.data.let_go();
  return run;
}

Status CoordinatorHost::prepare() {
  const bool is_logged = log_ && past_.header.has_value();
  EVERGROVE_RETURN_IF_ERROR(take_model());
  EVERGROVE_ASSIGN_OR_RETURN(train::RunDescription run, describe());
  EVERGROVE_RETURN_IF_ERROR(
      train::check_run(run.header.parameters, !run.header.valid_names.empty()));
  EVERGROVE_RETURN_IF_ERROR(check_text(run.header));
  report_.training.row_count = run.weight_facts.counted_rows;
  report_.training.feature_count = run.header.features.size();
  report_.training.resumed_iterations = past_.iterations.size();
  trees_an_iteration_ = run.header.base_margins.size();
  if (log_ && !is_logged) EVERGROVE_RETURN_IF_ERROR(log_->start(run.header));
  ClusterSetup setup;
  setup.run = {run.header, run.weight_facts, run.weight_max_by_set, run.training_weight_max};
  setup.data = request_.data;
  setup.shards =
      train::make_shards(training_.data, run.header.parameters.seed, rows_each(kShardsWanted));
  setup_bytes_ = encode_setup(setup);
  std::vector<cluster::ShardRows> shards;
  for (const train::Shard& shard : setup.shards) {
    shards.push_back({shard.id, shard.row_count, train::memory_bytes(shard, run.header)});
  }
  cluster::CoordinatorOptions options;
  options.epoch = epoch_;
  options.replicas = request_.replicas;
  options.joining_count = reader_count_;
  machine_ = std::make_unique<cluster::Coordinator>(options, setup.run, std::move(shards),
                                                    std::move(past_.iterations));
  const auto known = machine_->history().iterations();
  for (; log_ && logged_count_ < known.size(); ++logged_count_) {
    EVERGROVE_RETURN_IF_ERROR(log_->append(known[logged_count_]));
  }
  for (const ConnectionId connection : opened_) transport_->send(connection, setup_bytes_);
  return {};
}

Status CoordinatorHost::open_status_page() {
  if (request_.status.listen.empty()) return {};
  EVERGROVE_ASSIGN_OR_RETURN(status_server_, StatusServer::open(request_.status));
  if (request_.on_status_page) request_.on_status_page(status_server_->url());
  return {};
}

RunSnapshot CoordinatorHost::snapshot() const {
  RunSnapshot snapshot = machine_ ? snapshot_of(*machine_, now()) : RunSnapshot();
  snapshot.started_unix_seconds = started_unix_seconds_;
  if (!machine_) return snapshot;
  snapshot.epoch = epoch_;
  snapshot.iterations_max = uint64_t(training_.parameters.n_estimators);
  snapshot.resumed_iterations = report_.training.resumed_iterations;
  snapshot.trees_an_iteration = trees_an_iteration_;
  snapshot.row_count = report_.training.row_count;
  snapshot.feature_count = report_.training.feature_count;
  snapshot.label = training_.data.label;
  snapshot.progress = progress_.points();
  snapshot.iterations_per_minute = progress_.per_minute();
  if (log_) snapshot.log_wait_seconds = log_->seconds_waited();
  snapshot.received_bytes = transport_->received_bytes();
  snapshot.sent_bytes = transport_->sent_bytes();
  return snapshot;
}

void CoordinatorHost::show() {
  if (!status_server_ && !request_.on_snapshot) return;
  const auto shown = std::make_shared<const RunSnapshot>(snapshot());
  if (status_server_) status_server_->publish(shown);
  if (request_.on_snapshot) request_.on_snapshot(shown);
}

Status CoordinatorHost::listen() {
  TransportOptions options;
  options.listen = request_.listen;
  options.token = request_.token;
  options.tls_cert_pem = request_.tls_cert_pem;
  options.tls_key_pem = request_.tls_key_pem;
  options.name = "coordinator";
  EVERGROVE_ASSIGN_OR_RETURN(transport_, Transport::open(options, [this](TransportEvent event) {
                               events_.push(std::move(event));
                             }));
  if (request_.on_listening) request_.on_listening(transport_->address());
  return {};
}

std::optional<CoordinatorEvent> CoordinatorHost::next_event(Clock::time_point until) {
  for (;;) {
    if (auto event = events_.take()) return event;
    if (Clock::now() >= until) return std::nullopt;
    // One that has answered is not heard before the others have.
    transport_->attend(until, machine_ ? machine_->awaited_members() : 1);
  }
}

Status CoordinatorHost::serve() {
  Clock::time_point tick_at = Clock::now();
  Clock::time_point show_at = tick_at;
  Clock::time_point tell_at = tick_at;
  uint64_t told = ~uint64_t{0};
  EVERGROVE_RETURN_IF_ERROR(act(machine_->tick(now())));
  progress_.add(seconds_since(start_), machine_->status().iterations);
  while (!is_over_) {
    if (std::optional<CoordinatorEvent> event = next_event(tick_at + kTickEvery)) {
      if (auto* from_transport = std::get_if<TransportEvent>(&*event)) {
        EVERGROVE_RETURN_IF_ERROR(handle(std::move(*from_transport)));
      }
    }
    if (!model_.valid() && machine_->has_all_trees()) begin_model();
    if (Clock::now() - tick_at < kTickEvery) continue;
    tick_at = Clock::now();
    EVERGROVE_RETURN_IF_ERROR(act(machine_->tick(now())));
    const cluster::CoordinatorStatus status = machine_->status();
    progress_.add(seconds_since(start_), status.iterations);
    if (tick_at >= show_at) {
      show();
      show_at = tick_at + kShowEvery;
    }
    if (request_.on_status) EVERGROVE_RETURN_IF_ERROR(request_.on_status(status));
    // Also while nothing comes of it, so that a run that waits for workers can be stopped.
    const bool is_new = status.iterations != told;
    if (!training_.progress || (!is_new && tick_at < tell_at)) continue;
    tell_at = tick_at + kTellEvery;
    told = status.iterations;
    TrainingProgress progress;
    progress.phase = "training";
    progress.iteration = status.iterations;
    progress.iteration_count = static_cast<uint64_t>(training_.parameters.n_estimators);
    progress.share = double(progress.iteration) / double(progress.iteration_count);
    progress.seconds = seconds_since(start_);
    const auto iterations = machine_->history().iterations();
    if (is_new && !iterations.empty()) progress.metrics = &iterations.back().metrics;
    if (training_.progress(progress)) continue;
    if (log_) EVERGROVE_RETURN_IF_ERROR(log_->drain());
    return interrupted("Stopped after " + std::to_string(status.iterations) + " iterations; " +
                       (log_ ? "repeat the command with --resume to go on" : "nothing was kept"));
  }
  return {};
}

Status CoordinatorHost::handle(TransportEvent event) {
  if (const auto* opened = std::get_if<Opened>(&event)) {
    opened_.insert(opened->connection);
    if (describing_) {
      describing_->opened(opened->connection);
    } else {
      transport_->send(opened->connection, setup_bytes_);
    }
  } else if (const auto* received = std::get_if<Received>(&event)) {
    return receive(*received);
  } else if (const auto* closed = std::get_if<Closed>(&event)) {
    opened_.erase(closed->connection);
    if (describing_) return describing_->closed(closed->connection);
    const auto known = names_.find(closed->connection);
    if (known == names_.end()) return {};
    const std::string name = known->second;
    names_.erase(known);
    // Not if it has come back by another connection already.
    if (connections_[name] != closed->connection) return {};
    connections_.erase(name);
    look_whether_near();
    return act(machine_->lost(name, now()));
  } else if (const auto* refused = std::get_if<Refused>(&event)) {
    report_.training.notes.push_back(refused->note);
  }
  return {};
}

Status CoordinatorHost::receive(const Received& received) {
  const std::string_view bytes = received.bytes.view;
  if (!bytes.empty() && bytes[0] == kQuestionTag) return answer(received);
  if (describing_) return describing_->received(received.connection, bytes);
  if (bytes.empty() || bytes[0] != kMessagesTag) return {};
  const auto messages = decode_messages(received.bytes.from(1));
  if (!messages.ok()) {
    transport_->close(received.connection);
    return {};
  }
  std::vector<cluster::CoordinatorAction> actions;
  for (const cluster::Message& message : *messages) {
    if (const auto* join = std::get_if<cluster::Join>(&message.body)) {
      connections_[join->name] = received.connection;
      names_[received.connection] = join->name;
      look_whether_near();
    }
    const auto name = names_.find(received.connection);
    if (name == names_.end()) continue;
    for (auto& action : machine_->receive(name->second, message, now())) {
      actions.push_back(std::move(action));
    }
  }
  return act(std::move(actions));
}

void CoordinatorHost::look_whether_near() {
  machine_->set_near(std::all_of(connections_.begin(), connections_.end(), [&](const auto& known) {
    return transport_->is_near(known.second);
  }));
}

Status CoordinatorHost::answer(const Received& received) {
  const std::string_view question = received.bytes.view.substr(1);
  if (question == "status") {
    transport_->send(received.connection, kAnswerTag + snapshot_json(snapshot()));
    return {};
  }
  constexpr std::string_view kDrain = "drain ";
  const auto refuse = [&](const std::string& why) {
    transport_->send(received.connection, kRefusalTag + why);
    return Status();
  };
  if (!question.starts_with(kDrain)) return refuse("The coordinator does not know that question");
  if (!machine_) {
    return refuse("The data is being described, and nobody has rows yet; just stop the worker");
  }
  const std::string name(question.substr(kDrain.size()));
  const cluster::CoordinatorStatus status = machine_->status();
  const bool is_known = std::any_of(status.workers.begin(), status.workers.end(),
                                    [&](const auto& worker) { return worker.name == name; });
  if (!is_known) return refuse("No worker has that name; evergrove status names them");
  transport_->send(received.connection, kAnswerTag + name + " hands over and leaves");
  return act(machine_->receive(name, {epoch_, cluster::Leave{}}, now()));
}

Status CoordinatorHost::act(std::vector<cluster::CoordinatorAction> actions) {
  std::map<ConnectionId, MessageBatch> batches;
  for (cluster::CoordinatorAction& action : actions) {
    if (auto* message = std::get_if<cluster::TellAction>(&action)) {
      const auto connection = connections_.find(message->worker);
      if (connection != connections_.end()) batches[connection->second].add(message->message);
    } else if (auto* log = std::get_if<cluster::LogAction>(&action)) {
      if (log_ && log->iteration.index >= logged_count_) {
        EVERGROVE_RETURN_IF_ERROR(log_->append(log->iteration));
      }
    } else if (std::holds_alternative<cluster::FinishedAction>(action)) {
      is_over_ = true;
    } else if (auto* overtaken = std::get_if<cluster::OvertakenAction>(&action)) {
      return storage_error(
          "Another coordinator has taken this run over; this one stops",
          {{"its epoch", std::to_string(overtaken->epoch)}, {"ours", std::to_string(epoch_)}});
    } else if (auto* failed = std::get_if<cluster::FailedAction>(&action)) {
      return failed->status;
    }
  }
  for (auto& [connection, batch] : batches) transport_->send(connection, batch.take());
  return {};
}

// While the workers find out what it is worth on their rows.
void CoordinatorHost::begin_model() {
  model_ = std::async(std::launch::async,
                      [model = machine_->history().model(),
                       is_written = !training_.model_path.empty()]() mutable -> DecidedModel {
                        DecidedModel decided{std::move(model), {}};
                        decided.digest = model::digest(decided.model);
                        if (is_written) {
                          decided.bytes = model_to_bytes(decided.model, decided.digest);
                        }
                        return decided;
                      });
}

Result<ClusterReport> CoordinatorHost::finish() {
  show();
  if (log_) {
    EVERGROVE_RETURN_IF_ERROR(log_->drain());
    report_.training.seconds_log = log_->seconds_waited();
  }
  EVERGROVE_RETURN_IF_ERROR(act(machine_->logged()));
  TrainingReport& report = report_.training;
  if (!model_.valid()) begin_model();
  DecidedModel decided = model_.get();
  report.model = std::move(decided.model);
  report.digest = std::move(decided.digest);
  EVERGROVE_ASSIGN_OR_RETURN(report.metrics, machine_->training_metrics());
  const uint64_t best = machine_->history().best_iteration();
  if (best > 0) {
    const auto& at_best = report.model.metadata.metrics[best - 1];
    report.metrics.insert(report.metrics.end(), at_best.begin(), at_best.end());
  }
  if (!training_.model_path.empty()) {
    EVERGROVE_RETURN_IF_ERROR(decided.bytes.status());
    EVERGROVE_RETURN_IF_ERROR(write_model_bytes(*decided.bytes, training_.model_path));
  }
  report_.status = machine_->status();
  report_.costs = machine_->ledger().costs(now());
  report_.losses = machine_->ledger().losses();
  report_.received_bytes = transport_->received_bytes();
  report_.sent_bytes = transport_->sent_bytes();
  report.peak_rss_bytes = peak_rss_bytes();
  report.seconds_total = seconds_since(start_);
  return std::move(report_);
}

Result<ClusterReport> CoordinatorHost::run() {
  EVERGROVE_RETURN_IF_ERROR(check_model_place(training_));
  EVERGROVE_RETURN_IF_ERROR(open_status_page());
  EVERGROVE_RETURN_IF_ERROR(open_log());
  EVERGROVE_RETURN_IF_ERROR(listen());
  const Status prepared = prepare();
  report_.training.seconds_read = seconds_since(start_);
  const Clock::time_point training_start = Clock::now();
  const Status served = prepared.ok() ? serve() : prepared;
  if (!served.ok()) {
    // Who is told need not look for another coordinator. Who is stopped may be started again.
    const bool is_final =
        served.kind() != StatusKind::interrupted && served.kind() != StatusKind::storage;
    for (const ConnectionId connection : opened_) {
      if (is_final) transport_->send(connection, encode_end(served));
    }
    return served;
  }
  report_.training.seconds_train = seconds_since(training_start);
  return finish();
}

}  // namespace

Result<ClusterReport> coordinate(const CoordinatorRequest& request) {
  const HeapHold hold;
  const ThreadLimit threads(request.training.threads);
  return threads.execute([&]() -> Result<ClusterReport> { return CoordinatorHost(request).run(); });
}

}  // namespace evergrove::runtime
