// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_metrics_text.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string_view>

namespace evergrove::runtime {
namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

std::string value_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

// Keeps what is UTF-8, and puts a question mark for each byte that is not: one wrong byte would
// make the whole answer unreadable.
std::string as_utf8(std::string_view text) {
  std::string valid;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t size = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    bool is_whole = byte < 0x80 || (byte >= 0xC2 && byte <= 0xF4 && i + size <= text.size());
    for (size_t k = 1; k < size && is_whole; ++k) {
      is_whole = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    }
    if (is_whole && size > 2) {  // overlong forms, surrogates, beyond the last code point
      const auto second = static_cast<unsigned char>(text[i + 1]);
      is_whole = !(byte == 0xE0 && second < 0xA0) && !(byte == 0xED && second > 0x9F) &&
                 !(byte == 0xF0 && second < 0x90) && !(byte == 0xF4 && second > 0x8F);
    }
    valid += is_whole ? text.substr(i, size) : std::string_view("?");
    i += is_whole ? size : 1;
  }
  return valid;
}

std::string escaped(std::string_view text) {
  std::string escaped;
  for (char c : as_utf8(text)) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

class Page {
 public:
  void family(std::string_view name, const char* type, std::string_view help) {
    name_ = name;
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " + type + "\n";
  }
  void sample(double value, Labels labels = {}) {
    text_ += name_;
    char before = '{';
    for (const auto& [label, label_value] : labels) {
      text_ += before + std::string(label) + "=\"" + escaped(label_value) + '"';
      before = ',';
    }
    text_ += (labels.size() > 0 ? "} " : " ") + value_text(value) + "\n";
  }
  void counter(std::string_view name, double value, std::string_view help) {
    family(name, "counter", help);
    sample(value);
  }
  void gauge(std::string_view name, double value, std::string_view help) {
    family(name, "gauge", help);
    sample(value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_, name_;
};

double in_seconds(cluster::Time time) { return double(time.count()) / 1000; }

void add_run(Page& page, const RunSnapshot& snapshot) {
  const cluster::CoordinatorStatus& status = snapshot.status;
  const double trees = double(snapshot.trees_an_iteration);
  page.gauge("evergrove_prepared", snapshot.is_prepared, "1 once the data has been described.");
  page.gauge("evergrove_finished", status.is_finished, "1 when the model is decided.");
  page.counter("evergrove_trees_total", double(status.iterations) * trees,
               "Trees decided, those of earlier coordinators of the run included.");
  page.gauge("evergrove_trees_wanted", double(snapshot.iterations_max) * trees,
             "Trees that the run may have at most.");
  page.counter("evergrove_rounds_total", double(snapshot.rounds),
               "Rounds said to the workers by this coordinator.");
  if (const std::optional<double> to_go = snapshot.seconds_to_go()) {
    page.gauge("evergrove_to_go_seconds", *to_go, "Time to the last tree at the present speed.");
  }
  page.gauge("evergrove_epoch", double(snapshot.epoch), "The number of this coordinator's reign.");
  page.gauge("evergrove_view", double(status.view), "The number of the present view.");
  page.gauge("evergrove_rows", double(snapshot.row_count), "Rows to learn from.");
  page.family("evergrove_validation_metric", "gauge", "Metrics after the last iteration.");
  for (const model::MetricValue& metric : snapshot.metrics) {
    page.sample(metric.value, {{"set", metric.set}, {"metric", metric.name}});
  }
}

void add_workers(Page& page, const RunSnapshot& snapshot) {
  const cluster::CoordinatorStatus& status = snapshot.status;
  double members = 0, leaving = 0, waiting = 0, threads = 0;
  for (const auto& worker : status.workers) {
    (worker.is_leaving ? leaving : worker.is_member ? members : waiting) += 1;
    if (worker.is_member) threads += worker.threads;
  }
  page.family("evergrove_workers", "gauge", "Workers, by what they are to the run.");
  page.sample(members, {{"state", "member"}});
  page.sample(waiting, {{"state", "waiting"}});
  page.sample(leaving, {{"state", "leaving"}});
  page.gauge("evergrove_worker_threads", threads, "Threads of the members.");
  page.counter("evergrove_worker_joined_total", double(status.joined_count), "Workers that came.");
  page.counter("evergrove_worker_left_total", double(status.left_count),
               "Workers that handed over and left.");
  page.counter("evergrove_worker_lost_total", double(status.lost_count),
               "Workers that were lost: killed, cut off or silent for too long.");
  page.counter("evergrove_worker_overtaken_total", double(status.overtaken_count),
               "Times that others did the part of a worker that was not heard; it may come back.");
  std::array<double, 4> by_state{};
  for (const ShardPlace& place : shard_places(snapshot)) by_state[size_t(place.state)] += 1;
  page.family("evergrove_shards", "gauge", "Shards, by how they are held.");
  for (size_t state = 0; state < by_state.size(); ++state) {
    page.sample(by_state[state], {{"state", name_of(ShardState(state))}});
  }
  page.family("evergrove_worker_shards", "gauge", "Shards that a worker counts.");
  for (const auto& worker : status.workers) {
    page.sample(double(worker.shards_active), {{"worker", worker.name}});
  }
  page.family("evergrove_worker_rows_per_second", "gauge",
              "Rows that a worker takes through a round in a second, as it is measured.");
  for (const auto& worker : status.workers) {
    if (worker.rows_a_second > 0) page.sample(worker.rows_a_second, {{"worker", worker.name}});
  }
  page.family("evergrove_worker_memory_bytes", "gauge", "Memory that a worker's shards take.");
  for (const auto& worker : status.workers) {
    page.sample(double(worker.memory_bytes), {{"worker", worker.name}});
  }
  page.gauge("evergrove_memory_missing_bytes", double(status.memory_bytes_missing),
             "Memory of workers that is lacking to hold all shards.");
  page.family("evergrove_worker_silent_seconds", "gauge", "Time since a worker was last heard.");
  for (const auto& worker : status.workers) {
    page.sample(in_seconds(snapshot.now - worker.heard), {{"worker", worker.name}});
  }
}

}  // namespace

ProcessUsage process_usage() {
  ProcessUsage usage;
  rusage used = {};
  if (::getrusage(RUSAGE_SELF, &used) == 0) {
    const auto seconds = [](const timeval& time) {
      return double(time.tv_sec) + double(time.tv_usec) * 1e-6;
    };
    usage.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  }
  uint64_t all_pages = 0, resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> all_pages >> resident_pages) {
    usage.resident_bytes = resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  return usage;
}

std::string run_metrics_text(const RunSnapshot& snapshot, const ProcessUsage& usage) {
  Page page;
  add_run(page, snapshot);
  add_workers(page, snapshot);
  page.counter("evergrove_work_seconds_total", in_seconds(snapshot.costs.work),
               "Time of all members at rounds, added up.");
  page.counter("evergrove_work_lost_seconds_total", in_seconds(snapshot.costs.work_lost),
               "Part of it that had to be done again because workers were lost or left.");
  page.counter("evergrove_recovery_seconds_total", in_seconds(snapshot.costs.recovery),
               "Time from losses until the run was where it had been.");
  page.counter("evergrove_log_wait_seconds_total", snapshot.log_wait_seconds,
               "Time that the run has waited for its log's storage.");
  page.counter("evergrove_sent_bytes_total", double(snapshot.sent_bytes),
               "Bytes sent by the coordinator.");
  page.counter("evergrove_received_bytes_total", double(snapshot.received_bytes),
               "Bytes received by the coordinator.");
  page.gauge("process_start_time_seconds", snapshot.started_unix_seconds,
             "When the coordinator began, in seconds since 1970.");
  page.counter("process_cpu_seconds_total", usage.cpu_seconds, "CPU time of the coordinator.");
  page.gauge("process_resident_memory_bytes", double(usage.resident_bytes),
             "Memory of the coordinator.");
  return page.take();
}

}  // namespace evergrove::runtime
