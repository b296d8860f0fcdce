// ThreadLimit: how many threads a piece of work may use, more than there are cores included.
//
//   const ThreadLimit threads(request.threads);        // 0: all cores
//   return threads.execute([&] { return work(); });
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <optional>
#include <thread>

namespace evergrove::runtime {

class ThreadLimit {
 public:
  explicit ThreadLimit(int threads) : arena_(threads > 0 ? threads : tbb::task_arena::automatic) {
    // TBB keeps no more workers than cores unless it is told to.
    if (threads > static_cast<int>(std::thread::hardware_concurrency())) {
      more_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
    }
  }

  template <typename Work>
  auto execute(Work work) const {
    return arena_.execute(work);
  }

  // How many threads the work may have.
  int count() const { return arena_.max_concurrency(); }

 private:
  std::optional<tbb::global_control> more_;
  mutable tbb::task_arena arena_;
};

}  // namespace evergrove::runtime
