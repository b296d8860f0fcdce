// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/tree_growth.h"

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/trees/column_sample.h"

namespace evergrove::trees {
namespace {

// Any feature's bins have the sums of all rows.
Sums sums_of(const Histogram& histogram, std::span<const uint32_t> offsets, uint32_t feature) {
  Sums sums;
  for (uint32_t bin = offsets[feature]; bin < offsets[feature + 1]; ++bin) {
    sums = sums + histogram.at(bin);
  }
  return sums;
}

}  // namespace

TreeGrowth::TreeGrowth(const Place& place, uint64_t tree_index, std::vector<uint32_t> columns,
                       bool wide, const GradientUnits& units, std::unique_ptr<Histogram> root,
                       HistogramPool& pool)
    : tree_index_(tree_index),
      columns_(std::move(columns)),
      wide_(wide),
      search_{place.offsets, place.features, units, place.options},
      walk_(*place.options, sums_of(*root, place.offsets, columns_.front())),
      pool_(pool) {
  histograms_.push_back(std::move(root));
}

TreeGrowth::~TreeGrowth() {
  for (auto& histogram : histograms_) pool_.give_back(std::move(histogram));
}

Split TreeGrowth::find_split(uint32_t id) const {
  const TreeWalk::Node& node = walk_.node(id);
  const std::vector<uint32_t> columns =
      node_columns(columns_, *search_.options, tree_index_, node.depth, node.path);
  return search_.best(*histograms_[id], node.sums, columns);
}

bool TreeGrowth::wants_histogram(uint32_t id) const {
  const TreeWalk::Node& node = walk_.node(id);
  return walk_.may_split(static_cast<uint32_t>(node.left)) ||
         walk_.may_split(static_cast<uint32_t>(node.right));
}

uint32_t TreeGrowth::small_child(uint32_t id) const {
  const TreeWalk::Node& node = walk_.node(id);
  const bool is_left = 2 * node.split.left.count <= node.sums.count;
  return static_cast<uint32_t>(is_left ? node.left : node.right);
}

void TreeGrowth::take(uint32_t id, std::unique_ptr<Histogram> small) {
  const TreeWalk::Node& node = walk_.node(id);
  const uint32_t small_id = small_child(id);
  const auto large_id = static_cast<uint32_t>(node.left) + static_cast<uint32_t>(node.right) -
                        small_id;
  histograms_[large_id] =
      subtract(std::move(histograms_[id]), *small,
               static_cast<size_t>(walk_.node(large_id).sums.count), !wide_, pool_);
  histograms_[small_id] = std::move(small);
  for (const int32_t side : {node.left, node.right}) {
    const auto child = static_cast<uint32_t>(side);
    if (walk_.may_split(child)) {
      if (search_.options->order == GrowthOrder::symmetric) continue;
      walk_.node(child).split = find_split(child);
      if (walk_.node(child).split.found()) continue;
    }
    pool_.give_back(std::move(histograms_[child]));
  }
}

void TreeGrowth::take_none(uint32_t id) { pool_.give_back(std::move(histograms_[id])); }

Status TreeGrowth::expand_batch(std::vector<uint32_t>& batch, const Expand& expand) {
  histograms_.resize(walk_.node_count());
  // Large ones first, so that no thread is left with one when the others are done.
  std::sort(batch.begin(), batch.end(), [&](uint32_t a, uint32_t b) {
    const int64_t rows_a = walk_.node(a).sums.count;
    const int64_t rows_b = walk_.node(b).sums.count;
    return rows_a != rows_b ? rows_a > rows_b : a < b;
  });
  ++round_count_;
  return expand(batch);
}

Status TreeGrowth::grow_ordered(size_t parallel, const Expand& expand) {
  walk_.set_split(0, walk_.may_split(0) ? find_split(0) : Split{});
  while (!walk_.finished()) {
    std::vector<uint32_t> batch = walk_.next_batch(parallel);
    CHECK(!batch.empty());
    EVERGROVE_RETURN_IF_ERROR(expand_batch(batch, expand));
    for (const uint32_t id : batch) {
      for (const int32_t side : {walk_.node(id).left, walk_.node(id).right}) {
        const auto child = static_cast<uint32_t>(side);
        walk_.set_split(child, std::move(walk_.node(child).split));
      }
    }
  }
  return {};
}

Status TreeGrowth::grow_symmetric(const Expand& expand) {
  std::vector<uint32_t> level;
  if (walk_.may_split(0)) level.push_back(0);
  for (uint32_t depth = 0; depth < search_.options->symmetric_depth() && !level.empty(); ++depth) {
    std::vector<const Histogram*> histograms;
    std::vector<Sums> sums;
    for (const uint32_t id : level) {
      histograms.push_back(histograms_[id].get());
      sums.push_back(walk_.node(id).sums);
    }
    const std::vector<uint32_t> columns =
        level_columns(columns_, *search_.options, tree_index_, depth);
    const Split shared = search_.best_shared(histograms, sums, columns);
    if (!shared.found()) break;
    std::vector<Split> splits;
    for (size_t i = 0; i < level.size(); ++i) {
      splits.push_back(search_.apply(shared, *histograms[i], sums[i]));
    }
    std::vector<uint32_t> batch = walk_.take_level(level, std::move(splits));
    if (batch.empty()) break;
    level = walk_.next_level(level);
    EVERGROVE_RETURN_IF_ERROR(expand_batch(batch, expand));
  }
  return {};
}

Status TreeGrowth::grow(size_t parallel, const Expand& expand) {
  return search_.options->order == GrowthOrder::symmetric ? grow_symmetric(expand)
                                                          : grow_ordered(parallel, expand);
}

}  // namespace evergrove::trees
