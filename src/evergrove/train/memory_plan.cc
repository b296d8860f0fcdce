// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/memory_plan.h"

#include <algorithm>

#include "evergrove/bins/bin_matrix.h"
#include "evergrove/bins/cuts.h"
#include "evergrove/train/description.h"
#include "evergrove/train/features.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/parked_trainer.h"
#include "evergrove/train/run_history.h"

namespace evergrove::train {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// Measured: what a process that trains on next to nothing has written to, code and tables of its
// libraries and what its allocator keeps among it; and what another thread adds, most of it stack.
constexpr uint64_t kProcessBytes = 40 * kMiB;
constexpr uint64_t kThreadBytes = 5 * kMiB;
// Rows of a part: fewer make more of the adding up of histograms, more do not make it faster.
constexpr uint64_t kPartRowsMin = uint64_t{1} << 14;
constexpr uint64_t kPartRowsMax = uint64_t{1} << 18;

uint64_t largest_block(const table::RowSource& source) {
  uint64_t largest = 0;
  for (const table::BlockExtent& block : source.blocks()) {
    largest = std::max<uint64_t>(largest, block.row_count);
  }
  return largest;
}

MemoryShape shape_of_rows(const DataSpec& spec, const Parameters& parameters, uint64_t threads) {
  MemoryShape shape;
  shape.row_count = spec.data->row_count();
  shape.block_rows_max = largest_block(*spec.data);
  for (const DataSpec::ValidSource& valid : spec.valid) {
    shape.valid_row_count += valid.source->row_count();
    shape.block_rows_max = std::max(shape.block_rows_max, largest_block(*valid.source));
  }
  const bool is_regression = parameters.objective == model::ObjectiveKind::regression;
  shape.label_bytes = is_regression ? 8 : 2;
  trees::GrowthOptions growth;
  growth.depth_max = static_cast<uint32_t>(parameters.max_depth);
  shape.leaf_count = parameters.growth == Growth::symmetric
                         ? uint64_t{1} << std::min<uint32_t>(growth.symmetric_depth(), 16)
                         : static_cast<uint64_t>(parameters.max_leaves);
  shape.iteration_count = static_cast<uint64_t>(parameters.n_estimators);
  if (parameters.early_stopping_rounds > 0) {
    shape.iteration_count = std::min(shape.iteration_count, kExpectedIterationsMax);
  }
  shape.leaf_rows_min = std::max<uint64_t>(1, static_cast<uint64_t>(parameters.min_rows));
  shape.thread_count = std::max<uint64_t>(threads, 1);
  shape.is_weighted = !spec.weight.empty();
  shape.is_sampled = parameters.subsample < 1;
  shape.may_be_wide = is_regression || shape.is_weighted || parameters.scale_pos_weight != 1;
  return shape;
}

// Of all trees, when the model is written: a third of it is there while they grow. Measured, with
// what they leave in pieces.
uint64_t tree_bytes(const MemoryShape& s) {
  constexpr uint64_t kNodeBytes = 400;
  const uint64_t leaves = std::min(s.leaf_count, s.row_count / s.leaf_rows_min + 1);
  return s.iteration_count * s.output_count * 2 * leaves * kNodeBytes;
}

uint64_t process_bytes(const MemoryShape& s) {
  return kProcessBytes + s.thread_count * kThreadBytes;
}

// Of nodes that are not split yet, and of the parts of one that threads are adding up.
uint64_t histogram_bytes(const MemoryShape& s, uint64_t added_up) {
  const uint64_t nodes = s.leaf_count + std::min<uint64_t>(kParkedBatchNodes, s.leaf_count);
  const uint64_t rows_wide = s.row_count / trees::kPackedRows + 2;
  const uint64_t wide = s.may_be_wide ? nodes : std::min(nodes, rows_wide);
  return s.bin_count * (20 * (wide + added_up) + 8 * (nodes - wide) + 16 * s.thread_count);
}

// What a thread that reads has of a column: the values, and their pages before and after they are
// unpacked.
uint64_t reading_bytes(const MemoryShape& s) { return s.thread_count * s.block_rows_max * 24; }

uint64_t sampling_bytes(const MemoryShape& s) {
  const uint64_t values = std::min(s.row_count, bins::RowSample::kSampleRows);
  return values * 8 * (std::min<uint64_t>(s.feature_count, kColumnsAtOnce) + 3 * s.thread_count);
}

constexpr uint64_t kFewValueBytes = 16 * kMiB;

uint64_t value_bytes(const MemoryShape& s) {
  return s.row_count * 8 * std::min(s.feature_count, s.thread_count);
}

// What is kept until it is binned, beside the memory that rows take later.
uint64_t kept_bytes(const MemoryShape& s) {
  const uint64_t bytes = value_bytes(s);
  return bytes <= s.row_count * s.row_stride ? 0 : std::min(bytes, kFewValueBytes);
}

uint64_t label_bytes(const MemoryShape& s) { return s.label_bytes + (s.is_weighted ? 4 : 0); }
uint64_t margin_bytes(const MemoryShape& s) { return 8 * s.output_count; }
uint64_t softmax_bytes(const MemoryShape& s) { return s.output_count > 1 ? 16 : 0; }
uint64_t gradient_bytes(const MemoryShape& s) { return s.may_be_wide ? 8 : 4; }
// Rows ranked together for metrics, of which the training rows' come last, and once.
uint64_t ranking_bytes(const MemoryShape& s, uint64_t rows_at_once) {
  const uint64_t rows = std::min(std::max(s.row_count, s.valid_row_count), rows_at_once);
  return rows * ranked_row_bytes(s.is_weighted);
}
uint64_t sample_bytes(const MemoryShape& s) { return s.is_sampled ? 5 : 0; }

// Reading comes before training, and what it holds is given back: the larger one counts.
MemoryNeed need_in_memory(const MemoryShape& s) {
  const uint64_t bins = s.bin_bytes * (s.feature_count + s.row_stride);
  const uint64_t all_rows = s.row_count + s.valid_row_count;
  const uint64_t growing =
      s.row_count * (17 + gradient_bytes(s) * s.output_count + softmax_bytes(s) + sample_bytes(s)) +
      all_rows * margin_bytes(s) + histogram_bytes(s, 2 * s.thread_count) +
      ranking_bytes(s, kRankedRows);
  const uint64_t reading = reading_bytes(s) + sampling_bytes(s) + s.row_count * 16 + kept_bytes(s);
  MemoryNeed need;
  need.items = {{"bins, by column and by row",
                 s.row_count * bins + s.valid_row_count * s.bin_bytes * s.row_stride},
                {"labels and weights", all_rows * label_bytes(s)},
                {"margins, gradients and a tree's rows, histograms; before, what is read",
                 std::max(growing, reading)},
                {"the trees, being written", tree_bytes(s)},
                {"the process and its threads", process_bytes(s)}};
  return need;
}

// Of a part that a thread works on: what is fetched for any step is kept for the next part's, and
// so is the room for rows that go right. Gradients that were tried narrow are there beside wide
// ones.
uint64_t part_row_bytes(const MemoryShape& s) {
  const uint64_t margins = margin_bytes(s) * (s.output_count > 1 ? 2 : 1);
  return s.bin_bytes * s.row_stride + label_bytes(s) + margins + gradient_bytes(s) +
         (s.may_be_wide ? 4 : 0) + softmax_bytes(s) + sample_bytes(s) + 8;
}

// Of a part that is read; one at a time, by all threads.
uint64_t read_row_bytes(const MemoryShape& s) {
  return s.bin_bytes * (s.feature_count + s.row_stride) + label_bytes(s) + 16 + margin_bytes(s);
}

MemoryNeed need_parked(const MemoryShape& s, uint64_t rows_at_once) {
  const uint64_t part_rows = std::min(rows_at_once + s.block_rows_max / 2, s.row_count);
  const uint64_t passing = s.thread_count * part_rows * part_row_bytes(s);
  const uint64_t reading = part_rows * read_row_bytes(s) + reading_bytes(s);
  const uint64_t growing =
      s.row_count * 8 + histogram_bytes(s, 2 * s.thread_count) +
      std::max(passing, s.thread_count * part_rows * (margin_bytes(s) + label_bytes(s)) +
                            ranking_bytes(s, kRankedParkedRows));
  // Each part has the features' cuts, and its nodes.
  const uint64_t part_count = s.row_count / std::max<uint64_t>(part_rows, 1) + 2;
  const uint64_t parts =
      part_count * (s.bin_count * 10 + s.feature_count * 100 + 32 * s.leaf_count);
  MemoryNeed need;
  need.items = {{"cuts and nodes of each part", parts},
                {"a tree's rows, parts at hand, histograms; before, what is read",
                 std::max({growing, reading, sampling_bytes(s) + reading_bytes(s)})},
                {"the trees, being written", tree_bytes(s)},
                {"the process and its threads", process_bytes(s)}};
  return need;
}

MemoryNeed need_describing(const MemoryShape& s) {
  MemoryNeed need;
  need.items = {{"samples of columns, and what is read", sampling_bytes(s) + reading_bytes(s)},
                {"the process and its threads", process_bytes(s)}};
  return need;
}

std::string mebibytes(uint64_t bytes) { return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB"; }

}  // namespace

MemoryShape memory_shape(const DataSpec& spec, const Parameters& parameters, uint64_t threads) {
  MemoryShape shape = shape_of_rows(spec, parameters, threads);
  const Result<std::vector<size_t>> columns = feature_columns(spec);
  shape.feature_count = columns.ok() ? columns->size() : 0;
  const auto numeric_bins = static_cast<uint64_t>(parameters.max_bins) + 1;
  const auto category_bins =
      static_cast<uint64_t>(std::max(parameters.max_bins, parameters.max_categories)) + 1;
  uint64_t most = numeric_bins;
  for (size_t i = 0; i < shape.feature_count; ++i) {
    const table::ColumnSpec& column = spec.data->schema().columns[(*columns)[i]];
    const bool is_numeric = column.kind == table::ColumnKind::numeric;
    shape.bin_count += is_numeric ? numeric_bins : category_bins;
    if (!is_numeric) most = std::max(most, category_bins);
  }
  shape.bin_bytes = most > 256 ? 2 : 1;
  shape.row_stride = bins::row_stride(shape.feature_count, shape.bin_bytes);
  return shape;
}

MemoryShape memory_shape(const DataSpec& spec, const RunHeader& header, uint64_t threads) {
  MemoryShape shape = shape_of_rows(spec, header.parameters, threads);
  const bins::BinMatrix none(0, header.features);
  shape.feature_count = header.features.size();
  shape.bin_count = none.histogram_offsets().back();
  shape.bin_bytes = static_cast<uint64_t>(none.bin_bytes());
  shape.row_stride = none.row_stride();
  shape.output_count = header.base_margins.size();
  return shape;
}

bool may_keep_values(const MemoryShape& shape) {
  return value_bytes(shape) <= std::max(kFewValueBytes, shape.row_count * shape.row_stride);
}

uint64_t MemoryNeed::total() const {
  uint64_t sum = 0;
  for (const Item& item : items) sum += item.bytes;
  return sum;
}

Status MemoryPlan::check() const {
  if (limit_bytes == 0 || (may_describe() && chosen().total() <= limit_bytes)) return {};
  return invalid_input(
      "The run does not fit into this memory; give more, or fewer threads, leaves or bins",
      {{"limit", mebibytes(limit_bytes)},
       {"needed with rows passing by from a file",
        mebibytes(std::max(describing.total(), parked.total()))},
       {"with all rows in memory", mebibytes(in_memory.total())}});
}

MemoryPlan plan_memory(const MemoryShape& shape, uint64_t limit_bytes) {
  MemoryPlan plan;
  plan.limit_bytes = limit_bytes;
  plan.describing = need_describing(shape);
  plan.in_memory = need_in_memory(shape);
  plan.rows_at_once = kPartRowsMax;
  plan.parked = need_parked(shape, plan.rows_at_once);
  // The largest parts that fit, or those that take least.
  for (uint64_t rows = kPartRowsMax / 2;
       limit_bytes > 0 && plan.parked.total() > limit_bytes && rows >= kPartRowsMin; rows /= 2) {
    MemoryNeed need = need_parked(shape, rows);
    if (need.total() >= plan.parked.total()) continue;
    plan.rows_at_once = rows;
    plan.parked = std::move(need);
  }
  const uint64_t kept = shape.bin_bytes * shape.row_stride + label_bytes(shape) +
                        margin_bytes(shape) * (shape.output_count > 1 ? 2 : 1);
  plan.file_bytes = (shape.row_count + shape.valid_row_count) * kept +
                    (shape.may_be_wide ? 8 * shape.row_count : 0);
  return plan;
}

}  // namespace evergrove::train
