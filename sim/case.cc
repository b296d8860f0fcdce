// SPDX-License-Identifier: Apache-2.0
#include "sim/case.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <set>

#include "evergrove/base/toml_parser.h"

namespace evergrove::sim {

using cluster::Time;

namespace {

struct NamedDeed {
  Deed deed;
  std::string_view name;
  bool has_worker = false, lasts = false, is_simulated_only = false;
};
constexpr NamedDeed kDeeds[] = {
    {Deed::add_worker, "add_worker"},
    {Deed::kill_worker, "kill_worker", true},
    {Deed::stop_worker, "stop_worker", true, true},
    {Deed::drain_worker, "drain_worker", true},
    {Deed::cut_worker, "cut_worker", true, true, true},
    {Deed::kill_coordinator, "kill_coordinator"},
    {Deed::stop_coordinator, "stop_coordinator", false, true},
    {Deed::second_coordinator, "second_coordinator", false, false, true},
    {Deed::slow_log, "slow_log", false, true, true},
};

std::string joined(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

// Reads the keys of one table; the first thing that is wrong stays in the status.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string where, std::string_view file, Status& status)
      : table_(table), where_(std::move(where)), file_(file), status_(status) {}

  void check_keys(const std::vector<std::string_view>& known) {
    for (const auto& [key, node] : table_) {
      if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
        fail("There is no such key here; there are " + joined(known), key.str());
      }
    }
  }
  bool has(std::string_view key) const { return table_.contains(key); }

  int64_t integer(std::string_view key, int64_t least, int64_t most, int64_t otherwise) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return otherwise;
    const auto* number = node->as_integer();
    if (number == nullptr || number->get() < least || number->get() > most) {
      fail("The key takes a whole number from " + std::to_string(least) + " to " +
               std::to_string(most),
           key);
      return otherwise;
    }
    return number->get();
  }
  // From 0 to most; or above 0, if it must not be 0.
  double number(std::string_view key, double most, bool may_be_zero, double otherwise) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return otherwise;
    const double value = node->is_number() ? node->value<double>().value_or(-1) : -1;
    if (!(may_be_zero ? value >= 0 : value > 0) || !(value <= most)) {
      fail(std::string("The key takes a number ") + (may_be_zero ? "from" : "above") +
               " 0, up to " + std::to_string(int(most)),
           key);
      return otherwise;
    }
    return value;
  }
  Time seconds(std::string_view key) { return Time(int64_t(number(key, 300, true, 0) * 1000)); }
  bool flag(std::string_view key) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return false;
    if (!node->is_boolean()) fail("The key takes true or false", key);
    return node->value_or(false);
  }
  std::string text(std::string_view key, std::string_view otherwise) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::string(otherwise);
    if (!node->is_string()) fail("The key takes text in quotes", key);
    return node->value_or(std::string());
  }
  // Returns which of the words it is.
  size_t choice(std::string_view key, const std::vector<std::string_view>& words) {
    const auto found = std::find(words.begin(), words.end(), text(key, words.front()));
    if (found != words.end()) return size_t(found - words.begin());
    fail("The key takes one of " + joined(words), key);
    return 0;
  }
  // The table, or an empty one.
  TableReader table(std::string_view key) {
    static const toml::table kNone;
    const toml::node* node = table_.get(key);
    if (node != nullptr && !node->is_table())
      fail("This is a table: [" + std::string(key) + "]", key);
    const toml::table* inner = node == nullptr ? nullptr : node->as_table();
    return {inner == nullptr ? kNone : *inner, std::string(key), file_, status_};
  }
  std::vector<TableReader> tables(std::string_view key) {
    std::vector<TableReader> found;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return found;
    if (!node->is_array_of_tables()) {
      fail("There may be several of these: [[" + std::string(key) + "]]", key);
      return found;
    }
    for (const toml::node& item : *node->as_array()) {
      found.push_back({*item.as_table(), std::string(key) + " " + std::to_string(found.size() + 1),
                       file_, status_});
    }
    return found;
  }
  const toml::table& all() const { return table_; }

  void fail(std::string_view sentence, std::string_view key) {
    if (!status_.ok()) return;
    const toml::node* node = table_.get(key);
    const auto line = node == nullptr ? table_.source().begin.line : node->source().begin.line;
    std::string place(key);
    if (!where_.empty()) place = where_ + (key.empty() ? "" : "." + place);
    status_ = invalid_input(
        sentence, {{"key", place}, {"line", std::to_string(line)}, {"file", std::string(file_)}});
  }

 private:
  const toml::table& table_;
  std::string where_;
  std::string_view file_;
  Status& status_;
};

void read_data(TableReader data, Problem& problem) {
  using model::ObjectiveKind;
  data.check_keys({"rows", "shards", "objective", "weighted", "valid_fraction"});
  problem.rows = size_t(data.integer("rows", 100, 100'000, 3000));
  problem.shards = uint32_t(data.integer("shards", 1, 100, 12));
  constexpr ObjectiveKind kObjectives[] = {ObjectiveKind::binary, ObjectiveKind::multiclass,
                                           ObjectiveKind::regression};
  problem.objective = kObjectives[data.choice("objective", {"binary", "multiclass", "regression"})];
  problem.is_weighted = data.flag("weighted");
  problem.valid_fraction = data.number("valid_fraction", 1, true, 0.2);
  if (problem.valid_fraction > 0.9) data.fail("Not more than 0.9 of the rows", "valid_fraction");
}

void read_parameters(TableReader given, train::Parameters& parameters) {
  for (const auto& [name, node] : given.all()) {
    std::string text = node.value_or(std::string());
    if (const auto* integer = node.as_integer()) text = std::to_string(integer->get());
    if (const auto* number = node.as_floating_point()) {
      char digits[64];
      text.assign(digits, std::to_chars(digits, digits + sizeof digits, number->get()).ptr);
    }
    if (name.str() == "objective") given.fail("The objective is said under [data]", name.str());
    const Status status = train::set_parameter(parameters, name.str(), text);
    if (!status.ok()) given.fail(status.message(), name.str());
  }
  const Status status = train::validate(parameters);
  if (!status.ok()) given.fail(status.message(), "");
}

void read_worker(TableReader& reader, CaseWorker& worker) {
  worker.threads = uint32_t(reader.integer("threads", 1, 64, 1));
  worker.memory = reader.number("memory", 100, false, 0);
}

CaseEvent read_event(TableReader& reader) {
  CaseEvent event;
  std::vector<std::string_view> names;
  for (const NamedDeed& deed : kDeeds) names.push_back(deed.name);
  if (!reader.has("do"))
    reader.fail("An event says what it does: do = one of " + joined(names), "");
  const NamedDeed& deed = kDeeds[reader.choice("do", names)];
  event.deed = deed.deed;
  std::vector<std::string_view> keys = {"do", "at_iteration", "after_seconds", "only"};
  const auto need = [&](std::string_view key) {
    keys.push_back(key);
    if (!reader.has(key)) {
      reader.fail("The event needs " + std::string(key) + ", as it is " + std::string(deed.name),
                  "");
    }
  };
  if (deed.has_worker) need("worker");
  if (deed.lasts) need("for_seconds");
  if (deed.deed == Deed::kill_coordinator) keys.push_back("for_seconds");
  if (deed.deed == Deed::cut_worker) keys.push_back("way");
  if (deed.deed == Deed::add_worker) keys.insert(keys.end(), {"threads", "memory"});
  reader.check_keys(keys);
  event.iteration = uint64_t(reader.integer("at_iteration", 0, 100'000, 0));
  event.after = reader.seconds("after_seconds");
  event.lasts = reader.seconds("for_seconds");
  event.worker = size_t(reader.integer("worker", 1, 1000, 0));
  if (deed.deed == Deed::add_worker) read_worker(reader, event.added);
  if (deed.deed == Deed::cut_worker) {
    const size_t way = reader.choice("way", {"both", "in", "out"});
    event.is_deaf = way != 2;
    event.is_mute = way != 1;
  }
  const bool is_simulated = reader.choice("only", {"simulation", "processes"}) == 0;
  event.is_simulated = !reader.has("only") || is_simulated;
  if (deed.is_simulated_only && (!reader.has("only") || !is_simulated)) {
    reader.fail("Real processes cannot have this: say only = \"simulation\"", "do");
  }
  return event;
}

// Every worker that is named is there, in the world that the event happens in.
void check_workers(std::vector<TableReader>& readers, const Case& scenario) {
  for (const bool is_simulation : {true, false}) {
    std::set<size_t> gone;
    size_t started = scenario.workers.size();
    for (size_t i = 0; i < scenario.events.size(); ++i) {
      const CaseEvent& event = scenario.events[i];
      const bool is_of_one = readers[i].has("only");
      if (is_of_one && event.is_simulated != is_simulation) continue;
      if (event.deed == Deed::add_worker) ++started;
      if (event.worker == 0) continue;
      if (event.worker > started) {
        readers[i].fail("There is no such worker yet; " + std::to_string(started) +
                            " have been started, counted from 1",
                        "worker");
      }
      if (gone.contains(event.worker)) {
        readers[i].fail("This worker was killed or drained by an event before", "worker");
      }
      if (event.deed == Deed::kill_worker || event.deed == Deed::drain_worker) {
        gone.insert(event.worker);
      }
    }
  }
}

void read_expectations(TableReader expect, Case& scenario) {
  expect.check_keys({"joined", "lost", "left", "overtaken", "seconds_max", "stops_early"});
  const auto count = [&](std::string_view key, std::optional<uint64_t>& value) {
    const int64_t found = expect.integer(key, 0, 1000, -1);
    if (found >= 0) value = uint64_t(found);
  };
  count("joined", scenario.joined);
  count("lost", scenario.lost);
  count("left", scenario.left);
  count("overtaken", scenario.overtaken);
  const double seconds = expect.number("seconds_max", 600, false, 0);
  if (seconds > 0) scenario.ended_by = Time(int64_t(seconds * 1000));
  scenario.stops_early = expect.flag("stops_early");
}

}  // namespace

std::string_view name_of(Deed deed) {
  for (const NamedDeed& named : kDeeds) {
    if (named.deed == deed) return named.name;
  }
  return "";
}

Result<Case> read_case(std::string_view text, std::string_view name) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    return invalid_input("The case is not TOML: " + std::string(parsed.error().description()),
                         {{"line", std::to_string(parsed.error().source().begin.line)},
                          {"file", std::string(name)}});
  }
  Status status;
  Case scenario;
  TableReader reader(parsed.table(), "", name, status);
  reader.check_keys({"about", "data", "parameters", "worker", "event", "expect"});
  scenario.about = reader.text("about", "");
  if (!reader.has("about")) reader.fail("A case says what it is about", "about");
  read_data(reader.table("data"), scenario.problem);
  scenario.problem.parameters = train::Parameters();
  read_parameters(reader.table("parameters"), scenario.problem.parameters);
  for (TableReader& each : reader.tables("worker")) {
    each.check_keys({"threads", "memory"});
    read_worker(each, scenario.workers.emplace_back());
  }
  if (scenario.workers.empty()) reader.fail("A case begins with a [[worker]] at least", "worker");
  std::vector<TableReader> events = reader.tables("event");
  for (TableReader& each : events) scenario.events.push_back(read_event(each));
  check_workers(events, scenario);
  read_expectations(reader.table("expect"), scenario);
  if (!status.ok()) return status;
  return scenario;
}

}  // namespace evergrove::sim
