// evergrove-sim --seeds FIRST-LAST [--jobs N] [--mutation NAME] [--json]
// evergrove-sim --seeds SEED --story [--mutation NAME]
// evergrove-sim --case FILE.toml [--seeds SEED or FIRST-LAST] [--story]
// evergrove-sim --mutations
// evergrove-sim --scale WORKERS,... [--rows N] [--threads N] [--fan-in N] [--json]
//
// Simulates runs of the cluster; all of a run follows from its seed. Seeds are shared out to
// processes, for a broken rule may well crash one: that is a violation like others, and the process
// is started again behind it. With a mutation it ends at the first seed that finds it. Exit 1 if
// there was a violation, 2 for wrong use.
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/case_command.h"
#include "sim/mutations.h"
#include "sim/scale_command.h"
#include "sim/simulation.h"

namespace evergrove::sim {
namespace {

constexpr unsigned kSecondsASeed = 60;  // one that takes longer is taken to hang

struct Options {
  uint64_t first = 0, last = 999;
  size_t jobs = 1;
  const NamedMutation* mutation = nullptr;
  bool tells_story = false, is_json = false, lists = false;
  std::string case_path;
  bool has_seeds = false;
  ScaleCommand scale;
};

struct Violation {
  uint64_t seed = 0;
  std::string what;
};

struct Totals {
  uint64_t seeds = 0, steps = 0, messages = 0, workers = 0, coordinators = 0, views = 0;
  cluster::WorkerHoldings most;
  std::vector<Violation> violations;
};

std::string replay_command(uint64_t seed, const Options& options) {
  std::string command = "evergrove-sim --seeds " + std::to_string(seed) + " --story";
  if (options.mutation) command += " --mutation " + std::string(options.mutation->name);
  return command;
}

// ---- a process that runs every jobs-th seed

std::string line_of(uint64_t seed, const Outcome& outcome) {
  std::string violation = outcome.violation;
  for (char& c : violation) c = c == '\n' ? ' ' : c;
  std::string line = "end";
  for (uint64_t value : {seed, outcome.steps, outcome.messages, outcome.workers,
                         outcome.coordinators, outcome.views, uint64_t{outcome.most.early_parts},
                         uint64_t{outcome.most.open_rounds}, uint64_t{outcome.most.sums},
                         uint64_t{outcome.most.told_splits}, uint64_t{outcome.most.histograms}}) {
    line += " " + std::to_string(value);
  }
  return line + " " + violation + "\n";
}

bool say(int pipe, const std::string& line) {
  return write(pipe, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

void run_seeds(const Options& options, uint64_t from, int pipe) {
  if (dup2(pipe, STDERR_FILENO) < 0) _exit(3);  // what a failed CHECK says
  for (uint64_t seed = from; seed <= options.last; seed += options.jobs) {
    if (!say(pipe, "begin " + std::to_string(seed) + "\n")) _exit(3);
    alarm(kSecondsASeed);
    const Outcome outcome = Simulation(Problem::of(seed), Faults::of(seed), seed).run();
    if (!say(pipe, line_of(seed, outcome))) _exit(3);
  }
  _exit(0);
}

struct Job {
  pid_t process = 0;
  int pipe = -1;
  uint64_t seed = 0;  // at hand
  bool is_at_one = false;
  std::string unread;
  std::string words;  // the last it said beside results
};

bool start(Job& job, const Options& options, uint64_t from) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  job.process = fork();
  if (job.process < 0) return false;
  if (job.process == 0) {
    close(ends[0]);
    run_seeds(options, from, ends[1]);
  }
  close(ends[1]);
  job.pipe = ends[0];
  job.is_at_one = false;
  job.unread.clear();
  job.words.clear();
  return true;
}

void take_line(Job& job, const std::string& line, Totals& totals) {
  unsigned long long v[11];
  int at = 0;
  if (std::sscanf(line.c_str(), "begin %llu", &v[0]) == 1) {
    job.seed = v[0];
    job.is_at_one = true;
  } else if (std::sscanf(line.c_str(),
                         "end %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %n", &v[0],
                         &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10],
                         &at) == 11) {
    job.is_at_one = false;
    ++totals.seeds;
    totals.steps += v[1];
    totals.messages += v[2];
    totals.workers += v[3];
    totals.coordinators += v[4];
    totals.views += v[5];
    totals.most.early_parts = std::max<size_t>(totals.most.early_parts, v[6]);
    totals.most.open_rounds = std::max<size_t>(totals.most.open_rounds, v[7]);
    totals.most.sums = std::max<size_t>(totals.most.sums, v[8]);
    totals.most.told_splits = std::max<size_t>(totals.most.told_splits, v[9]);
    totals.most.histograms = std::max<size_t>(totals.most.histograms, v[10]);
    if (at < static_cast<int>(line.size())) {
      totals.violations.push_back({v[0], line.substr(static_cast<size_t>(at))});
    }
  } else if (job.words.empty()) {
    job.words = line;
  }
}

// Reads what a job has to say. Returns false at its end.
bool take(Job& job, Totals& totals) {
  char bytes[4096];
  const ssize_t count = read(job.pipe, bytes, sizeof bytes);
  if (count < 0 && errno == EINTR) return true;
  if (count <= 0) return false;
  job.unread.append(bytes, static_cast<size_t>(count));
  for (size_t end; (end = job.unread.find('\n')) != std::string::npos;) {
    take_line(job, job.unread.substr(0, end), totals);
    job.unread.erase(0, end + 1);
  }
  return true;
}

// Waits for a process that has ended; one that crashed is a violation of the seed at hand.
bool crashed(Job& job, Totals& totals) {
  close(job.pipe);
  job.pipe = -1;
  int status = 0;
  while (waitpid(job.process, &status, 0) < 0 && errno == EINTR) {
  }
  if (!job.is_at_one) return false;
  ++totals.seeds;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  std::string what = signal == SIGALRM ? "hangs: took longer than a minute"
                     : signal != 0     ? "crashes: " + std::string(strsignal(signal))
                                       : "stops itself";
  if (!job.words.empty()) what += ": " + job.words;
  totals.violations.push_back({job.seed, std::move(what)});
  return true;
}

Totals run_all(const Options& options) {
  Totals totals;
  std::vector<Job> jobs(options.jobs);
  size_t alive = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (options.first + i <= options.last) alive += start(jobs[i], options, options.first + i);
  }
  while (alive > 0) {
    std::vector<pollfd> waits;
    waits.reserve(jobs.size());
    for (const Job& job : jobs) waits.push_back({job.pipe, POLLIN, 0});
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (waits[i].revents == 0 || take(jobs[i], totals)) continue;
      --alive;
      if (!crashed(jobs[i], totals) || options.mutation != nullptr) continue;
      const uint64_t next = jobs[i].seed + options.jobs;
      if (next <= options.last) alive += start(jobs[i], options, next);
    }
    if (options.mutation == nullptr || totals.violations.empty()) continue;
    for (Job& job : jobs) {
      if (job.pipe < 0) continue;
      kill(job.process, SIGKILL);
      job.is_at_one = false;
      crashed(job, totals);
    }
    break;
  }
  return totals;
}

// ---- what is printed

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return json + "\"";
}

void print_json(const Options& options, const Totals& totals, double seconds) {
  std::cout << "{\"seeds\": " << totals.seeds << ", \"seconds\": " << seconds
            << ", \"steps\": " << totals.steps << ", \"messages\": " << totals.messages
            << ", \"workers\": " << totals.workers << ", \"coordinators\": " << totals.coordinators
            << ", \"views\": " << totals.views
            << ", \"early_parts_max\": " << totals.most.early_parts
            << ", \"open_rounds_max\": " << totals.most.open_rounds
            << ", \"sums_max\": " << totals.most.sums
            << ", \"told_splits_max\": " << totals.most.told_splits
            << ", \"histograms_max\": " << totals.most.histograms
            << ", \"mutation\": " << (options.mutation ? quoted(options.mutation->name) : "null")
            << ", \"violations\": [";
  const char* comma = "";
  for (const Violation& violation : totals.violations) {
    std::cout << comma << "{\"seed\": " << violation.seed
              << ", \"what\": " << quoted(violation.what)
              << ", \"replay\": " << quoted(replay_command(violation.seed, options)) << "}";
    comma = ", ";
  }
  std::cout << "]}\n";
}

void print_text(const Options& options, const Totals& totals, double seconds) {
  for (const Violation& violation : totals.violations) {
    std::cout << "seed " << violation.seed << ": " << violation.what << "\n    "
              << replay_command(violation.seed, options) << "\n";
  }
  std::cout << totals.seeds << " seeds, " << totals.violations.size() << " violations, "
            << uint64_t(double(totals.seeds) * 60 / seconds) << " seeds a minute; "
            << totals.workers << " workers, " << totals.coordinators << " coordinators, "
            << totals.views << " views, " << totals.messages << " messages; at most "
            << totals.most.early_parts << " early parts, " << totals.most.open_rounds
            << " open rounds, " << totals.most.sums << " sums, " << totals.most.told_splits
            << " told splits, " << totals.most.histograms << " histograms with a worker\n";
}

std::optional<uint64_t> number_in(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<size_t>> numbers_in(std::string_view text) {
  std::vector<size_t> numbers;
  while (true) {
    const size_t comma = text.find(',');
    const auto number = number_in(text.substr(0, comma));
    if (!number || *number < 1 || *number > 100'000) return std::nullopt;
    numbers.push_back(*number);
    if (comma == std::string_view::npos) return numbers;
    text.remove_prefix(comma + 1);
  }
}

// Returns what is wrong, or an empty text.
std::string parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view option = arguments[i];
    const std::string_view value = i + 1 < count ? arguments[i + 1] : "";
    if (option == "--story") {
      options.tells_story = true;
    } else if (option == "--json") {
      options.is_json = true;
    } else if (option == "--mutations") {
      options.lists = true;
    } else if (option == "--seeds") {
      const size_t dash = value.find('-');
      const auto first = number_in(value.substr(0, dash));
      const auto last = dash == std::string_view::npos ? first : number_in(value.substr(dash + 1));
      if (!first || !last || *last < *first) {
        return "--seeds is SEED or FIRST-LAST, got '" + std::string(value) + "'";
      }
      options.first = *first;
      options.last = *last;
      options.has_seeds = true;
      ++i;
    } else if (option == "--case") {
      if (value.empty()) return "--case is a file of tests/cases";
      options.case_path = value;
      ++i;
    } else if (option == "--jobs") {
      const auto jobs = number_in(value);
      if (!jobs || *jobs < 1 || *jobs > 1024) return "--jobs is a number from 1 to 1024";
      options.jobs = *jobs;
      ++i;
    } else if (option == "--scale") {
      const auto workers = numbers_in(value);
      if (!workers) return "--scale is numbers of workers, such as 1,2,4,1000";
      options.scale.workers = *workers;
      ++i;
    } else if (option == "--rows" || option == "--threads" || option == "--fan-in") {
      const auto number = number_in(value);
      if (!number || *number < 1 || *number > 1'000'000'000'000) {
        return std::string(option) + " is a number, got '" + std::string(value) + "'";
      }
      if (option == "--rows") options.scale.options.rows = double(*number);
      if (option == "--threads") options.scale.options.threads = static_cast<uint32_t>(*number);
      if (option == "--fan-in") options.scale.options.fan_in = static_cast<uint32_t>(*number);
      ++i;
    } else if (option == "--mutation") {
      options.mutation = find_mutation(value);
      if (options.mutation == nullptr) {
        return "there is no mutation '" + std::string(value) + "'; --mutations lists them";
      }
      ++i;
    } else {
      return "there is no option '" + std::string(option) +
             "'; they are --seeds, --jobs, --story, "
             "--case, --mutation, --mutations, --scale, --rows, --threads, --fan-in, --json";
    }
  }
  if (!options.case_path.empty() && !options.has_seeds) options.last = options.first;
  if (options.tells_story && options.first != options.last) return "--story is of one seed";
  return "";
}

int tell_story(uint64_t seed) {
  const Outcome outcome = Simulation(Problem::of(seed), Faults::of(seed), seed, &std::cout).run();
  const bool is_good = outcome.violation.empty();
  std::cout << (is_good ? "No violation; digest " + outcome.digest
                        : "Violation: " + outcome.violation)
            << "\n";
  return is_good ? 0 : 1;
}

int run(int count, char** arguments) {
  Options options;
  if (const std::string wrong = parse(count, arguments, options); !wrong.empty()) {
    std::cerr << "evergrove-sim: " << wrong << "\n";
    return 2;
  }
  if (options.lists) {
    for (const NamedMutation& mutation : all_mutations()) {
      std::cout << mutation.name << "\t" << mutation.breaks << "\t" << mutation.harmless << "\n";
    }
    return 0;
  }
  if (!options.scale.workers.empty()) return print_scale(options.scale, options.is_json);
  if (options.mutation) cluster::mutation_on = options.mutation->mutation;
  if (!options.case_path.empty()) {
    return run_case(options.case_path, {options.first, options.last}, options.tells_story);
  }
  if (options.tells_story) return tell_story(options.first);
  const auto begin = std::chrono::steady_clock::now();
  const Totals totals = run_all(options);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  (options.is_json ? print_json : print_text)(options, totals, took.count());
  return totals.violations.empty() ? 0 : 1;
}

}  // namespace
}  // namespace evergrove::sim

int main(int count, char** arguments) { return evergrove::sim::run(count, arguments); }
