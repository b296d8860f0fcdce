// LocalWorkers: worker processes of a run on this machine, for trying it out and for tests.
//
// They are `evergrove worker`, end with their owner, and are started again when they die, a few
// times; each may take its share of the machine's memory. One owner, one thread at a time.
//
//   EVERGROVE_ASSIGN_OR_RETURN(ClusterReport report, train_with_local_workers(request, {.count =
//   2}));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/cluster_coordinator.h"

namespace evergrove::runtime {

struct LocalWorkersOptions {
  size_t count = 1;
  int threads = 0;      // of all of them together; 0: all cores
  std::string program;  // the evergrove command; empty: the program that runs this
};

class LocalWorkers {
 public:
  // Makes a token of its own, in a file that only this user can read.
  static Result<LocalWorkers> create(const LocalWorkersOptions& options);
  LocalWorkers(LocalWorkers&& other) noexcept;
  LocalWorkers& operator=(LocalWorkers&&) = delete;
  ~LocalWorkers();

  const std::string& token() const { return token_; }
  Status start(const std::string& coordinator);
  // Starts again who has died; storage when they die again and again. Call now and then.
  Status look_after();
  const std::vector<pid_t>& processes() const { return processes_; }

 private:
  LocalWorkers() = default;
  Result<pid_t> spawn() const;

  size_t count_ = 0;
  int threads_each_ = 1;
  std::string program_;
  std::string token_;
  std::string token_path_;
  std::string coordinator_;
  std::vector<pid_t> processes_;
  size_t deaths_left_ = 100;
};

// A run that such workers do, on loopback. Fails if they cannot hold all rows, for nobody else will
// come.
Result<ClusterReport> train_with_local_workers(CoordinatorRequest request,
                                               const LocalWorkersOptions& options);

}  // namespace evergrove::runtime
