// A worker that was busy hears what its coordinator said last, although the connection's end is
// known by then as well.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cluster_worker.h"

#include <gtest/gtest.h>

#include <string>

#include "evergrove/runtime/part_messages.h"
#include "evergrove/runtime/testing_transport.h"

namespace evergrove::runtime {
namespace {

TEST(ClusterWorker, HearsWhyTheRunEndedAfterTheConnectionHas) {
  for (const int threads : {1, 2}) {
    Endpoint coordinator(loopback());
    WorkerRequest request;
    request.threads = threads;
    int beats = 0;
    request.is_asked_to_stop = [&] { return ++beats == 20; };  // it would dial again and again
    int asked = 0;
    // Asked to dial, and then at every heartbeat: the worker is busy as long as it gets no answer.
    request.find_coordinator = [&] {
      if (++asked == 2) {
        const ConnectionId worker = coordinator.first_accepted();
        coordinator.transport->send(worker, encode_end(invalid_input("The label is missing")));
        coordinator.transport->close(worker);
        EXPECT_TRUE(coordinator.why_closed(worker).ok());
      }
      return coordinator.transport->address();
    };
    const auto report = run_worker(request);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.status().kind(), StatusKind::invalid_input);
    EXPECT_NE(report.status().message().find("The label is missing"), std::string::npos)
        << report.status().message();
  }
}

}  // namespace
}  // namespace evergrove::runtime
