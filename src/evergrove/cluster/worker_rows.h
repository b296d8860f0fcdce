// WorkerRows: the rows that a worker holds, led to where the run is.
//
// Shards come one by one; those that count are joined to one store when a tree begins, so that a
// node is one run of rows and not one a shard, and divided again when one of them is no longer to
// count. What is joined to what changes nothing that they add up to.
//
// A group's place in the run is what its store has been through: iterations, trees of the iteration
// at hand, the root round of the tree at hand, expansions. bring_up() leads it from wherever it is
// to where the run is; a group that is ahead (a plan was said again) is left there, for what is
// ahead was decided and will be decided the same again.
//
//   WorkerRows rows(setup);
//   rows.add({{7, store->row_counts()}}, std::move(store), {7});
//   rows.set_counted(std::array{7u});
//   rows.bring_up(place);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "evergrove/cluster/message.h"
#include "evergrove/cluster/run_setup.h"
#include "evergrove/train/row_store.h"

namespace evergrove::cluster {

// The trees of each iteration.
using DecidedTrees = std::vector<std::vector<model::Tree>>;

// Leads a store that is between two iterations through those that follow. In part if trees do not
// fit its features, which whoever takes the store will find as well.
void catch_up(const DecidedTrees& decided, train::RowStore& rows);

// Where the run is, as far as a worker knows.
struct RunPlace {
  uint64_t epoch = 0;
  DecidedTrees iterations;  // at least state.iteration of them
  TreeState state;
};

// A shard, and how many rows of each set it has.
struct ShardPiece {
  uint32_t shard = 0;
  train::RowCounts counts;
};

class WorkerRows {
 public:
  // The set-up outlives it.
  explicit WorkerRows(const RunSetup& setup) : setup_(setup) {}

  // Shards' rows, in their order in one store, between any two iterations, of which those wanted
  // are kept. Requires: these are not there already.
  void add(std::vector<ShardPiece> pieces, std::unique_ptr<train::RowStore> rows,
           const std::set<uint32_t>& wanted);
  bool has(uint32_t shard) const;
  // Frees a shard's rows, unless they count.
  void give_back(uint32_t shard);
  std::vector<uint32_t> shards() const;  // ascending

  // From now on these count, and no others. Requires: has() each of them.
  void set_counted(std::span<const uint32_t> shards);
  bool counts_any() const;
  // Leads rows that do not count one iteration on, so that nobody waits when they are to; returns
  // whether some lagged behind.
  bool keep_up(const RunPlace& place);

  // All that follow are about the rows that count.
  void bring_up(const RunPlace& place);
  // Ends the tree at hand; place is where the run was before.
  void finish_tree(const RunPlace& place, const FinishedTree& finished);
  train::RoundingTally tally() const;
  double largest_gradient() const;
  std::vector<train::MetricSummary> metrics(std::span<const std::string> names) const;
  // Of the training rows, after these trees.
  train::MetricSummary training_metrics(std::span<const std::vector<model::Tree>> iterations,
                                        std::span<const std::string> names) const;
  // What a node's histogram is built from.
  std::vector<trees::HistogramPart> parts(uint32_t node, std::span<const uint32_t> columns) const;

 private:
  // Shards in one store, all of which count or none.
  struct Group {
    std::vector<ShardPiece> pieces;
    std::unique_ptr<train::RowStore> rows;
    bool is_counted = false;
    uint64_t epoch = 0;     // in which the following was so
    size_t finished = 0;    // trees of the iteration at hand
    uint64_t begun = 0;     // root round of the tree at hand
    size_t expansions = 0;  // of it
    train::RoundingTally tally;

    bool is_ahead_of(const RunPlace& place) const {
      return rows->iteration_count() > place.state.iteration ||
             finished > place.state.finished.size();
    }
    void start_iteration() {
      finished = 0;
      begun = 0;
      expansions = 0;
    }
  };

  std::vector<Group> divided(Group group) const;
  size_t output_count() const { return setup_.header.base_margins.size(); }
  void enter_epoch(Group& group, const RunPlace& place) const;
  void lead_to_iteration(Group& group, const RunPlace& place) const;
  void lead_to_tree(Group& group, const RunPlace& place) const;
  void expand(Group& group, const RunPlace& place) const;
  void join_counted(const RunPlace& place);

  const RunSetup& setup_;
  std::vector<Group> groups_;
};

}  // namespace evergrove::cluster
