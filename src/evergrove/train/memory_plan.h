// MemoryPlan: what a run needs in memory, item by item, and how it keeps below a limit: all rows in
// memory, or only the parts at hand, the others in a scratch file (parked_trainer.h).
//
// It is an upper bound of what the process writes to: its own arrays, by their formulas below, and
// what a process needs anyway, as measured. What is mapped or cached of files does not count, nor
// do results depend on it.
//
//   MemoryPlan plan = plan_memory(memory_shape(spec, parameters, threads), 300 << 20);
//   EVERGROVE_RETURN_IF_ERROR(plan.check());
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/run_record.h"

namespace evergrove::train {

// Users who stop early, or by hand, allow many more iterations than they expect.
inline constexpr uint64_t kExpectedIterationsMax = 1000;

// What the need depends on.
struct MemoryShape {
  uint64_t row_count = 0;        // training rows, those held out for validation among them
  uint64_t valid_row_count = 0;  // of validation sets of their own
  uint64_t block_rows_max = 0;   // of a row group, the unit of reading
  uint64_t feature_count = 0;
  uint64_t bin_count = 0;   // of all features
  uint64_t row_stride = 0;  // cells of a row
  uint64_t bin_bytes = 1;
  uint64_t output_count = 1;
  uint64_t label_bytes = 2;
  uint64_t leaf_count = 0;
  uint64_t iteration_count = 0;  // with early stopping, as many as one may expect
  uint64_t leaf_rows_min = 1;
  uint64_t thread_count = 1;
  bool is_weighted = false;
  bool is_sampled = false;
  bool may_be_wide = false;  // gradients (gradient_scale.h)
};

// Before anything is read: as many bins as may be, and one output.
MemoryShape memory_shape(const DataSpec& spec, const Parameters& parameters, uint64_t threads);
// Of a run that is described.
MemoryShape memory_shape(const DataSpec& spec, const RunHeader& header, uint64_t threads);

// Whether the values of as many columns as there are threads are kept until they are binned: they
// take no more than the rows' own bins, which come later, or next to nothing.
bool may_keep_values(const MemoryShape& shape);

struct MemoryNeed {
  struct Item {
    std::string what;
    uint64_t bytes;
  };
  std::vector<Item> items;
  uint64_t total() const;
};

struct MemoryPlan {
  uint64_t limit_bytes = 0;  // 0: none
  MemoryNeed describing;     // reading labels, samples and categories, before anything else
  MemoryNeed in_memory;
  MemoryNeed parked;
  uint64_t rows_at_once = 0;  // of a part of the parked rows
  uint64_t file_bytes = 0;    // of the scratch file

  bool is_parked() const { return limit_bytes > 0 && in_memory.total() > limit_bytes; }
  const MemoryNeed& chosen() const { return is_parked() ? parked : in_memory; }
  // Whether so much can be read that the plan can be made from it.
  bool may_describe() const { return limit_bytes == 0 || describing.total() <= limit_bytes; }
  // invalid_input, saying what it would need, where neither way is below the limit.
  Status check() const;
};

MemoryPlan plan_memory(const MemoryShape& shape, uint64_t limit_bytes);

}  // namespace evergrove::train
