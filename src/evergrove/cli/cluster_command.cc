// evergrove status and evergrove drain: what a running coordinator knows, and one thing to ask it.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "evergrove/cli/cluster_options.h"
#include "evergrove/cli/commands.h"
#include "evergrove/cli/quantity_text.h"
#include "evergrove/cli/stop_signal.h"
#include "evergrove/runtime/cluster_client.h"

namespace evergrove::cli {
namespace {

constexpr std::chrono::milliseconds kWatchEvery{1000};

struct ClusterCommandOptions {
  ClusterOptions cluster;
  std::string coordinator;
  std::string worker;
  bool watch = false;
  bool json = false;
};

Result<runtime::ClientRequest> client_request(const ClusterCommandOptions& options) {
  if (options.coordinator.empty()) {
    return invalid_input("Say where the coordinator is with --coordinator HOST:PORT");
  }
  EVERGROVE_ASSIGN_OR_RETURN(ClusterSecrets secrets, read_secrets(options.cluster));
  runtime::ClientRequest request;
  request.coordinator = options.coordinator;
  request.token = std::move(secrets.token);
  request.tls_ca_pem = std::move(secrets.tls_ca_pem);
  return request;
}

std::string status_text(const nlohmann::json& status) {
  const auto number = [&](const char* key) { return status.at(key).get<uint64_t>(); };
  const uint64_t done = number("iterations");
  const uint64_t all = number("iterations_max");
  const double seconds = status.at("seconds").get<double>();
  std::string text = "iterations  " + count_text(done) + " of " + count_text(all);
  if (done > 0 && done < all) {
    text += ", about " + seconds_text(seconds / double(done) * double(all - done)) + " to go";
  }
  text += "\nworkers     " + count_text(status.at("workers").size()) + " (" +
          count_text(number("joined")) + " joined, " + count_text(number("lost")) + " lost, " +
          count_text(number("left")) + " left)\n";
  if (number("shards_missing") > 0) {
    text += "missing     " + count_text(number("shards_missing"), "shard") + " held by nobody\n";
  }
  for (const nlohmann::json& worker : status.at("workers")) {
    text += "  " + worker.at("name").get<std::string>() + "  " +
            worker.at("address").get<std::string>() + "  " +
            count_text(worker.at("threads").get<uint64_t>(), "thread") + ", " +
            std::to_string(worker.at("shards_active").get<uint64_t>()) + " of " +
            count_text(worker.at("shards_held").get<uint64_t>(), "shard") + " active" +
            (worker.at("is_leaving").get<bool>() ? ", leaving" : "") + "\n";
  }
  return text;
}

Result<int> show_status(const ClusterCommandOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::ClientRequest request, client_request(options));
  StopSignal stop;
  while (true) {
    EVERGROVE_ASSIGN_OR_RETURN(const std::string answer,
                               runtime::ask_coordinator(request, "status"));
    const nlohmann::json status = nlohmann::json::parse(answer, nullptr, false);
    if (status.is_discarded()) return corrupt("The coordinator's answer is not what it should be");
    const std::string text = options.json ? status.dump() + "\n" : status_text(status);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    if (!options.watch || stop.arrived()) return 0;
    std::this_thread::sleep_for(kWatchEvery);
  }
}

Result<int> drain(const ClusterCommandOptions& options) {
  if (options.worker.empty()) {
    return invalid_input("Say which worker is to leave; evergrove status names them");
  }
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::ClientRequest request, client_request(options));
  EVERGROVE_ASSIGN_OR_RETURN(const std::string answer,
                             runtime::ask_coordinator(request, "drain " + options.worker));
  std::fputs((answer + "\n").c_str(), stdout);
  return 0;
}

void add_connection(CLI::App* command, ClusterCommandOptions& options) {
  command->add_option("--coordinator", options.coordinator, "Where it listens")
      ->type_name("HOST:PORT");
  command->add_option("--token-file", options.cluster.token_file, "The token of the run")
      ->type_name("FILE");
  command->add_option("--tls-ca", options.cluster.tls_ca, "Whose certificates are trusted")
      ->type_name("FILE");
}

}  // namespace

void add_status(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "status", "Say how far a coordinator's run is, and who works on it");
  auto options = std::make_shared<ClusterCommandOptions>();
  add_connection(command, *options);
  command->add_flag("--watch", options->watch, "Again every second, until Ctrl-C");
  command->add_flag("--json", options->json, "Print one JSON object a line");
  command->callback([&chosen, options] { chosen = [options] { return show_status(*options); }; });
}

void add_drain(CLI::App& application, Action& chosen) {
  CLI::App* command =
      application.add_subcommand("drain", "Let a worker hand over what it holds, and leave");
  auto options = std::make_shared<ClusterCommandOptions>();
  add_connection(command, *options);
  command->add_option("worker", options->worker, "Its name, as evergrove status has it")
      ->type_name("WORKER");
  command->callback([&chosen, options] { chosen = [options] { return drain(*options); }; });
}

}  // namespace evergrove::cli
