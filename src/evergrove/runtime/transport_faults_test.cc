// Peers that are killed or stopped, and networks that are cut: with real processes, and a relay.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/testing_transport.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_address.h"

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kAddressVariable = "EVERGROVE_TEST_ADDRESS";

// The other process: dials the address, says where it listens itself, and then sends back what it
// gets, until it is killed or its parent closes.
TEST(TransportPeer, DISABLED_Runs) {
  const char* address = std::getenv(kAddressVariable);
  ASSERT_NE(address, nullptr) << "is run by the tests below";
  TransportOptions options = loopback();
  options.name = "child";
  Endpoint self(options);
  self.is_echoing = true;
  const ConnectionId parent = self.transport->dial(address);
  ASSERT_TRUE(self.wait([&] { return self.opened.contains(parent); }));
  ASSERT_TRUE(self.transport->send(parent, self.transport->address()));
  self.wait([&] { return self.closed.contains(parent); });
}

// Another: leaves in the middle of dialling, which must be a good end for its process.
TEST(TransportPeer, DISABLED_LeavesWhileItDials) {
  const char* address = std::getenv(kAddressVariable);
  ASSERT_NE(address, nullptr) << "is run by the tests below";
  const auto transport = Transport::open({}, [](const TransportEvent&) {});
  ASSERT_TRUE(transport.ok());
  for (int i = 0; i < 5; ++i) EXPECT_NE(transport.value()->dial(address), 0u);
}

class Peer {
 public:
  explicit Peer(const std::string& address, const char* what = "Runs") {
    const std::string filter = std::string("--gtest_filter=TransportPeer.DISABLED_") + what;
    const std::string variable = std::string(kAddressVariable) + "=" + address;
    std::vector<char*> environment;
    for (char** one = environ; *one != nullptr; ++one) {
      if (!std::string_view(*one).starts_with("GTEST_")) environment.push_back(*one);
    }
    environment.push_back(const_cast<char*>(variable.c_str()));
    environment.push_back(nullptr);
    const char* arguments[] = {"/proc/self/exe", "--gtest_also_run_disabled_tests", filter.c_str(),
                               "--gtest_brief=1", nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    EXPECT_EQ(::posix_spawn(&process_, arguments[0], &actions, nullptr,
                            const_cast<char**>(arguments), environment.data()),
              0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Peer() {
    if (process_ == -1) return;
    signal(SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  // Waits for its own end, and says how it was.
  int wait_status() {
    int state = -1;
    ::waitpid(std::exchange(process_, -1), &state, 0);
    return state;
  }
  void signal(int number) { ::kill(process_, number); }
  // Waits until the process is stopped, and not only told to.
  void stop() {
    signal(SIGSTOP);
    int state = 0;
    ::waitpid(process_, &state, WUNTRACED);
    EXPECT_TRUE(WIFSTOPPED(state));
  }

 private:
  pid_t process_ = -1;
};

TransportOptions quick(TransportOptions options) {
  options.ping_every = milliseconds(100);
  options.silence_max = milliseconds(1500);
  options.dial_max = milliseconds(1000);
  return options;
}

// A listener, a peer in another process that has dialled it, and our dialling back to it.
struct Pair {
  explicit Pair(TransportOptions options) : here(std::move(options)) {
    peer = std::make_unique<Peer>(here.transport->address());
    in = here.first_accepted();
    EXPECT_TRUE(here.wait([&] { return here.received.size() == 1; }));
    address = here.texts().at(0);
    out = here.transport->dial(address);
    EXPECT_TRUE(here.wait([&] { return here.opened.contains(out); }));
  }
  void expect_echo(ConnectionId id) {
    const size_t before = here.texts().size();
    ASSERT_TRUE(here.transport->send(id, "echo"));
    EXPECT_TRUE(here.wait([&] { return here.received.size() == before + 1; }));
  }

  Endpoint here;
  std::unique_ptr<Peer> peer;
  ConnectionId in = 0;
  ConnectionId out = 0;
  std::string address;
};

TEST(TransportFaults, APeerThatIsKilledIsNoticedAtOnce) {
  TransportOptions options = loopback();  // with a silence of 20 s, which is not what tells it
  Pair pair(options);
  pair.expect_echo(pair.in);
  pair.expect_echo(pair.out);
  const auto begin = steady_clock::now();
  pair.peer->signal(SIGKILL);
  EXPECT_EQ(pair.here.why_closed(pair.in).kind(), StatusKind::storage);
  EXPECT_EQ(pair.here.why_closed(pair.out).kind(), StatusKind::storage);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(5000));
  EXPECT_FALSE(pair.here.transport->send(pair.in, "x"));
}

TEST(TransportFaults, APeerThatIsStoppedIsGivenUp) {
  Pair pair(quick(loopback()));
  pair.peer->stop();
  for (ConnectionId id : {pair.in, pair.out}) {
    const Status why = pair.here.why_closed(id);
    EXPECT_EQ(why.kind(), StatusKind::storage);
    EXPECT_NE(why.message().find("Nothing was heard"), std::string::npos) << why.message();
  }
  // And cannot be dialled, which is noticed too.
  const auto begin = steady_clock::now();
  const Status why = pair.here.why_refused(pair.address);
  EXPECT_EQ(why.kind(), StatusKind::storage) << why.message();
  EXPECT_LT(steady_clock::now() - begin, milliseconds(10000));
}

TEST(TransportFaults, APeerThatIsStoppedForAMomentIsKept) {
  TransportOptions options = quick(loopback());
  options.silence_max = milliseconds(30000);
  Pair pair(options);
  pair.peer->stop();
  ASSERT_TRUE(pair.here.transport->send(pair.in, std::string(3u << 20, 'x')));
  std::this_thread::sleep_for(milliseconds(700));  // the fault itself: several pings are missed
  pair.peer->signal(SIGCONT);
  EXPECT_TRUE(pair.here.wait([&] { return pair.here.received.size() == 2; }));
  pair.expect_echo(pair.out);
  EXPECT_TRUE(pair.here.closed.empty());
}

TEST(TransportFaults, EndsWhileAPeerIsStopped) {
  Pair pair(loopback());
  pair.peer->stop();
  // More than fits into the windows: both senders are stuck.
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(pair.here.transport->send(pair.in, std::string(8u << 20, 'x')));
    ASSERT_TRUE(pair.here.transport->send(pair.out, std::string(8u << 20, 'x')));
  }
  const ConnectionId dialling = pair.here.transport->dial(pair.address);
  EXPECT_NE(dialling, 0u);
  const auto begin = steady_clock::now();
  pair.here.transport.reset();
  EXPECT_LT(steady_clock::now() - begin, milliseconds(3000));  // a second, on a quiet machine
}

TEST(TransportFaults, ClosesWhileAPeerIsStopped) {
  Pair pair(loopback());
  pair.peer->stop();
  for (ConnectionId id : {pair.in, pair.out}) {
    for (int i = 0; i < 8; ++i) {
      ASSERT_TRUE(pair.here.transport->send(id, std::string(8u << 20, 'x')));
    }
    pair.here.transport->close(id);
    EXPECT_TRUE(pair.here.why_closed(id).ok());
  }
}

TEST(TransportFaults, AProcessMayEndWhileItDials) {
  // A port that the system takes connections for, and nobody answers on.
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in own = {};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  ASSERT_EQ(::listen(socket.get(), 64), 0);
  socklen_t size = sizeof own;
  ASSERT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  for (int i = 0; i < 5; ++i) {
    Peer peer("127.0.0.1:" + std::to_string(ntohs(own.sin_port)), "LeavesWhileItDials");
    EXPECT_EQ(peer.wait_status(), 0);
  }
}

TEST(TransportFaults, ADialThatIsGivenUpIsClosedInTime) {
  TransportOptions options = loopback();
  Pair pair(options);
  pair.peer->stop();
  // While the thread that dials waits for an answer, for up to dial_max.
  const auto begin = steady_clock::now();
  const ConnectionId id = pair.here.transport->dial(pair.address);
  pair.here.transport->close(id);
  EXPECT_TRUE(pair.here.why_closed(id).ok());
  EXPECT_LT(steady_clock::now() - begin, milliseconds(3000));
}

// A way between two processes, which can be cut without either being told.
class Relay {
 public:
  explicit Relay(const std::string& address) : to_(parse_host_port(address)->port) {
    listener_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in own = place(0);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    socklen_t size = sizeof own;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&own), &size);
    port_ = ntohs(own.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    is_over_ = true;
    thread_.join();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void cut() { is_cut_ = true; }

 private:
  static sockaddr_in place(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  void take() {
    Descriptor in(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    Descriptor out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = place(to_);
    if (::connect(out.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return;
    ends_.push_back(std::move(in));
    ends_.push_back(std::move(out));
  }
  // Ends i and i ^ 1 belong together.
  void pass(size_t i) {
    char buffer[65536];
    const ssize_t got = ::recv(ends_[i].get(), buffer, sizeof buffer, 0);
    if (got <= 0) {
      ends_[i].reset();
      ends_[i ^ 1].reset();
      return;
    }
    for (ssize_t sent = 0; sent < got;) {
      const auto rest = static_cast<size_t>(got - sent);
      const ssize_t count = ::send(ends_[i ^ 1].get(), buffer + sent, rest, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += count;
    }
  }
  void run() {
    while (!is_over_) {
      std::vector<pollfd> all = {{listener_.get(), POLLIN, 0}};
      for (const Descriptor& end : ends_) all.push_back({end.get(), POLLIN, 0});
      if (is_cut_) {
        ::poll(nullptr, 0, 20);  // nothing is read any more, nothing is ended
        continue;
      }
      ::poll(all.data(), all.size(), 20);
      if ((all[0].revents & POLLIN) != 0) take();
      for (size_t i = 1; i < all.size(); ++i) {
        if (all[i].revents != 0 && ends_[i - 1].is_open()) pass(i - 1);
      }
    }
  }

  uint16_t to_;
  uint16_t port_ = 0;
  Descriptor listener_;
  std::vector<Descriptor> ends_;
  std::atomic<bool> is_cut_ = false;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

TEST(TransportFaults, ACutNetworkIsNoticedOnBothSides) {
  Endpoint listener(quick(loopback()));
  Relay relay(listener.transport->address());
  Endpoint dialler(quick({}));
  const ConnectionId out = dialler.transport->dial(relay.address());
  ASSERT_TRUE(dialler.wait([&] { return dialler.opened.contains(out); }));
  const ConnectionId in = listener.first_accepted();
  relay.cut();
  EXPECT_EQ(dialler.why_closed(out).kind(), StatusKind::storage);
  EXPECT_EQ(listener.why_closed(in).kind(), StatusKind::storage);
  // A port that takes connections and answers nothing.
  const Status why = dialler.why_refused(relay.address());
  EXPECT_EQ(why.kind(), StatusKind::storage) << why.message();
}

TEST(TransportFaults, EndsWhileTheNetworkIsCut) {
  Endpoint listener(loopback());
  Relay relay(listener.transport->address());
  Endpoint dialler;
  const ConnectionId out = dialler.transport->dial(relay.address());
  ASSERT_TRUE(dialler.wait([&] { return dialler.opened.contains(out); }));
  relay.cut();
  for (Endpoint* one : {&dialler, &listener}) {
    const auto begin = steady_clock::now();
    one->transport.reset();
    EXPECT_LT(steady_clock::now() - begin, milliseconds(3000));
  }
}

TEST(TransportFaults, SilenceOfAnIdleButHealthyPeerIsNone) {
  Endpoint listener(quick(loopback()));
  Endpoint dialler(quick({}));
  const ConnectionId out = dialler.connect(listener);
  // Longer than silence_max, in which nothing but pings are sent.
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_TRUE(dialler.closed.empty());
  EXPECT_TRUE(listener.closed.empty());
  EXPECT_TRUE(dialler.transport->send(out, "x"));
  EXPECT_TRUE(listener.wait([&] { return listener.received.size() == 1; }));
}

TEST(TransportFaults, ABlockedReceiverIsNotTakenForASilentPeer) {
  Endpoint listener(quick(loopback()));
  Endpoint dialler(quick({}));
  const ConnectionId out = dialler.connect(listener);
  listener.first_accepted();
  {
    const std::lock_guard lock(listener.mutex);
    listener.is_held = true;
  }
  ASSERT_TRUE(dialler.transport->send(out, "x"));
  ASSERT_TRUE(listener.wait([&] { return listener.held_count == 1; }));
  std::this_thread::sleep_for(milliseconds(2500));  // longer than silence_max
  {
    const std::lock_guard lock(listener.mutex);
    listener.is_held = false;
    listener.changed.notify_all();
  }
  ASSERT_TRUE(listener.wait([&] { return listener.received.size() == 1; }));
  EXPECT_TRUE(listener.closed.empty());
  EXPECT_TRUE(dialler.closed.empty());
}

}  // namespace
}  // namespace evergrove::runtime
