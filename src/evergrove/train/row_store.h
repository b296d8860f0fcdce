// RowStore: the rows that a worker holds, and all that follows from them and from what was decided.
//
// A run of several machines is decided in one place; what each machine knows of it is a function
// of its rows and of those decisions: margins, gradients, which node each row is in, histograms,
// metrics. Everything here is of these rows alone and adds up over stores: tallies by +, the
// largest gradient by max, histograms as integer sums, metrics by merge(). Which rows lie in which
// store is never part of a result, for hashes are of a row's place among all training rows.
// One owner, one thread at a time; work is done by the threads of the TBB arena it is called in.
//
//   RowStore store(header, weight_facts, std::move(data));   // data.train.segments say which rows
//   store.apply(iterations);                                 // what was decided before
//   RoundingTally tally = store.make_gradients(output, scale);
//   store.start_tree(output);
//   store.make_room(3);
//   store.add_histogram_parts(0, columns, parts);
//   store.split(0, split, 1, 2);
//   store.finish_tree(leaves, tree);
//   store.end_iteration();
//
// Where memory does not hold them, rows may be parked in a file, and be in memory only as far as
// the next call needs them (park(), fetch(), release()).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/dataset_parts.h"
#include "evergrove/train/gradient_maker.h"
#include "evergrove/train/margins.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/run_record.h"
#include "evergrove/trees/histogram.h"
#include "evergrove/trees/row_partition.h"
#include "evergrove/trees/split.h"

namespace evergrove::train {

class ParkingLot;
class RowsToRank;

class RowStore {
 public:
  // Requires: header.features are the binning of `data`; the facts are of all training rows. Each
  // of data.valid has the rows of one set that are held here, perhaps none.
  RowStore(RunHeader header, const WeightFacts& facts, TrainingData data);

  // One store of all rows of some stores, in their order. Requires: at least one, all of one run
  // and with the same iterations, and no tree of the next one finished; a tree that was begun is
  // forgotten.
  static std::unique_ptr<RowStore> join(std::vector<std::unique_ptr<RowStore>> parts);
  // Stores of so many rows each, in the order of the rows here. Each is where this one is but for a
  // tree that was begun, which it has to begin again.
  std::vector<std::unique_ptr<RowStore>> divide(std::span<const RowCounts> pieces) const;

  // What of the rows is in memory; together as a mask. Everything is until park() is called.
  // For apply, take_tree, split, histograms; finish_tree where rows are sampled or there are
  // validation rows.
  static constexpr unsigned kBins = 1;
  // For gradients, metrics.
  static constexpr unsigned kLabels = 2;
  // For gradients, metrics, and whatever moves them.
  static constexpr unsigned kMargins = 4;
  // For split and histograms, and only where gradients are wide.
  static constexpr unsigned kGradients = 8;
  // Parks the rows, which lie as build_rows_alone() puts them from now on. The lot outlives this.
  // After a failure, here and below, the store is of no use any more.
  Status park(ParkingLot& lot);
  // Requires: parked, and nothing is fetched.
  Status fetch(unsigned parts);
  // Gives the memory of all that was fetched or made to the lot, and keeps what was `changed`.
  Status release(unsigned changed);

  uint64_t row_count() const { return data_.train.row_count(); }
  RowCounts row_counts() const { return train::row_counts(data_); }
  uint64_t iteration_count() const { return iteration_count_; }

  // Moves all margins by the trees of the iterations that follow, walking each row through them.
  // Refuses one whose trees do not fit the run, when some before it may have been taken. Ends a
  // tree that was begun.
  Status apply(std::span<const std::vector<model::Tree>> iterations);

  // The largest |g| at the margins of now (regression; else 0).
  double largest_gradient() const { return gradient_maker_.largest(margins_[0].all()); }
  // Makes the gradients of one tree of the iteration at hand. Output 0 comes first.
  RoundingTally make_gradients(uint32_t output, const GradientScale& scale);

  // Begins a tree: node 0 has the rows of the iteration's sample.
  void start_tree(uint32_t output);
  // Divides a node's rows. Requires: the node has rows here or not, but is known; children's ids
  // are new, and below what make_room() was told. Different nodes may be split at the same time.
  void split(uint32_t node, const trees::Split& split, uint32_t left, uint32_t right);
  void make_room(uint32_t node_count);
  bool knows(uint32_t node) const { return node < nodes_.size() && nodes_[node].is_known; }
  // What the histogram of a node's rows over the given features is built from, together with other
  // stores' (trees::build_histogram): one part, or those of its pieces where it was split since.
  // Valid until the next split. Different nodes may be asked for at the same time.
  void add_histogram_parts(uint32_t node, std::span<const uint32_t> columns,
                           std::vector<trees::HistogramPart>& parts);

  // A node that is a leaf of the finished tree.
  struct Leaf {
    uint32_t node;
    int64_t value;
  };
  // Moves the margins of the tree at hand by its leaves; those of rows that were not in the sample,
  // and of validation rows, by the tree itself.
  Status finish_tree(std::span<const Leaf> leaves, const model::Tree& tree);
  // The same for a tree of this iteration that was not grown here, by walking each row.
  Status take_tree(const model::Tree& tree);
  // Call after the last output's tree: gradients see the trees of this iteration from now on.
  void end_iteration();
  // Forgets the trees of the iteration at hand, finished ones too.
  void drop_iteration();
  // Goes back to where so many iterations were decided, by taking the trees after it off again: the
  // last ones are known for that, up to kTakenBackNodes; else it goes back to where none was.
  static constexpr size_t kTakenBackNodes = size_t{1} << 15;  // of trees, about 3 MB
  void take_back_to(uint64_t iteration_count);
  // Goes back to where no iteration was decided.
  void reset();
  // Forgets a tree that was begun, and gives the memory of its rows back until the next one.
  void forget_tree();
  // Sets the margins to what they were after these trees. Nothing but metrics follows.
  Status go_back_to(std::span<const std::vector<model::Tree>> iterations);

  // The metrics of each validation set at the margins of now, of the rows held here.
  // weight_max_by_set: the largest weight of each whole set.
  std::vector<MetricSummary> metrics(std::span<const std::string> names,
                                     std::span<const double> weight_max_by_set) const;
  // What metrics of a set are computed from, where its rows are not ranked all at once
  // (evaluate_metrics). set: 0: the training rows; i + 1: validation set i.
  MetricSummary summary_of(size_t set, std::span<const std::string> names, double weight_max) const;
  Status gather(size_t set, RowsToRank& rows) const;
  std::span<const int64_t> margins_of(size_t set) const { return margins_[set].all(); }
  // The same of the training rows.
  MetricSummary training_metrics(std::span<const std::string> names, double weight_max) const;
  // The same as they were after these trees, whatever came later. Refuses trees that do not fit the
  // features.
  Result<MetricSummary> training_metrics_after(std::span<const std::vector<model::Tree>> iterations,
                                               std::span<const std::string> names,
                                               double weight_max) const;

 private:
  struct NodeRows {
    bool is_known = false;
    trees::RowRun run;             // until it is split
    uint32_t left = 0, right = 0;  // children, once it is
    bool is_split() const { return left != 0; }
  };

  struct Parking;

  size_t output_count() const { return header_.base_margins.size(); }
  const Dataset& set(size_t index) const {
    return index == 0 ? data_.train : data_.valid[index - 1];
  }
  Dataset& set(size_t index) { return index == 0 ? data_.train : data_.valid[index - 1]; }
  std::vector<Margins>& margins_to_move();
  void keep(const model::Tree& tree);
  void take_off(std::vector<model::Tree> trees);
  void add_leaf_runs(const Leaf& leaf, std::vector<trees::LeafRows>& runs);
  void note_iteration(std::vector<model::Tree> trees);
  Result<Margins> margins_after(size_t set,
                                std::span<const std::vector<model::Tree>> iterations) const;

  RunHeader header_;
  WeightFacts facts_;
  TrainingData data_;
  GradientMaker gradient_maker_;
  std::vector<Margins> margins_;  // of the training rows, then of each set
  // By the trees of the iteration at hand; all outputs' gradients are made at the margins before.
  std::vector<Margins> next_margins_;
  std::vector<model::Tree> trees_;               // of the iteration at hand, finished
  std::deque<std::vector<model::Tree>> newest_;  // of the last iterations before it
  size_t newest_nodes_ = 0;                      // in them
  std::vector<trees::Gradients> gradients_;      // by output
  trees::RowPartition partition_;
  std::vector<uint8_t> in_sample_;
  bool is_sampled_ = false;
  uint32_t output_ = 0;
  std::vector<NodeRows> nodes_;
  uint64_t iteration_count_ = 0;
  std::shared_ptr<Parking> parking_;  // null: not parked
};

}  // namespace evergrove::train
