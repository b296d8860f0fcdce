// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/parked_trainer.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "evergrove/base/check.h"
#include "evergrove/train/description.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/parking_lot.h"
#include "evergrove/train/row_store.h"
#include "evergrove/train/rows_to_rank.h"
#include "evergrove/train/run_history.h"
#include "evergrove/train/trees_behind.h"
#include "evergrove/trees/column_sample.h"
#include "evergrove/trees/histogram_block.h"
#include "evergrove/trees/tree_growth.h"

namespace evergrove::train {
namespace {

using trees::Histogram;
using trees::TreeGrowth;

// A histogram that several threads add to.
struct SharedHistogram {
  std::mutex mutex;
  std::unique_ptr<Histogram> sums;
};

class ParkedTrainer final : public Trainer {
 public:
  ParkedTrainer(RunDescription description, std::unique_ptr<ScratchFile> file)
      : description_(std::move(description)),
        lot_(std::move(file)),
        options_(growth_options(header())),
        history_(header()),
        no_rows_(0, header().features),
        pool_(no_rows_.histogram_offsets().back()),
        is_wide_(header().base_margins.size(), 0) {}

  // Rows of a shard, of the sets that it has.
  Status add(TrainingData data) {
    parts_.push_back(
        std::make_unique<RowStore>(header(), description_.weight_facts, std::move(data)));
    EVERGROVE_RETURN_IF_ERROR(parts_.back()->park(lot_));
    lot_.clear();  // the next part's reading needs the memory
    return {};
  }

  bool finished() const override { return history_.finished(); }
  Result<Iteration> next() override;
  Status replay(const Iteration& iteration) override;

  uint64_t row_count() const override {
    uint64_t count = 0;
    for (const auto& part : parts_) count += part->row_count();
    return count;
  }
  uint64_t iteration_count() const override { return history_.iterations().size(); }
  const RunHeader& header() const override { return description_.header; }
  uint64_t best_iteration() const override { return history_.best_iteration(); }
  model::Model model() const override { return history_.model(); }
  Result<std::vector<model::MetricValue>> training_metrics() override;

 private:
  // What is being grown.
  struct Tree {
    uint32_t output = 0;
    uint64_t index = 0;  // for the choice of columns
    trees::GradientUnits units;
    std::vector<uint32_t> columns;
  };

  template <typename Visit>
  Status for_each_part(const Visit& visit);
  size_t output_count() const { return header().base_margins.size(); }

  // Moves the margins by what was replayed.
  Status catch_up();
  Result<double> largest_gradient();
  Result<RoundingTally> start_tree(const Tree& tree, const GradientScale& scale, Histogram& root);
  Result<std::unique_ptr<Histogram>> start_tree(Tree& tree);
  using Batch = std::span<const TreeGrowth::Expansion>;
  Status expand(TreeGrowth& growth, Batch batch);
  Status expand_part(RowStore& part, const TreeGrowth& growth, Batch batch,
                     std::span<SharedHistogram> sums);
  Result<model::Tree> grow(uint32_t output);
  Status finish_tree(const TreeGrowth& growth, std::span<const uint32_t> leaf_ids,
                     const model::Tree& tree);
  Status end_iteration(Iteration& iteration);
  bool is_weighted() const { return !header().weight.empty(); }
  Status add_metrics(size_t set, double weight_max, uint64_t rows_at_once,
                     std::vector<model::MetricValue>& to);
  Status add_validation_metrics(std::vector<model::MetricValue>& to);

  RunDescription description_;
  ParkingLot lot_;
  trees::GrowthOptions options_;
  RunHistory history_;
  bins::BinMatrix no_rows_;  // for where features' bins are in a histogram
  trees::HistogramPool pool_;
  std::vector<std::unique_ptr<RowStore>> parts_;
  std::vector<uint8_t> is_wide_;  // by output, as its last tree's gradients were
  TreesBehind behind_;
};

// In parallel, each part by one thread: what is fetched is a part a thread at most, for nobody
// takes up another part while waiting within one.
template <typename Visit>
Status ParkedTrainer::for_each_part(const Visit& visit) {
  std::vector<Status> statuses(parts_.size());
  std::atomic<bool> has_failed = false;
  tbb::parallel_for(size_t{0}, parts_.size(), [&](size_t i) {
    if (has_failed) return;
    tbb::this_task_arena::isolate([&] { statuses[i] = visit(*parts_[i]); });
    if (!statuses[i].ok()) has_failed = true;
  });
  for (const Status& status : statuses) EVERGROVE_RETURN_IF_ERROR(status);
  return {};
}

Result<double> ParkedTrainer::largest_gradient() {
  double largest = 0;
  if (header().parameters.objective != model::ObjectiveKind::regression) return largest;
  std::mutex mutex;
  EVERGROVE_RETURN_IF_ERROR(for_each_part([&](RowStore& part) -> Status {
    EVERGROVE_RETURN_IF_ERROR(part.fetch(RowStore::kLabels | RowStore::kMargins));
    const double here = part.largest_gradient();
    {
      const std::lock_guard lock(mutex);
      largest = std::max(largest, here);
    }
    return part.release(0);
  }));
  return largest;
}

// Makes the gradients of all rows, puts them into the root, and adds up its histogram.
Result<RoundingTally> ParkedTrainer::start_tree(const Tree& tree, const GradientScale& scale,
                                                Histogram& root) {
  RoundingTally total;
  std::mutex mutex;
  EVERGROVE_RETURN_IF_ERROR(for_each_part([&](RowStore& part) -> Status {
    if (part.row_count() == 0) return {};
    EVERGROVE_RETURN_IF_ERROR(part.fetch(RowStore::kBins | RowStore::kLabels | RowStore::kMargins));
    const RoundingTally tally = part.make_gradients(tree.output, scale);
    part.start_tree(tree.output);
    std::vector<trees::HistogramPart> rows;
    part.add_histogram_parts(0, tree.columns, rows);
    std::unique_ptr<Histogram> histogram = trees::build_histogram(rows, pool_);
    {
      const std::lock_guard lock(mutex);
      total = total + tally;
      trees::add_range(*histogram, 0, root);
    }
    pool_.give_back(std::move(histogram));
    return part.release(RowStore::kGradients);
  }));
  return total;
}

Result<std::unique_ptr<Histogram>> ParkedTrainer::start_tree(Tree& tree) {
  const model::ObjectiveKind objective = header().parameters.objective;
  const WeightFacts& facts = description_.weight_facts;
  EVERGROVE_ASSIGN_OR_RETURN(const double largest, largest_gradient());
  GradientScale scale = scale_to_try(objective, facts, largest, is_wide_[tree.output] != 0);
  std::unique_ptr<Histogram> root = pool_.take(false);
  EVERGROVE_ASSIGN_OR_RETURN(const RoundingTally tally, start_tree(tree, scale, *root));
  const bool wide = should_be_wide(objective, facts, tally);
  if (wide != scale.wide) {
    scale.wide = wide;
    pool_.give_back(std::move(root));
    root = pool_.take(false);
    EVERGROVE_RETURN_IF_ERROR(start_tree(tree, scale, *root).status());
  }
  is_wide_[tree.output] = wide;
  tree.units = gradient_units(objective, output_count(), facts, scale);
  return root;
}

Status ParkedTrainer::expand_part(RowStore& part, const TreeGrowth& growth, Batch batch,
                                  std::span<SharedHistogram> sums) {
  if (part.row_count() == 0) return {};
  EVERGROVE_RETURN_IF_ERROR(part.fetch(RowStore::kBins | RowStore::kGradients));
  part.make_room(static_cast<uint32_t>(growth.walk().node_count()));
  for (size_t i = 0; i < batch.size(); ++i) {
    part.split(batch[i].id, batch[i].node->split, batch[i].left_id, batch[i].right_id);
    if (!sums[i].sums) continue;
    std::vector<trees::HistogramPart> rows;
    part.add_histogram_parts(batch[i].small_id(), growth.columns(), rows);
    if (rows[0].row_count() == 0) continue;
    std::unique_ptr<Histogram> histogram = trees::build_histogram(rows, pool_);
    {
      const std::lock_guard lock(sums[i].mutex);
      trees::add_range(*histogram, 0, *sums[i].sums);
    }
    pool_.give_back(std::move(histogram));
  }
  return part.release(0);
}

Status ParkedTrainer::expand(TreeGrowth& growth, Batch batch) {
  std::vector<SharedHistogram> sums(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch[i].wants_histogram()) continue;
    const int64_t row_count = batch[i].small().sums.count;
    sums[i].sums = pool_.take(!growth.is_wide() && row_count <= int64_t{trees::kPackedRows});
  }
  EVERGROVE_RETURN_IF_ERROR(
      for_each_part([&](RowStore& part) { return expand_part(part, growth, batch, sums); }));
  tbb::parallel_for(size_t{0}, batch.size(), [&](size_t i) {
    if (sums[i].sums) {
      growth.take(batch[i], std::move(sums[i].sums));
    } else {
      growth.take_none(batch[i]);
    }
  });
  return {};
}

Status ParkedTrainer::finish_tree(const TreeGrowth& growth, std::span<const uint32_t> leaf_ids,
                                  const model::Tree& tree) {
  std::vector<RowStore::Leaf> leaves;
  for (const uint32_t id : leaf_ids) {
    leaves.push_back({id, trees::leaf_value(growth.node(id).sums, growth.units(), options_)});
  }
  const bool is_sampled = header().parameters.subsample < 1;
  return for_each_part([&](RowStore& part) -> Status {
    const RowCounts counts = part.row_counts();
    const bool has_validation =
        std::any_of(counts.begin() + 1, counts.end(), [](size_t count) { return count > 0; });
    const unsigned bins = is_sampled || has_validation ? RowStore::kBins : 0;
    EVERGROVE_RETURN_IF_ERROR(part.fetch(RowStore::kMargins | bins));
    EVERGROVE_RETURN_IF_ERROR(part.row_count() > 0 ? part.finish_tree(leaves, tree)
                                                   : part.take_tree(tree));
    return part.release(RowStore::kMargins);
  });
}

Result<model::Tree> ParkedTrainer::grow(uint32_t output) {
  Tree start;
  start.output = output;
  start.index = iteration_count() * output_count() + output;
  start.columns = trees::tree_columns(header().features.size(), options_, start.index);
  EVERGROVE_ASSIGN_OR_RETURN(std::unique_ptr<Histogram> root, start_tree(start));
  TreeGrowth growth({no_rows_.histogram_offsets(), header().features, &options_}, start.index,
                    start.columns, is_wide_[output] != 0, start.units, {std::move(root), {}},
                    pool_);
  EVERGROVE_RETURN_IF_ERROR(
      growth.grow_by_batch(kParkedBatchNodes, [&](Batch batch) { return expand(growth, batch); }));
  std::vector<uint32_t> leaf_ids;
  model::Tree tree = growth.tree(&leaf_ids);
  tree.output = output;
  EVERGROVE_RETURN_IF_ERROR(finish_tree(growth, leaf_ids, tree));
  return tree;
}

// The metrics of a set at the margins of now.
Status ParkedTrainer::add_metrics(size_t set, double weight_max, uint64_t rows_at_once,
                                  std::vector<model::MetricValue>& to) {
  const std::span<const std::string> names = history_.metric_names();
  lot_.clear();  // ranking needs the memory
  std::mutex mutex;
  const auto visit_rows = [&](unsigned parts, const auto& visit) {
    return for_each_part([&](RowStore& part) -> Status {
      if (part.row_counts()[set] == 0) return {};
      EVERGROVE_RETURN_IF_ERROR(part.fetch(parts));
      EVERGROVE_RETURN_IF_ERROR(visit(part));
      return part.release(0);
    });
  };
  MetricRows rows;
  for (const auto& part : parts_) rows.row_count += part->row_counts()[set];
  rows.summary = [&](std::span<const std::string> summed) -> Result<MetricSummary> {
    MetricSummary sum;
    EVERGROVE_RETURN_IF_ERROR(
        visit_rows(RowStore::kLabels | RowStore::kMargins, [&](const RowStore& part) -> Status {
          const MetricSummary here = part.summary_of(set, summed, weight_max);
          const std::lock_guard lock(mutex);
          sum.merge(here);
          return {};
        }));
    return sum;
  };
  rows.sample_margins = [&](std::vector<int64_t>& sample) {
    return visit_rows(RowStore::kMargins, [&](const RowStore& part) -> Status {
      const std::lock_guard lock(mutex);
      sample_margins(part.margins_of(set), rows.row_count / kSampledMargins, sample);
      return {};
    });
  };
  rows.ranking = [&](const MarginWindow& window) -> Result<Ranking> {
    RowsToRank all(is_weighted(), weight_max, window, rows_to_gather(rows_at_once));
    EVERGROVE_RETURN_IF_ERROR(
        visit_rows(RowStore::kLabels | RowStore::kMargins, [&](const RowStore& part) -> Status {
          RowsToRank some = all.part();
          EVERGROVE_RETURN_IF_ERROR(part.gather(set, some));
          const std::lock_guard lock(mutex);
          return all.merge(some);
        }));
    return std::move(all).rank();
  };
  EVERGROVE_ASSIGN_OR_RETURN(
      const std::vector<double> values,
      evaluate_metrics(names, header().parameters.objective, rows, rows_at_once));
  const std::string name = set == 0 ? "train" : header().valid_names[set - 1];
  for (size_t i = 0; i < values.size(); ++i) to.push_back({name, names[i], values[i]});
  return {};
}

Status ParkedTrainer::add_validation_metrics(std::vector<model::MetricValue>& to) {
  for (size_t i = 0; i < header().valid_names.size(); ++i) {
    EVERGROVE_RETURN_IF_ERROR(
        add_metrics(i + 1, description_.weight_max_by_set[i], kRankedParkedRows, to));
  }
  return {};
}

Status ParkedTrainer::end_iteration(Iteration& iteration) {
  for (const auto& part : parts_) part->end_iteration();
  EVERGROVE_RETURN_IF_ERROR(add_validation_metrics(iteration.metrics));
  history_.keep(iteration);
  return {};
}

Result<Iteration> ParkedTrainer::next() {
  CHECK(!finished());
  EVERGROVE_RETURN_IF_ERROR(catch_up());
  Iteration iteration;
  iteration.index = iteration_count();
  for (uint32_t output = 0; output < output_count(); ++output) {
    EVERGROVE_ASSIGN_OR_RETURN(model::Tree tree, grow(output));
    iteration.trees.push_back(std::move(tree));
  }
  EVERGROVE_RETURN_IF_ERROR(end_iteration(iteration));
  return iteration;
}

// Rows are fetched for many iterations at once, where nothing needs their margins now.
Status ParkedTrainer::replay(const Iteration& iteration) {
  EVERGROVE_RETURN_IF_ERROR(behind_.add(iteration, iteration_count(), header()));
  if (behind_.is_full()) EVERGROVE_RETURN_IF_ERROR(catch_up());
  Iteration kept = iteration;
  if (!history_.has_metrics_of_now(iteration)) {
    EVERGROVE_RETURN_IF_ERROR(catch_up());
    kept.metrics.clear();
    EVERGROVE_RETURN_IF_ERROR(add_validation_metrics(kept.metrics));
  }
  history_.keep(std::move(kept));
  return {};
}

Status ParkedTrainer::catch_up() {
  if (behind_.iterations().empty()) return {};
  EVERGROVE_RETURN_IF_ERROR(for_each_part([&](RowStore& part) -> Status {
    EVERGROVE_RETURN_IF_ERROR(part.fetch(RowStore::kBins | RowStore::kMargins));
    EVERGROVE_RETURN_IF_ERROR(part.apply(behind_.iterations()));
    return part.release(RowStore::kMargins);
  }));
  behind_.clear();
  return {};
}

Result<std::vector<model::MetricValue>> ParkedTrainer::training_metrics() {
  std::vector<std::vector<model::Tree>> kept;
  for (uint64_t i = 0; i < best_iteration(); ++i) kept.push_back(history_.iterations()[i].trees);
  EVERGROVE_RETURN_IF_ERROR(catch_up());
  if (kept.size() < iteration_count()) {
    EVERGROVE_RETURN_IF_ERROR(for_each_part([&](RowStore& part) -> Status {
      EVERGROVE_RETURN_IF_ERROR(part.fetch(RowStore::kBins));
      EVERGROVE_RETURN_IF_ERROR(part.go_back_to(kept));
      return part.release(RowStore::kMargins);
    }));
  }
  // There is no tree now, whose rows take 8 bytes each.
  for (const auto& part : parts_) part->forget_tree();
  const uint64_t rows_at_once = 8 * row_count() / ranked_row_bytes(is_weighted());
  std::vector<model::MetricValue> metrics;
  EVERGROVE_RETURN_IF_ERROR(add_metrics(0, description_.training_weight_max,
                                        std::max(rows_at_once, kRankedParkedRows), metrics));
  return metrics;
}

}  // namespace

Result<std::unique_ptr<Trainer>> train_parked(const DataSpec& spec, RunDescription description,
                                              std::span<const Shard> shards,
                                              std::unique_ptr<ScratchFile> file,
                                              const PrepareProgress& progress) {
  const RunHeader& header = description.header;
  EVERGROVE_RETURN_IF_ERROR(check_run(header.parameters, !header.valid_names.empty()));
  auto trainer = std::make_unique<ParkedTrainer>(std::move(description), std::move(file));
  for (size_t i = 0; i < shards.size(); ++i) {
    if (progress && !progress("binning", double(i) / double(shards.size()))) {
      return stopped_before_training();
    }
    EVERGROVE_ASSIGN_OR_RETURN(
        TrainingData data,
        read_shards(spec, trainer->header(), shards.subspan(i, 1), nullptr, RowForm::alone));
    EVERGROVE_RETURN_IF_ERROR(trainer->add(std::move(data)));
  }
  if (progress && !progress("binning", 1)) return stopped_before_training();
  return std::unique_ptr<Trainer>(std::move(trainer));
}

}  // namespace evergrove::train
