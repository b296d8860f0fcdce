// Grower: grows one tree after another over the same binned rows.
//
// Best-first growth has as many leaves under way as there are threads, more than the sequential
// order is yet sure to need, and the sequential best-first tree is read off what was expanded
// (tree_growth.h). The tree is the one that expanding leaf by leaf would give.
//
// Threads are those of the TBB arena that grow() is called in. Memory is kept from tree to tree.
//
//   Grower grower(bins, features, options);
//   GrownTree grown = grower.grow(gradients, output, tree_index, {});
//   grower.add_leaves(grown, margins);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "evergrove/model/model.h"
#include "evergrove/trees/gradients.h"
#include "evergrove/trees/growth_options.h"
#include "evergrove/trees/histogram.h"
#include "evergrove/trees/row_partition.h"
#include "evergrove/trees/split.h"
#include "evergrove/trees/tree_growth.h"

namespace evergrove::trees {

struct GrownTree {
  model::Tree tree;  // `output` is left to the caller
  std::vector<LeafRows> leaves;
  uint64_t expanded_count = 0;  // nodes split, those not used included
  uint64_t round_count = 0;
};

class Grower {
 public:
  // Requires: bins and features outlive the grower; features are those of bins.
  Grower(const bins::BinMatrix& bins, std::span<const model::Feature> features,
         const GrowthOptions& options);
  ~Grower();

  // Grows a tree on the given rows (ascending; empty: all rows). tree_index names the tree for
  // column sampling; the output's last tree says which gains are worth a try.
  GrownTree grow(const Gradients& gradients, uint32_t output, uint64_t tree_index,
                 std::span<const uint32_t> sampled_rows);

  // Adds the leaves' values to those of their rows, by row. Requires: that was the last grow().
  void add_leaves(const GrownTree& grown, std::span<int64_t> values) const {
    partition_.add(grown.leaves, values);
  }

 private:
  struct Growth;
  void expand(Growth& growth, const TreeGrowth::Expansion& expansion);
  void take_rows(Growth& growth, uint32_t id, int64_t value, GrownTree& grown);

  const bins::BinMatrix& bins_;
  std::span<const model::Feature> features_;
  GrowthOptions options_;
  HistogramPool pool_;
  RowPartition partition_;
  std::vector<double> least_gains_;  // by output, of its last tree
};

}  // namespace evergrove::trees
