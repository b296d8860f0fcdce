// Large messages from one end of a connection to the other, on the loopback: over a bare TCP
// socket, over the transport, and over the transport with TLS.
//
//   transport_bench --benchmark_filter=tls
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "evergrove/base/check.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/tls_credentials.h"
#include "evergrove/runtime/transport.h"

namespace evergrove::runtime {
namespace {

constexpr uint64_t kBytesAtOnce = 64 << 20;  // under way together

// How many messages have come, for who waits for them.
class Arrivals {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void wait_for(uint64_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t count_ = 0;
};

// A pair of sockets that are connected, and a thread that reads messages to memory of their own.
class BarePair {
 public:
  explicit BarePair(size_t message_bytes) {
    const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const place = reinterpret_cast<sockaddr*>(&address);
    CHECK(::bind(listener.get(), place, size) == 0 && ::listen(listener.get(), 1) == 0);
    CHECK(::getsockname(listener.get(), place, &size) == 0);
    sender_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(::connect(sender_.get(), place, size) == 0);
    receiver_ = Descriptor(::accept(listener.get(), nullptr, nullptr));
    CHECK(receiver_.is_open());
    reader_ = std::thread([this, message_bytes] { read(message_bytes); });
  }
  ~BarePair() {
    ::shutdown(sender_.get(), SHUT_RDWR);
    reader_.join();
  }
  // Takes a copy, as a transport has to have the message for itself.
  void send(std::string bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t took =
          ::send(sender_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      CHECK(took > 0);
      sent += static_cast<size_t>(took);
    }
  }
  Arrivals arrivals;

 private:
  void read(size_t message_bytes) {
    for (;;) {
      const std::unique_ptr<char[]> message(new char[message_bytes]);
      for (size_t here = 0; here < message_bytes;) {
        const ssize_t got = ::recv(receiver_.get(), message.get() + here, message_bytes - here, 0);
        if (got <= 0) return;
        here += static_cast<size_t>(got);
      }
      arrivals.add();
    }
  }

  Descriptor sender_, receiver_;
  std::thread reader_;
};

class TransportPair {
 public:
  explicit TransportPair(bool with_tls) {
    TransportOptions there;
    TransportOptions here;
    there.listen = "127.0.0.1:0";
    there.token = here.token = "secret";
    if (with_tls) {
      const Credentials credentials = make_credentials({}).value();
      there.tls_cert_pem = credentials.cert_pem;
      there.tls_key_pem = credentials.key_pem;
      here.tls_ca_pem = credentials.ca_pem;
    }
    listener_ = Transport::open(there, [this](const TransportEvent& event) {
                  if (std::holds_alternative<Received>(event)) arrivals.add();
                }).value();
    dialler_ = Transport::open(here, [this](const TransportEvent& event) {
                 // Until the destructor returns, a connection that it closes says so.
                 const auto* closed = std::get_if<Closed>(&event);
                 CHECK(closed == nullptr || closed->why.ok());
                 if (std::holds_alternative<Opened>(event)) opened_.add();
               }).value();
    connection_ = dialler_->dial(listener_->address());
    opened_.wait_for(1);
  }
  void send(const std::string& bytes) { CHECK(dialler_->send(connection_, bytes)); }
  Arrivals arrivals;

 private:
  Arrivals opened_;
  std::unique_ptr<Transport> listener_;
  std::unique_ptr<Transport> dialler_;
  ConnectionId connection_ = 0;
};

template <typename Pair>
void send_and_wait(benchmark::State& state, Pair& pair) {
  const std::string message(static_cast<size_t>(state.range(0)), 'x');
  const uint64_t messages = std::max<uint64_t>(1, kBytesAtOnce / message.size());
  uint64_t sent = 0;
  for (auto _ : state) {
    for (uint64_t i = 0; i < messages; ++i) pair.send(message);
    sent += messages;
    pair.arrivals.wait_for(sent);
  }
  state.SetBytesProcessed(static_cast<int64_t>(sent * message.size()));
}

void bare_tcp(benchmark::State& state) {
  BarePair pair(static_cast<size_t>(state.range(0)));
  send_and_wait(state, pair);
}
void transport(benchmark::State& state) {
  TransportPair pair(/*with_tls=*/false);
  send_and_wait(state, pair);
}
void transport_tls(benchmark::State& state) {
  TransportPair pair(/*with_tls=*/true);
  send_and_wait(state, pair);
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(64 << 10)->Arg(1 << 20)->Arg(100 << 20)->UseRealTime()->MeasureProcessCPUTime();
  bench->Unit(benchmark::kMillisecond);
}
BENCHMARK(bare_tcp)->Apply(sizes);
BENCHMARK(transport)->Apply(sizes);
BENCHMARK(transport_tls)->Apply(sizes);

}  // namespace
}  // namespace evergrove::runtime

BENCHMARK_MAIN();
