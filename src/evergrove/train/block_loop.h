// Reading all blocks of a source in parallel, with the first failure (in row order) as the result.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

namespace evergrove::train {

// Counts work that is done and tells a callback about it, from the thread that made it only.
// tick() is called from many threads; asked_to_stop() turns true when the callback returned false.
class ProgressMeter {
 public:
  using Callback = std::function<bool(std::string_view phase, double share)>;

  ProgressMeter(const Callback& callback, std::string_view phase, size_t total)
      : callback_(callback), phase_(phase), total_(total), thread_(std::this_thread::get_id()) {}

  void tick();
  bool asked_to_stop() const { return stop_; }

 private:
  const Callback& callback_;
  std::string_view phase_;
  size_t total_;
  std::thread::id thread_;
  std::atomic<size_t> done_ = 0;
  std::atomic<bool> stop_ = false;
};

using BlockVisitor = std::function<Status(size_t block_index, const table::RowBlock& block)>;

// Reads these columns of every block and visits the blocks, in any order and from many threads.
// With a source that reads single columns, columns are read one at a time: the visitor then sees
// blocks of one column, and is told which by `column` (its place in columns).
using ColumnVisitor =
    std::function<Status(size_t block_index, size_t column, const table::RowBlock& block,
                         const table::ColumnValues& values)>;

Status for_each_block(const table::RowSource& source, std::span<const size_t> columns,
                      const BlockVisitor& visit);
// after_column, if given, is called when all blocks of a column have been visited.
Status for_each_column(const table::RowSource& source, std::span<const size_t> columns,
                       ProgressMeter& meter, const ColumnVisitor& visit,
                       const std::function<void(size_t column)>& after_column);

}  // namespace evergrove::train
