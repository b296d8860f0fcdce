// TrainOptions: what a user says to `evergrove train`, on the command line or in a file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/cli/cluster_options.h"
#include "evergrove/runtime/data_description.h"
#include "evergrove/runtime/training_run.h"

namespace evergrove::cli {

struct TrainOptions {
  std::vector<std::string> data;
  std::string label;
  std::string objective;                        // empty: by the label
  std::vector<std::vector<std::string>> valid;  // paths of each validation set
  std::optional<double> valid_fraction;
  std::string weight;
  std::vector<std::string> exclude;
  std::vector<std::string> categorical;
  std::vector<std::string> column_types;  // COLUMN=number|text|date, for CSV
  std::vector<std::string> settings;      // name=value, in order
  std::string config;
  std::optional<uint64_t> seed;
  std::optional<int> threads;
  std::string log;
  bool resume = false;
  std::string continue_from;
  std::string model;
  std::string memory;      // what one process may take; empty: what it needs
  std::string cache;       // the folder for rows that do not fit into it
  bool explain = false;    // say what it would need, and train nothing
  int workers = 0;         // local processes; 0: none, all is done in this one
  int replicas = 0;        // spare copies of rows at other workers
  ClusterOptions cluster;  // of a coordinator
  bool json = false;
  bool quiet = false;
  bool profile = false;
  std::string profile_trace;  // a file for Chrome's tracing; asks for a profile, too
};

// Whether rows are held by other processes, of this machine or whoever comes.
inline bool is_cluster(const TrainOptions& options) {
  return options.workers > 0 || !options.cluster.listen.empty();
}

// What the options say about the data, in words that other processes can open it by.
Result<runtime::DataDescription> describe_data(const TrainOptions& options,
                                               bool objective_is_chosen);

// Checks that what is needed was said, and the parameters; opens the data and reads the model to
// continue. Adds notes on how words of other libraries were understood.
Result<runtime::TrainingRequest> make_request(const TrainOptions& options,
                                              std::vector<std::string>& notes);

}  // namespace evergrove::cli
