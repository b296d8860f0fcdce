// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/row_store.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <utility>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/train/forest_walk.h"
#include "evergrove/train/row_store_parking.h"
#include "evergrove/train/rows_to_rank.h"
#include "evergrove/trees/binned_tree.h"

namespace evergrove::train {
namespace {

size_t node_count(std::span<const model::Tree> trees) {
  size_t count = 0;
  for (const model::Tree& tree : trees) count += tree.nodes.size();
  return count;
}

}  // namespace

RowStore::RowStore(RunHeader header, const WeightFacts& facts, TrainingData data)
    : header_(std::move(header)),
      facts_(facts),
      data_(std::move(data)),
      gradient_maker_(header_, facts, data_.train),
      gradients_(header_.base_margins.size()) {
  margins_.resize(1 + data_.valid.size());
  reset();
}

std::unique_ptr<RowStore> RowStore::join(std::vector<std::unique_ptr<RowStore>> parts) {
  std::vector<TrainingData> data;
  std::vector<std::vector<const Margins*>> margins(parts[0]->margins_.size());
  for (const std::unique_ptr<RowStore>& part : parts) {
    CHECK(part->iteration_count_ == parts[0]->iteration_count_);
    CHECK(part->trees_.empty() && part->next_margins_.empty());
    for (size_t i = 0; i < margins.size(); ++i) margins[i].push_back(&part->margins_[i]);
    data.push_back(std::move(part->data_));
  }
  auto whole =
      std::make_unique<RowStore>(parts[0]->header_, parts[0]->facts_, join_data(std::move(data)));
  for (size_t i = 0; i < margins.size(); ++i) whole->margins_[i] = Margins::join(margins[i]);
  whole->iteration_count_ = parts[0]->iteration_count_;
  whole->newest_ = std::move(parts[0]->newest_);
  whole->newest_nodes_ = parts[0]->newest_nodes_;
  return whole;
}

std::vector<std::unique_ptr<RowStore>> RowStore::divide(std::span<const RowCounts> pieces) const {
  std::vector<std::unique_ptr<RowStore>> parts;
  RowCounts passed(margins_.size(), 0);
  for (const RowCounts& counts : pieces) {
    auto part = std::make_unique<RowStore>(header_, facts_, slice_data(data_, passed, counts));
    part->iteration_count_ = iteration_count_;
    part->trees_ = trees_;
    part->newest_ = newest_;
    part->newest_nodes_ = newest_nodes_;
    for (size_t i = 0; i < passed.size(); ++i) {
      part->margins_[i] = margins_[i].slice(passed[i], counts[i]);
      if (!next_margins_.empty()) {
        part->next_margins_.push_back(next_margins_[i].slice(passed[i], counts[i]));
      }
      passed[i] += counts[i];
    }
    parts.push_back(std::move(part));
  }
  CHECK(passed == row_counts());
  return parts;
}

void RowStore::reset() {
  drop_iteration();
  iteration_count_ = 0;
  newest_.clear();
  newest_nodes_ = 0;
  for (size_t i = 0; i < margins_.size(); ++i) {
    margins_[i] = Margins(header_.base_margins, set(i).row_count());
  }
}

// Margins are integers, so that taking the leaves' values off again is exact. Requires: the trees
// fit the features, and have moved margins_.
void RowStore::take_off(std::vector<model::Tree> trees) {
  for (model::Tree& tree : trees) {
    for (model::Node& node : tree.nodes) node.value = -node.value;
    const auto opposite = trees::BinnedTree::make(tree, header_.features);
    CHECK(opposite.ok());
    for (size_t i = 0; i < margins_.size(); ++i) {
      opposite->add(set(i).bins, {}, margins_[i].of(tree.output));
    }
  }
}

void RowStore::take_back_to(uint64_t iteration_count) {
  drop_iteration();
  if (iteration_count_ <= iteration_count) return;
  if (parking_ || iteration_count_ - iteration_count > newest_.size()) return reset();
  for (; iteration_count_ > iteration_count; --iteration_count_) {
    take_off(newest_.back());
    newest_nodes_ -= node_count(newest_.back());
    newest_.pop_back();
  }
}

Status RowStore::apply(std::span<const std::vector<model::Tree>> iterations) {
  drop_iteration();
  for (const std::vector<model::Tree>& trees : iterations) {
    if (trees.size() == output_count()) continue;
    return corrupt("An iteration has not a tree an output",
                   {{"trees", std::to_string(trees.size())}});
  }
  return for_each_walk(iterations, header_, [&](const ForestWalk& walk, auto batch) {
    for (size_t i = 0; i < margins_.size(); ++i) walk.add(set(i).bins, margins_[i]);
    for (const std::vector<model::Tree>& trees : batch) note_iteration(trees);
  });
}

// Counts an iteration that the margins were moved by, and keeps its trees for a while. A parked
// store goes back by reset() alone, and is one of many: the trees of each would add up.
void RowStore::note_iteration(std::vector<model::Tree> trees) {
  ++iteration_count_;
  if (parking_) return;
  newest_nodes_ += node_count(trees);
  newest_.push_back(std::move(trees));
  for (; newest_nodes_ > kTakenBackNodes; newest_.pop_front()) {
    newest_nodes_ -= node_count(newest_.front());
  }
}

std::vector<Margins>& RowStore::margins_to_move() {
  if (output_count() == 1) return margins_;
  if (next_margins_.empty()) next_margins_ = margins_;
  return next_margins_;
}

void RowStore::keep(const model::Tree& tree) {
  CHECK(output_count() > 1 || trees_.empty());
  trees_.push_back(tree);
}

Status RowStore::take_tree(const model::Tree& tree) {
  EVERGROVE_ASSIGN_OR_RETURN(const auto binned, binned_tree(tree, header_));
  std::vector<Margins>& margins = margins_to_move();
  for (size_t i = 0; i < margins.size(); ++i) {
    binned.add(set(i).bins, {}, margins[i].of(tree.output));
  }
  keep(tree);
  nodes_.clear();
  return {};
}

void RowStore::end_iteration() {
  if (!next_margins_.empty()) {
    margins_ = std::move(next_margins_);
    if (parking_) parking_->take_next_margins();
  }
  next_margins_.clear();
  nodes_.clear();
  note_iteration(std::exchange(trees_, {}));
}

void RowStore::drop_iteration() {
  if (output_count() == 1) take_off(std::move(trees_));
  trees_.clear();
  next_margins_.clear();
  nodes_.clear();
}

void RowStore::forget_tree() {
  nodes_.clear();
  partition_ = trees::RowPartition(/*is_tight=*/parking_ != nullptr);
}

RoundingTally RowStore::make_gradients(uint32_t output, const GradientScale& scale) {
  trees::Gradients& gradients = gradients_[output];
  if (parking_) gradients = std::move(parking_->room.gradients);
  return gradient_maker_.make(iteration_count_, output, margins_[0].all(), scale, gradients);
}

void RowStore::start_tree(uint32_t output) {
  output_ = output;
  is_sampled_ = header_.parameters.subsample < 1;
  NodeRows root;
  root.is_known = true;
  root.run = is_sampled_ ? partition_.start(sample_rows(header_.parameters, iteration_count_,
                                                        data_.train, in_sample_),
                                            gradients_[output])
                         : partition_.start_all(row_count(), gradients_[output]);
  // Rows take their gradients along, which need not be kept then.
  if (parking_) root.run = partition_.listed(root.run);
  nodes_.assign(1, root);
}

void RowStore::make_room(uint32_t node_count) {
  if (nodes_.size() < node_count) nodes_.resize(node_count);
}

void RowStore::split(uint32_t node, const trees::Split& split, uint32_t left, uint32_t right) {
  CHECK(knows(node) && !knows(left) && !knows(right) && std::max(left, right) < nodes_.size());
  NodeRows& rows = nodes_[node];
  CHECK(!rows.is_split());
  const bool numeric = header_.features[split.feature].kind == table::ColumnKind::numeric;
  const auto runs = partition_.split(rows.run, split, data_.train.bins, numeric);
  rows.left = left;
  rows.right = right;
  nodes_[left] = {.is_known = true, .run = runs.first};
  nodes_[right] = {.is_known = true, .run = runs.second};
}

void RowStore::add_histogram_parts(uint32_t node, std::span<const uint32_t> columns,
                                   std::vector<trees::HistogramPart>& parts) {
  CHECK(knows(node));
  NodeRows& rows = nodes_[node];
  const trees::HistogramInput input{&data_.train.bins, &gradients_[output_], columns};
  if (rows.run.is_all()) {
    parts.push_back({input, {}, true});
  } else if (!rows.is_split()) {
    rows.run = partition_.listed(rows.run);
    parts.push_back({input, partition_.rows(rows.run), false});
  } else {
    add_histogram_parts(rows.left, columns, parts);
    add_histogram_parts(rows.right, columns, parts);
  }
}

// A leaf that was split in vain is in pieces.
void RowStore::add_leaf_runs(const Leaf& leaf, std::vector<trees::LeafRows>& runs) {
  const NodeRows& rows = nodes_[leaf.node];
  if (!rows.is_split()) {
    runs.push_back({rows.run, leaf.value});
    return;
  }
  add_leaf_runs({rows.left, leaf.value}, runs);
  add_leaf_runs({rows.right, leaf.value}, runs);
}

Status RowStore::finish_tree(std::span<const Leaf> leaves, const model::Tree& tree) {
  std::vector<trees::LeafRows> runs;
  for (const Leaf& leaf : leaves) {
    CHECK(knows(leaf.node));
    add_leaf_runs(leaf, runs);
  }
  std::vector<Margins>& moved = margins_to_move();
  const std::span<int64_t> margins = moved[0].of(output_);
  partition_.add(runs, margins);
  EVERGROVE_ASSIGN_OR_RETURN(const auto binned, trees::BinnedTree::make(tree, header_.features));
  if (is_sampled_) binned.add(data_.train.bins, in_sample_, margins);
  for (size_t i = 1; i < moved.size(); ++i) {
    binned.add(set(i).bins, {}, moved[i].of(output_));
  }
  if (parking_) in_sample_ = {};
  keep(tree);
  nodes_.clear();
  return {};
}

MetricSummary RowStore::summary_of(size_t set_index, std::span<const std::string> names,
                                   double weight_max) const {
  MetricInput input = metric_input(header_, set(set_index), margins_[set_index].all());
  input.weight_max = weight_max;
  return MetricSummary::of(names, input);
}

Status RowStore::gather(size_t set_index, RowsToRank& rows) const {
  const Dataset& data = set(set_index);
  return rows.add(margins_[set_index].all(), data.classes, data.weights);
}

Result<Margins> RowStore::margins_after(
    size_t set_index, std::span<const std::vector<model::Tree>> iterations) const {
  const bins::BinMatrix& bins = set(set_index).bins;
  Margins margins(header_.base_margins, bins.row_count());
  EVERGROVE_RETURN_IF_ERROR(
      for_each_walk(iterations, header_,
                    [&](const ForestWalk& walk, auto /*batch*/) { walk.add(bins, margins); }));
  return margins;
}

Status RowStore::go_back_to(std::span<const std::vector<model::Tree>> iterations) {
  for (size_t i = 0; i < margins_.size(); ++i) {
    EVERGROVE_ASSIGN_OR_RETURN(margins_[i], margins_after(i, iterations));
  }
  return {};
}

std::vector<MetricSummary> RowStore::metrics(std::span<const std::string> names,
                                             std::span<const double> weight_max_by_set) const {
  CHECK(weight_max_by_set.size() == data_.valid.size());
  std::vector<MetricSummary> summaries;
  for (size_t i = 0; i < data_.valid.size(); ++i) {
    summaries.push_back(summary_of(i + 1, names, weight_max_by_set[i]));
  }
  return summaries;
}

MetricSummary RowStore::training_metrics(std::span<const std::string> names,
                                         double weight_max) const {
  return summary_of(0, names, weight_max);
}

Result<MetricSummary> RowStore::training_metrics_after(
    std::span<const std::vector<model::Tree>> iterations, std::span<const std::string> names,
    double weight_max) const {
  if (iterations.size() == iteration_count_) return training_metrics(names, weight_max);
  EVERGROVE_ASSIGN_OR_RETURN(const Margins margins, margins_after(0, iterations));
  MetricInput input = metric_input(header_, data_.train, margins.all());
  input.weight_max = weight_max;
  return MetricSummary::of(names, input);
}

}  // namespace evergrove::train
