// The server under a run that goes on, for the sanitizers above all; what it answers to whom is in
// status_site_test.cc and tests/process/test_status_page.py.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/status_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/transport_address.h"

namespace evergrove::runtime {
namespace {

Descriptor connect_to(const StatusServer& server) {
  const std::string& url = server.url();
  const auto place = parse_host_port(url.substr(7, url.size() - 8));
  EXPECT_TRUE(place.ok());
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(place->port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return socket;
}

// Sends, and returns all that comes back until the server closes.
std::string answer_to(const StatusServer& server, const std::string& bytes) {
  const Descriptor socket = connect_to(server);
  (void)::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::shutdown(socket.get(), SHUT_WR);
  std::string came;
  char part[4096];
  for (ssize_t got = 0; (got = ::recv(socket.get(), part, sizeof part, 0)) > 0;) {
    came.append(part, static_cast<size_t>(got));
  }
  return came;
}

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

std::shared_ptr<const RunSnapshot> snapshot(uint64_t iterations) {
  auto snapshot = std::make_shared<RunSnapshot>();
  snapshot->is_prepared = true;
  snapshot->iterations_max = 1'000'000;
  snapshot->status.iterations = iterations;
  cluster::CoordinatorStatus::WorkerStatus worker;
  worker.name = "worker " + std::to_string(iterations);
  worker.held = worker.active = {0, 1};
  snapshot->status.workers = {worker};
  snapshot->shards = {{0, 10}, {1, 10}};
  return snapshot;
}

TEST(StatusServer, AnswersManyWhileTheRunPublishes) {
  auto server = StatusServer::open({"127.0.0.1:0", "", "", ""});
  ASSERT_TRUE(server.ok()) << server.status().message();
  (*server)->publish(snapshot(0));
  std::atomic<bool> is_over = false;
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  const std::vector<std::string> requests = {get("/status.json"),      get("/metrics"), get("/"),
                                             std::string(20'000, 'x'), "GET / HT",      ""};
  for (const std::string& request : requests) {
    clients.emplace_back([&, request] {
      while (!is_over) {
        const std::string answer = answer_to(**server, request);
        answered += answer.starts_with("HTTP/1.1 ");
        if (!request.ends_with("\r\n\r\n")) continue;
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK")) << answer.substr(0, 100);
      }
    });
  }
  for (uint64_t iteration = 1; answered < 200; ++iteration) {
    (*server)->publish(snapshot(iteration));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  is_over = true;
  for (std::thread& client : clients) client.join();
  (*server)->publish(snapshot(123'456));
  EXPECT_NE(answer_to(**server, get("/metrics")).find("evergrove_trees_total 123456\n"),
            std::string::npos);
}

TEST(StatusServer, LetsGoOfTheOldestOfTooMany) {
  auto server = StatusServer::open({"127.0.0.1:0", "", "", ""});
  ASSERT_TRUE(server.ok());
  std::vector<Descriptor> silent;
  for (size_t i = 0; i < 3 * StatusServer::kConnectionsMax; ++i) {
    silent.push_back(connect_to(**server));
  }
  EXPECT_TRUE(answer_to(**server, get("/healthz")).starts_with("HTTP/1.1 200"));
  char byte = 0;
  EXPECT_LE(::recv(silent.front().get(), &byte, 1, 0), 0);  // ended
  EXPECT_EQ(::recv(silent.back().get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);  // not this one
}

TEST(StatusServer, EndsAtOnceWhoeverIsConnected) {
  auto server = StatusServer::open({"127.0.0.1:0", "", "", ""});
  ASSERT_TRUE(server.ok());
  const Descriptor silent = connect_to(**server);
  const Descriptor half = connect_to(**server);
  (void)::send(half.get(), "GET /", 5, MSG_NOSIGNAL);
  const auto start = std::chrono::steady_clock::now();
  server->reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace evergrove::runtime
