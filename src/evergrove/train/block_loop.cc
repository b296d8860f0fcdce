// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/block_loop.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>

#include "evergrove/base/phase.h"

namespace evergrove::train {
namespace {

Status first_failure(const std::vector<Status>& statuses) {
  for (const Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return {};
}

Status stopped() {
  return interrupted(
      "Stopped while the data was being read, so nothing was lost; repeat the command to begin");
}

}  // namespace

void ProgressMeter::tick() {
  const size_t done = ++done_;
  if (!callback_ || std::this_thread::get_id() != thread_ || stop_) return;
  if (!callback_(phase_, double(done) / double(std::max<size_t>(total_, 1)))) stop_ = true;
}

Status for_each_block(const table::RowSource& source, std::span<const size_t> columns,
                      const BlockVisitor& visit) {
  std::vector<Status> statuses(source.blocks().size());
  tbb::parallel_for(size_t{0}, statuses.size(), [&](size_t index) {
    Result<table::RowBlock> block = [&] {
      const PhaseScope scope(Phase::read);
      return source.read(index, columns);
    }();
    statuses[index] = block.ok() ? visit(index, *block) : block.status();
  });
  return first_failure(statuses);
}

Status for_each_column(const table::RowSource& source, std::span<const size_t> columns,
                       ProgressMeter& meter, const ColumnVisitor& visit,
                       const std::function<void(size_t column)>& after_column) {
  if (!source.reads_single_columns()) {
    EVERGROVE_RETURN_IF_ERROR(
        for_each_block(source, columns, [&](size_t index, const table::RowBlock& block) -> Status {
          if (meter.asked_to_stop()) return stopped();
          for (size_t column = 0; column < columns.size(); ++column) {
            EVERGROVE_RETURN_IF_ERROR(visit(index, column, block, block.columns[column]));
            meter.tick();
          }
          return {};
        }));
    if (after_column) {
      tbb::parallel_for(size_t{0}, columns.size(), [&](size_t i) { after_column(i); });
    }
    return {};
  }
  std::vector<Status> statuses(columns.size());
  const auto visit_column = [&](size_t column) {
    statuses[column] = for_each_block(source, columns.subspan(column, 1),
                                      [&](size_t index, const table::RowBlock& block) -> Status {
                                        if (meter.asked_to_stop()) return stopped();
                                        const Status status =
                                            visit(index, column, block, block.columns[0]);
                                        meter.tick();
                                        return status;
                                      });
  };
  tbb::parallel_for(size_t{0}, columns.size(), [&](size_t column) {
    // A thread that waits for others must not begin another column meanwhile: what is kept of one
    // until it is done would add up.
    tbb::this_task_arena::isolate([&] { visit_column(column); });
    if (statuses[column].ok() && after_column) after_column(column);
  });
  return first_failure(statuses);
}

}  // namespace evergrove::train
