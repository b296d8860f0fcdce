// coordinate(): a run whose rows are held by other processes: describe the data, open the log, take
// an epoch, listen, let workers do the work, write the model.
//
// Whatever ended a coordinator, another one started with `resume` on the same log goes on; the
// model is that of train() (training_run.h) on the same data, to the bit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/runtime/data_description.h"
#include "evergrove/runtime/status_server.h"
#include "evergrove/runtime/training_run.h"

namespace evergrove::runtime {

struct CoordinatorRequest {
  TrainingRequest training;  // threads: for what is done here
  DataDescription data;      // what training.data was opened from
  std::string listen = "127.0.0.1:0";
  std::string token;
  std::string tls_cert_pem, tls_key_pem;
  uint64_t shard_rows = 0;     // about; 0: by the number of rows
  uint32_t replicas = 0;       // spare copies of each shard
  StatusServerOptions status;  // whoever may look at the run; listen empty: nobody
  // Told the URL of the status page, before anything else is done.
  std::function<void(const std::string&)> on_status_page;
  // Told HOST:PORT once workers may come.
  std::function<void(const std::string&)> on_listening;
  // Told now and then, and when workers come and go; what is not ok ends the run.
  std::function<Status(const cluster::CoordinatorStatus&)> on_status;
  // Given what the status page shows, each time that it changes.
  std::function<void(std::shared_ptr<const RunSnapshot>)> on_snapshot;
};

// What a run on several machines says besides the report of one.
struct ClusterReport {
  TrainingReport training;
  cluster::CoordinatorStatus status;
  cluster::RunCosts costs;
  std::deque<cluster::Loss> losses;
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
};

Result<ClusterReport> coordinate(const CoordinatorRequest& request);

}  // namespace evergrove::runtime
