// SPDX-License-Identifier: Apache-2.0
#include "sim/scale_command.h"

#include <tbb/global_control.h>

#include <cstdio>
#include <iostream>

namespace evergrove::sim {
namespace {

// Shards of a run with so many workers: some for each, so that they can be moved.
constexpr size_t kShardsMin = 16, kShardsOfAWorker = 2;

void print_json(const ScaleCommand& command, const ScaleCosts& costs, size_t workers,
                const ScaleFigures& f) {
  std::cout << "{\"workers\": " << workers << ", \"threads\": " << command.options.threads
            << ", \"rows\": " << command.options.rows << ", \"fan_in\": " << command.options.fan_in
            << ", \"features\": " << command.shape.features
            << ", \"leaves\": " << command.shape.leaves << ", \"seconds\": " << f.seconds
            << ", \"bound\": \"" << f.bound() << "\", \"rounds\": " << f.rounds
            << ", \"in_bytes\": " << f.in_bytes << ", \"out_bytes\": " << f.out_bytes
            << ", \"coordinator_in_bytes\": " << f.coordinator_in_bytes
            << ", \"coordinator_out_bytes\": " << f.coordinator_out_bytes
            << ", \"messages\": " << f.messages << ", \"compute_seconds\": " << f.compute_seconds
            << ", \"link_seconds\": " << f.link_seconds
            << ", \"latency_seconds\": " << f.latency_seconds
            << ", \"coordinator_seconds\": " << f.coordinator_seconds
            << ", \"coordinator_machine_seconds\": " << f.coordinator_machine_seconds
            << ", \"start_seconds\": " << f.start_seconds
            << ", \"coordinator_bytes\": " << f.coordinator_bytes
            << ", \"coordinator_bytes_with_messages\": " << f.coordinator_bytes_with_messages
            << ", \"costs\": {\"gradient_row\": " << costs.gradient_row
            << ", \"histogram_row_feature\": " << costs.histogram_row_feature
            << ", \"gathered_row_feature\": " << costs.gathered_row_feature
            << ", \"partition_row\": " << costs.partition_row
            << ", \"finish_row\": " << costs.finish_row << ", \"make_bin\": " << costs.make_bin
            << ", \"add_bin\": " << costs.add_bin << ", \"search_bin\": " << costs.search_bin
            << ", \"message\": " << costs.message << "}}" << std::endl;
}

void print_line(size_t workers, const ScaleFigures& f) {
  std::printf("%7zu %9.4f  %-12s %6.1f %9.2f %9.2f %9.4f %9.4f %9.4f %9.4f %9.1f %9.1f\n", workers,
              f.seconds, f.bound(), f.rounds, f.in_bytes / 1e6, f.out_bytes / 1e6,
              f.compute_seconds, f.link_seconds, f.latency_seconds, f.coordinator_seconds,
              double(f.coordinator_bytes) / 1e6, double(f.coordinator_bytes_with_messages) / 1e6);
  std::fflush(stdout);
}

}  // namespace

int print_scale(const ScaleCommand& command, bool is_json) {
  // One core does everything here, as the costs are of one.
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  const ScaleCosts costs = ScaleCosts::measure(ScaleRows(command.shape, 1));
  if (!is_json) {
    std::printf("%7s %9s  %-12s %6s %9s %9s %9s %9s %9s %9s %9s %9s\n", "workers", "s a tree",
                "bound", "rounds", "in MB", "out MB", "compute", "link", "latency", "coord.",
                "MB held", "MB most");
  }
  for (size_t workers : command.workers) {
    const ScaleRows rows(command.shape, uint32_t(std::max(kShardsMin, kShardsOfAWorker * workers)));
    ScaleOptions options = command.options;
    options.workers = workers;
    const ScaleFigures figures = Scale(rows, costs, options).run();
    if (is_json) {
      print_json(command, costs, workers, figures);
    } else {
      print_line(workers, figures);
    }
  }
  return 0;
}

}  // namespace evergrove::sim
