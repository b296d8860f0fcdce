// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/local_workers.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "evergrove/runtime/machine_memory.h"
#include "evergrove/runtime/tls_credentials.h"

extern char** environ;

namespace evergrove::runtime {

namespace {

Result<std::string> own_program() {
  char program[4096];
  const ssize_t size = readlink("/proc/self/exe", program, sizeof(program));
  if (size < 0 || size == sizeof(program)) {
    return storage_error("The evergrove program could not be found for its workers");
  }
  return std::string(program, static_cast<size_t>(size));
}

}  // namespace

Result<LocalWorkers> LocalWorkers::create(const LocalWorkersOptions& options) {
  LocalWorkers workers;
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  workers.count_ = options.count;
  workers.threads_each_ = std::max(1, threads / static_cast<int>(options.count));
  workers.program_ = options.program;
  if (workers.program_.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(workers.program_, own_program());
  }
  EVERGROVE_ASSIGN_OR_RETURN(workers.token_, make_token());
  std::error_code error;
  std::string path = (std::filesystem::temp_directory_path(error) / "evergrove-XXXXXX").string();
  const int file = error ? -1 : mkstemp(path.data());  // readable by its owner only
  if (file < 0)
    return storage_error("The token of the workers could not be written", {{"file", path}});
  workers.token_path_ = path;
  const std::string line = workers.token_ + "\n";
  const bool is_written = write(file, line.data(), line.size()) == ssize_t(line.size());
  if (close(file) != 0 || !is_written) {
    return storage_error("The token of the workers could not be written", {{"file", path}});
  }
  return workers;
}

LocalWorkers::LocalWorkers(LocalWorkers&& other) noexcept
    : count_(other.count_),
      threads_each_(other.threads_each_),
      program_(std::move(other.program_)),
      token_(std::move(other.token_)),
      token_path_(std::exchange(other.token_path_, "")),
      coordinator_(std::move(other.coordinator_)),
      processes_(std::exchange(other.processes_, {})),
      deaths_left_(other.deaths_left_) {}

LocalWorkers::~LocalWorkers() {
  // They end by themselves when the run is finished; whoever has not after a while is ended.
  for (int wait = 0; wait < 2000 && !processes_.empty(); ++wait) {
    if (wait == 200) {
      for (pid_t process : processes_) kill(process, SIGKILL);
    }
    std::erase_if(processes_,
                  [](pid_t process) { return waitpid(process, nullptr, WNOHANG) != 0; });
    if (!processes_.empty()) usleep(1'000);
  }
  if (!token_path_.empty()) unlink(token_path_.c_str());
}

Result<pid_t> LocalWorkers::spawn() const {
  const std::string threads = std::to_string(threads_each_);
  const std::string memory = std::to_string(shard_memory_bytes() / count_);
  const char* arguments[] = {
      program_.c_str(),    "worker",    "--coordinator", coordinator_.c_str(), "--token-file",
      token_path_.c_str(), "--threads", threads.c_str(), "--memory",           memory.c_str(),
      "--quiet",           "--parent",  nullptr};
  pid_t process;
  const int error = posix_spawn(&process, program_.c_str(), nullptr, nullptr,
                                const_cast<char* const*>(arguments), environ);
  if (error != 0) {
    return storage_error("A worker could not be started; is the command there?",
                         {{"command", program_}, {"reason", std::strerror(error)}});
  }
  return process;
}

Status LocalWorkers::start(const std::string& coordinator) {
  coordinator_ = coordinator;
  while (processes_.size() < count_) {
    EVERGROVE_ASSIGN_OR_RETURN(const pid_t process, spawn());
    processes_.push_back(process);
  }
  return {};
}

Status LocalWorkers::look_after() {
  for (pid_t& process : processes_) {
    if (waitpid(process, nullptr, WNOHANG) != process) continue;
    if (deaths_left_-- == 0) return storage_error("The workers die again and again; see above why");
    EVERGROVE_ASSIGN_OR_RETURN(process, spawn());
  }
  return {};
}

Result<ClusterReport> train_with_local_workers(CoordinatorRequest request,
                                               const LocalWorkersOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(LocalWorkers workers, LocalWorkers::create(options));
  Status started;
  request.listen = "127.0.0.1:0";
  request.token = workers.token();
  request.on_listening = [&](const std::string& address) { started = workers.start(address); };
  request.on_status = [&](const cluster::CoordinatorStatus& status) -> Status {
    EVERGROVE_RETURN_IF_ERROR(started);
    if (status.memory_bytes_missing > 0 && status.workers.size() >= options.count) {
      return storage_error(
          "The rows do not fit into the memory that the workers have; use fewer columns or rows, a "
          "larger machine, or workers on several",
          {{"bytes needed", std::to_string(status.memory_bytes_missing)},
           {"workers", std::to_string(options.count)}});
    }
    return workers.look_after();
  };
  return coordinate(request);
}

}  // namespace evergrove::runtime
