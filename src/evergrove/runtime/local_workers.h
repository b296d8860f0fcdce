// LocalWorkers: worker processes of a run on this machine, for trying it out and for tests.
//
// They are `evergrove worker` of this very program, end with their owner, and are started again
// when they die, a few times. One owner, one thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

class LocalWorkers {
 public:
  // Makes a token of its own, in a file that only this user can read.
  static Result<LocalWorkers> create(size_t count, int threads_each);
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
  std::string token_;
  std::string token_path_;
  std::string coordinator_;
  std::vector<pid_t> processes_;
  size_t deaths_left_ = 100;
};

}  // namespace evergrove::runtime
