// One coordinator or worker of a run on several machines, inside a Python process: what an engine
// (Dask, ...) starts in its own workers.
//
// run() works until the run is finished, without the GIL, in the thread that calls it. The other
// methods may be called from any thread meanwhile. What a run has to say is kept here until it is
// asked for, so that neither waits for the other; one callback alone comes up into Python, which
// fetches a partition of a frame.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/c/abi.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "evergrove/runtime/cluster_coordinator.h"
#include "evergrove/runtime/cluster_worker.h"
#include "evergrove/runtime/machine_memory.h"
#include "evergrove/runtime/run_snapshot.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/runtime/tls_credentials.h"
#include "evergrove/runtime/transport_address.h"
#include "evergrove/source/partitions.h"
#include "metrics_dict.h"
#include "module.h"
#include "settings.h"
#include "status_error.h"

namespace nb = nanobind;

namespace evergrove::bindings {
namespace {

// A worker without a coordinator waits for its engine to find another, which may have to wait for
// machines; the engine stops it when there is nothing to wait for.
constexpr std::chrono::hours kPatience{24};
constexpr size_t kNotesMax = 100;

using Texts = std::vector<std::string>;

runtime::DataDescription describe_data(Texts data, std::vector<Texts> valid, double valid_fraction,
                                       std::string label, std::string weight, Texts exclude,
                                       Texts categorical) {
  runtime::DataDescription description;
  description.data = std::move(data);
  description.valid = std::move(valid);
  description.valid_fraction = valid_fraction;
  description.label = std::move(label);
  description.weight = std::move(weight);
  description.exclude = std::move(exclude);
  description.categorical = std::move(categorical);
  return description;
}

// Rows of the set, IPC bytes of its schemas, and of each partition rows, schema and fingerprint.
using Partitions =
    std::pair<std::vector<nb::bytes>, std::vector<std::tuple<uint64_t, uint32_t, std::string>>>;

source::PartitionSet partition_set(const Partitions& described) {
  source::PartitionSet set;
  for (const nb::bytes& schema : described.first) {
    set.schemas.emplace_back(schema.c_str(), schema.size());
  }
  for (const auto& [rows, schema, fingerprint] : described.second) {
    if (schema >= set.schemas.size()) {
      raise(invalid_input("A partition names a schema that there is not"));
    }
    set.partitions.push_back({rows, schema, fingerprint});
  }
  return set;
}

Status status_of(nb::python_error& error) {
  const std::string message = nb::cast<std::string>(nb::str(error.type().attr("__name__"))) + ": " +
                              nb::cast<std::string>(nb::str(error.value()));
  if (error.matches(PyExc_OSError)) return storage_error(message);
  return invalid_input(message);
}

// Calls a Python function that gives partitions as something with __arrow_c_stream__. Whichever
// thread lets go of it last takes the GIL.
runtime::FetchPartitionOfSet make_fetch(nb::object function) {
  if (function.is_none()) return nullptr;
  std::shared_ptr<nb::object> kept(new nb::object(std::move(function)), [](nb::object* object) {
    nb::gil_scoped_acquire acquire;
    delete object;
  });
  return [kept](size_t set, size_t partition, ArrowArrayStream* stream) -> Status {
    nb::gil_scoped_acquire acquire;
    try {
      const nb::object rows = (*kept)(set, partition);
      const nb::capsule capsule = nb::cast<nb::capsule>(rows.attr("__arrow_c_stream__")());
      auto* given = static_cast<ArrowArrayStream*>(capsule.data("arrow_array_stream"));
      *stream = *given;
      given->release = nullptr;  // ours now
      return {};
    } catch (nb::python_error& error) {
      return status_of(error);
    } catch (const std::exception& error) {
      return invalid_input(std::string("A partition is no Arrow data: ") + error.what());
    }
  };
}

class Coordinator {
 public:
  Coordinator(runtime::DataDescription data, TextPairs settings,
              runtime::CoordinatorRequest request)
      : settings_(std::move(settings)), request_(std::move(request)) {
    request_.data = std::move(data);
    request_.training.parameters =
        value_or_raise(make_parameters(settings_, request_.data.objective_is_chosen, nullptr));
    request_.training.progress = [this](const runtime::TrainingProgress& step) {
      keep(step);
      return !is_asked_to_stop_;
    };
    request_.on_listening = [this](const std::string& address) {
      const std::lock_guard lock(mutex_);
      address_ = address;
    };
    request_.on_status_page = [this](const std::string& url) {
      const std::lock_guard lock(mutex_);
      status_page_ = url;
    };
    request_.on_status = [this](const cluster::CoordinatorStatus& status) -> Status {
      const std::lock_guard lock(mutex_);
      waits_for_ = status.waits_for;
      memory_bytes_missing_ = status.memory_bytes_missing;
      worker_count_ = status.workers.size();
      return {};
    };
    request_.on_snapshot = [this](std::shared_ptr<const runtime::RunSnapshot> snapshot) {
      const std::lock_guard lock(mutex_);
      snapshot_ = std::move(snapshot);
    };
  }

  runtime::TrainingReport run() {
    Result<runtime::ClusterReport> result = [&]() -> Result<runtime::ClusterReport> {
      nb::gil_scoped_release release;
      const runtime::ThreadLimit threads(request_.training.threads);
      EVERGROVE_ASSIGN_OR_RETURN(request_.training.data, threads.execute([&] {
        return runtime::open_data(request_.data, source::Readers::several);
      }));
      return runtime::coordinate(request_);
    }();
    return value_or_raise(std::move(result)).training;
  }

  void stop() { is_asked_to_stop_ = true; }

  std::string address() const {
    const std::lock_guard lock(mutex_);
    return address_;
  }

  // What Progress has, and how the run is with its workers.
  nb::dict progress() const {
    const std::lock_guard lock(mutex_);
    nb::dict step;
    step["phase"] = phase_;
    step["share"] = progress_.share;
    step["iteration"] = progress_.iteration;
    step["iteration_count"] = progress_.iteration_count;
    step["trees_per_iteration"] = progress_.trees_per_iteration;
    step["seconds"] = progress_.seconds;
    step["metrics"] = metrics_dict(metrics_);
    step["workers"] = worker_count_;
    step["waits_for"] = waits_for_;
    step["memory_bytes_missing"] = memory_bytes_missing_;
    step["status_page"] = status_page_;
    return step;
  }

  // As `evergrove status --json` prints it; empty before the run is prepared.
  std::string status_json() const {
    std::shared_ptr<const runtime::RunSnapshot> snapshot;
    {
      const std::lock_guard lock(mutex_);
      snapshot = snapshot_;
    }
    if (!snapshot) return "";
    nb::gil_scoped_release release;
    return runtime::snapshot_json(*snapshot);
  }

 private:
  void keep(const runtime::TrainingProgress& step) {
    const std::lock_guard lock(mutex_);
    phase_ = step.phase;
    progress_ = step;
    progress_.phase = {};
    progress_.metrics = nullptr;
    if (step.metrics != nullptr) metrics_ = *step.metrics;
  }

  TextPairs settings_;
  runtime::CoordinatorRequest request_;
  std::atomic<bool> is_asked_to_stop_ = false;
  mutable std::mutex mutex_;
  std::string address_, status_page_, phase_, waits_for_;
  runtime::TrainingProgress progress_;
  std::vector<model::MetricValue> metrics_;
  uint64_t memory_bytes_missing_ = 0, worker_count_ = 0;
  std::shared_ptr<const runtime::RunSnapshot> snapshot_;
};

class Worker {
 public:
  explicit Worker(runtime::WorkerRequest request) : request_(std::move(request)) {
    request_.patience = kPatience;
    request_.is_asked_to_leave = [this] { return is_asked_to_leave_.load(); };
    request_.is_asked_to_stop = [this] { return is_asked_to_stop_.load(); };
    request_.find_coordinator = [this] {
      const std::lock_guard lock(mutex_);
      return coordinator_;
    };
    request_.on_listening = [this](const std::string& address) {
      const std::lock_guard lock(mutex_);
      address_ = address;
    };
    request_.note = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      notes_.push_back(text);
      if (notes_.size() > kNotesMax) notes_.pop_front();
    };
  }

  void run() {
    const Result<runtime::WorkerReport> result = [&] {
      nb::gil_scoped_release release;
      return runtime::run_worker(request_);
    }();
    raise_if_error(result.status());
  }

  void leave() { is_asked_to_leave_ = true; }
  void stop() { is_asked_to_stop_ = true; }
  std::string address() const {
    const std::lock_guard lock(mutex_);
    return address_;
  }
  void set_coordinator(std::string address) {
    const std::lock_guard lock(mutex_);
    coordinator_ = std::move(address);
  }
  Texts take_notes() {
    const std::lock_guard lock(mutex_);
    Texts notes(notes_.begin(), notes_.end());
    notes_.clear();
    return notes;
  }

 private:
  runtime::WorkerRequest request_;
  std::atomic<bool> is_asked_to_leave_ = false, is_asked_to_stop_ = false;
  mutable std::mutex mutex_;
  std::string coordinator_, address_;
  std::deque<std::string> notes_;
};

void init_coordinator(Coordinator* self, Texts data, std::vector<Texts> valid,
                      const std::vector<Partitions>& partitions, double valid_fraction,
                      std::string label, std::string weight, Texts exclude, Texts categorical,
                      TextPairs settings, int threads, std::string log, bool resume,
                      const model::Model* continue_from, std::string listen, std::string token,
                      std::string tls_cert_pem, std::string tls_key_pem,
                      std::string status_listen) {
  runtime::CoordinatorRequest request;
  request.training.threads = threads;
  request.training.log_folder = std::move(log);
  request.training.resume = resume;
  if (continue_from != nullptr) request.training.continue_from = *continue_from;
  request.listen = std::move(listen);
  request.token = std::move(token);
  request.tls_cert_pem = std::move(tls_cert_pem);
  request.tls_key_pem = std::move(tls_key_pem);
  request.status.listen = std::move(status_listen);
  runtime::DataDescription description =
      describe_data(std::move(data), std::move(valid), valid_fraction, std::move(label),
                    std::move(weight), std::move(exclude), std::move(categorical));
  for (const Partitions& set : partitions) description.partitions.push_back(partition_set(set));
  new (self) Coordinator(std::move(description), std::move(settings), std::move(request));
}

void init_worker(Worker* self, std::string coordinator, std::string listen, std::string name,
                 std::string token, std::string tls_cert_pem, std::string tls_key_pem,
                 std::string tls_ca_pem, int threads, uint64_t memory_bytes,
                 std::string cache_folder, nb::object fetch) {
  runtime::WorkerRequest request;
  request.fetch = make_fetch(std::move(fetch));
  request.listen = std::move(listen);
  request.name = std::move(name);
  request.token = std::move(token);
  request.tls_cert_pem = std::move(tls_cert_pem);
  request.tls_key_pem = std::move(tls_key_pem);
  request.tls_ca_pem = std::move(tls_ca_pem);
  request.threads = threads;
  request.memory_bytes = memory_bytes;
  request.cache_folder = std::move(cache_folder);
  new (self) Worker(std::move(request));
  self->set_coordinator(std::move(coordinator));
}

nb::dict make_credentials() {
  const runtime::Credentials made = value_or_raise(runtime::make_credentials({}));
  nb::dict credentials;
  credentials["token"] = made.token;
  credentials["tls_cert_pem"] = made.cert_pem;
  credentials["tls_key_pem"] = made.key_pem;
  credentials["tls_ca_pem"] = made.ca_pem;
  return credentials;
}

}  // namespace

void init_cluster(nb::module_& module) {
  nb::class_<Coordinator>(module, "Coordinator")
      .def("__init__", &init_coordinator, nb::kw_only(), nb::arg("data"), nb::arg("valid"),
           nb::arg("partitions"), nb::arg("valid_fraction"), nb::arg("label"), nb::arg("weight"),
           nb::arg("exclude"), nb::arg("categorical"), nb::arg("settings"), nb::arg("threads"),
           nb::arg("log"), nb::arg("resume"), nb::arg("continue_from").none(), nb::arg("listen"),
           nb::arg("token"), nb::arg("tls_cert_pem"), nb::arg("tls_key_pem"),
           nb::arg("status_listen"))
      .def("run", &Coordinator::run)
      .def("stop", &Coordinator::stop)
      .def_prop_ro("address", &Coordinator::address)
      .def("progress", &Coordinator::progress)
      .def("status_json", &Coordinator::status_json);
  nb::class_<Worker>(module, "Worker")
      .def("__init__", &init_worker, nb::kw_only(), nb::arg("coordinator"), nb::arg("listen"),
           nb::arg("name"), nb::arg("token"), nb::arg("tls_cert_pem"), nb::arg("tls_key_pem"),
           nb::arg("tls_ca_pem"), nb::arg("threads"), nb::arg("memory_bytes"),
           nb::arg("cache_folder"), nb::arg("fetch").none())
      .def("run", &Worker::run)
      .def_prop_ro("address", &Worker::address)
      .def("leave", &Worker::leave)
      .def("stop", &Worker::stop)
      .def("set_coordinator", &Worker::set_coordinator, nb::arg("address"))
      .def("take_notes", &Worker::take_notes);
  module.def("make_credentials", &make_credentials);
  module.def("make_token", [] { return value_or_raise(runtime::make_token()); });
  module.def(
      "is_loopback", [](const std::string& host) { return runtime::is_loopback(host); },
      nb::arg("host"));
  module.def("machine_memory_bytes", [] { return runtime::machine_memory_bytes(); });
}

}  // namespace evergrove::bindings
