// run_worker(): a worker process of a cluster, from dialling the coordinator to the end of the run.
//
// It comes back to the coordinator after every loss of the connection, with what it has in memory;
// reads shards in a thread of its own, so that rounds go on meanwhile; and dials other workers when
// it has histograms for them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/runtime/data_description.h"

namespace evergrove::runtime {

struct WorkerRequest {
  std::vector<std::string> coordinators;  // HOST:PORT, tried in turn
  std::string listen = "127.0.0.1:0";     // for the other workers; as a transport has it
  std::string name;                       // empty: made of host, process and time
  std::string token;
  std::string tls_cert_pem, tls_key_pem, tls_ca_pem;
  int threads = 0;  // 0: all cores
  // Of shards that it will hold (train::memory_bytes()); 0: most of what the machine has.
  uint64_t memory_bytes = 0;
  // Where binned shards are kept on local disk (runtime/shard_cache.h); empty: nowhere.
  std::string cache_folder;
  uint64_t cache_bytes_max = 0;  // 0: half of what is free there
  // Without a coordinator for so long, the worker ends with storage.
  std::chrono::seconds patience{60};
  // Gives partitions, where the run's data is some; null: such a run is refused.
  FetchPartitionOfSet fetch;
  // Told HOST:PORT once the other workers may come.
  std::function<void(const std::string&)> on_listening;
  std::function<void(const std::string&)> note;  // what people may want to know
  std::function<bool()> is_asked_to_leave;       // polled; true: hand over, then end
  std::function<bool()> is_asked_to_stop;        // polled; true: end now, with interrupted
  // Where the coordinator is now, if that may change: asked again and again, and used instead of
  // `coordinators`. A worker whose coordinator has moved goes there with the rows that it has.
  // Empty: nobody knows; what it is connected to stays.
  std::function<std::string()> find_coordinator;
};

// What went through its connections, to and from everybody, as bytes of messages.
struct WorkerReport {
  std::string name;
  uint64_t sent_bytes = 0, received_bytes = 0;
};

// Returns when the run is finished or the worker has handed over as asked.
Result<WorkerReport> run_worker(const WorkerRequest& request);

}  // namespace evergrove::runtime
