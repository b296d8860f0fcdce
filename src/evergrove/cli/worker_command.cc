// evergrove worker: one worker of a run, until the run is finished or it is asked to leave.
// SPDX-License-Identifier: Apache-2.0
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>

#include "evergrove/base/byte_size.h"
#include "evergrove/cli/cluster_options.h"
#include "evergrove/cli/commands.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/stop_signal.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/cli/whole_number.h"
#include "evergrove/runtime/cluster_worker.h"

namespace evergrove::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  evergrove worker --coordinator 10.0.0.5:7070 --token-file token --tls-ca ca.pem \\\n"
    "      --listen 0.0.0.0:7071 --tls-cert cert.pem --tls-key key.pem --cache /mnt/disk\n"
    "\n"
    "SIGTERM (and one Ctrl-C) lets it hand over what it holds before it ends; a second one ends\n"
    "it at once (exit code 4), and its shards are read by whoever is there or comes.";

struct WorkerOptions {
  ClusterOptions cluster;
  std::vector<std::string> coordinators;
  int threads = 0;
  std::string memory;
  std::string cache;
  std::string cache_size;
  bool quiet = false;
  bool json = false;
  bool ends_with_parent = false;
};

Result<int> work(const WorkerOptions& options) {
  if (options.ends_with_parent) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (options.coordinators.empty()) {
    return invalid_input("Say where the coordinator is with --coordinator HOST:PORT");
  }
  StopSignal stop;
  EVERGROVE_ASSIGN_OR_RETURN(const ClusterSecrets secrets, read_secrets(options.cluster));
  runtime::WorkerRequest request;
  request.coordinators = options.coordinators;
  if (!options.cluster.listen.empty()) request.listen = options.cluster.listen;
  request.token = secrets.token;
  request.tls_cert_pem = secrets.tls_cert_pem;
  request.tls_key_pem = secrets.tls_key_pem;
  request.tls_ca_pem = secrets.tls_ca_pem;
  request.threads = options.threads;
  if (!options.memory.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(request.memory_bytes, parse_byte_size("--memory", options.memory));
  }
  request.cache_folder = options.cache;
  if (!options.cache_size.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(request.cache_bytes_max,
                               parse_byte_size("--cache-size", options.cache_size));
  }
  if (!options.quiet) request.note = [](const std::string& text) { print_note(text); };
  request.is_asked_to_leave = [&] { return stop.arrived(); };
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::WorkerReport report, runtime::run_worker(request));
  if (options.json) {
    print_json({{"name", report.name},
                {"sent_bytes", report.sent_bytes},
                {"received_bytes", report.received_bytes}});
  }
  return 0;
}

}  // namespace

void add_worker(CLI::App& application, Action& chosen) {
  CLI::App* command =
      application.add_subcommand("worker", "Work for a coordinator (evergrove coordinator)");
  auto options = std::make_shared<WorkerOptions>();
  command->add_option("--coordinator", options->coordinators, "Where it listens; tried in turn")
      ->type_name("HOST:PORT,...")
      ->delimiter(',');
  command
      ->add_option("--listen", options->cluster.listen,
                   "Where other workers reach this one; 127.0.0.1:0 if it is not said")
      ->type_name("HOST:PORT");
  command->add_option("--token-file", options->cluster.token_file, "The token of the run")
      ->type_name("FILE");
  command->add_option("--tls-ca", options->cluster.tls_ca, "Whose certificates are trusted")
      ->type_name("FILE");
  command->add_option("--tls-cert", options->cluster.tls_cert, "The certificate to listen with")
      ->type_name("FILE");
  command->add_option("--tls-key", options->cluster.tls_key, "Its key")->type_name("FILE");
  command->add_option("--threads", options->threads, "All cores if it is not said")
      ->type_name("N")
      ->check(whole_number(1, kThreadsMax));
  command
      ->add_option(
          "--memory", options->memory,
          "For rows at most so much, such as 4GiB; 80 % of the machine's if it is not said")
      ->type_name("SIZE");
  command
      ->add_option("--cache", options->cache,
                   "Keep the rows that it reads here, binned, and read them from here next time")
      ->type_name("DIR");
  command
      ->add_option("--cache-size", options->cache_size,
                   "At most so much, such as 50GB; half of what is free if it is not said")
      ->type_name("SIZE");
  command->add_flag("--quiet", options->quiet, "Say nothing but errors");
  command->add_flag("--json", options->json,
                    "Print at the end, as JSON, what it sent and received");
  command->add_flag("--parent", options->ends_with_parent, "End when the parent process does")
      ->group("");
  command->footer(kFooter);
  command->callback([&chosen, options] { chosen = [options] { return work(*options); }; });
}

}  // namespace evergrove::cli
