// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/grower.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <tuple>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/column_sample.h"

namespace evergrove::trees {

struct Grower::Growth {
  const Gradients& gradients;
  TreeGrowth tree;
};

Grower::Grower(const bins::BinMatrix& bins, std::span<const model::Feature> features,
               const GrowthOptions& options)
    : bins_(bins), features_(features), options_(options), pool_(bins.histogram_offsets().back()) {
  CHECK(features.size() == bins.feature_count());
}

Grower::~Grower() = default;

// Splits a node's rows, and makes the histogram of its smaller child.
void Grower::expand(Growth& growth, const TreeGrowth::Expansion& expansion) {
  const Split& split = expansion.node->split;
  const bool numeric = features_[split.feature].kind == table::ColumnKind::numeric;
  std::tie(expansion.left_item->run, expansion.right_item->run) =
      partition_.split(expansion.item->run, split, bins_, numeric);
  CHECK(expansion.left_item->run.count == static_cast<size_t>(split.left.count));
  if (!expansion.wants_histogram()) {
    growth.tree.take_none(expansion);
    return;
  }
  const HistogramInput input{&bins_, &growth.gradients, growth.tree.columns()};
  RowRun& small = expansion.small_item().run;
  small = partition_.listed(small);
  const std::span<const TreeRow> rows = partition_.rows(small);
  growth.tree.take(expansion, build_histogram(input, rows, false, pool_, expansion.threads));
}

// The rows of a node that is a leaf, of the walk or of what was read off it.
void Grower::take_rows(Growth& growth, uint32_t id, int64_t value, GrownTree& grown) {
  const TreeWalk::Node& node = growth.tree.node(id);
  if (node.left < 0) {
    grown.leaves.push_back({growth.tree.item(id).run, value});
    return;
  }
  take_rows(growth, static_cast<uint32_t>(node.left), value, grown);
  take_rows(growth, static_cast<uint32_t>(node.right), value, grown);
}

GrownTree Grower::grow(const Gradients& gradients, uint32_t output, uint64_t tree_index,
                       std::span<const uint32_t> sampled_rows) {
  std::vector<uint32_t> columns = tree_columns(features_.size(), options_, tree_index);
  const bool all_rows = sampled_rows.empty();
  const RowRun root = all_rows ? partition_.start_all(bins_.row_count(), gradients)
                               : partition_.start(sampled_rows, gradients);
  const std::span<const TreeRow> listed =
      all_rows ? std::span<const TreeRow>() : partition_.rows(root);
  auto histogram = build_histogram({&bins_, &gradients, columns}, listed, all_rows, pool_);
  Growth growth{gradients,
                TreeGrowth({bins_.histogram_offsets(), features_, &options_}, tree_index,
                           std::move(columns), gradients.wide, {gradients.g_unit, gradients.h_unit},
                           {std::move(histogram), root}, pool_)};
  if (least_gains_.size() <= output) least_gains_.resize(output + 1, 0);
  // Where threads can share the features of a node, nodes that are expanded in vain cost time.
  const double gain_min = features_.size() > kSearchedFeatures ? least_gains_[output] : 0;
  growth.tree.grow_by_node(
      static_cast<size_t>(tbb::this_task_arena::max_concurrency()), gain_min,
      [&](const TreeGrowth::Expansion& expansion) { expand(growth, expansion); });
  least_gains_[output] = growth.tree.least_gain();
  GrownTree grown;
  grown.expanded_count = growth.tree.walk().expanded_count();
  grown.round_count = growth.tree.round_count();
  std::vector<uint32_t> leaf_ids;
  grown.tree = growth.tree.tree(&leaf_ids);
  for (const uint32_t id : leaf_ids) {
    const int64_t value = leaf_value(growth.tree.node(id).sums, growth.tree.units(), options_);
    take_rows(growth, id, value, grown);
  }
  return grown;
}

}  // namespace evergrove::trees
