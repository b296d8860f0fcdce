// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/binned_tree.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

namespace evergrove::trees {

Result<BinnedTree> BinnedTree::make(const model::Tree& tree,
                                    std::span<const model::Feature> features) {
  BinnedTree binned;
  const auto node_count = static_cast<int32_t>(tree.nodes.size());
  if (node_count == 0) return corrupt("A tree has no nodes");
  for (int32_t index = 0; index < node_count; ++index) {
    const model::Node& from = tree.nodes[index];
    Node to{from.feature, 0, -1, from.missing_left, from.left, from.right, from.value};
    if (from.feature >= 0) {
      if (static_cast<size_t>(from.feature) >= features.size() || from.left <= index ||
          from.right <= index || from.left >= node_count || from.right >= node_count) {
        return corrupt("A tree has a node that points nowhere", {{"node", std::to_string(index)}});
      }
      const model::Feature& feature = features[from.feature];
      if (feature.kind == table::ColumnKind::numeric) {
        const auto cut = std::lower_bound(feature.cuts.begin(), feature.cuts.end(), from.threshold);
        const bool is_cut = cut != feature.cuts.end() && *cut == from.threshold;
        if (!is_cut && from.threshold != INFINITY) {
          return corrupt("A tree has a threshold that is not a cut of its feature",
                         {{"feature", feature.name}});
        }
        to.bin_last = static_cast<uint32_t>(cut - feature.cuts.begin()) + 1;
      } else {
        to.table = static_cast<int32_t>(binned.tables_.size());
        binned.tables_.resize(binned.tables_.size() + feature.bin_count(), 0);
        for (uint32_t category : from.categories_left) {
          if (category >= feature.categories.size()) {
            return corrupt("A tree names a category that its feature does not have",
                           {{"feature", feature.name}});
          }
          binned.tables_[to.table + 1 + category] = 1;
        }
        binned.tables_[to.table] = from.missing_left;
      }
    }
    binned.nodes_.push_back(to);
  }
  return binned;
}

template <typename Bin>
int64_t BinnedTree::value(const Bin* row) const {
  const Node* node = &nodes_[0];
  while (node->feature >= 0) {
    const uint32_t bin = row[node->feature];
    bool left;
    if (node->table >= 0) {
      left = tables_[node->table + bin] != 0;
    } else {
      left = bin == 0 ? node->missing_left : bin <= node->bin_last;
    }
    node = &nodes_[left ? node->left : node->right];
  }
  return node->value;
}

void BinnedTree::add(const bins::BinMatrix& bins, std::span<const uint8_t> excluded, size_t stride,
                     size_t offset, std::span<int64_t> margins) const {
  const auto add_rows = [&](const auto* rows) {
    tbb::parallel_for(tbb::blocked_range<size_t>(0, bins.row_count(), 4096), [&](const auto& r) {
      for (size_t row = r.begin(); row < r.end(); ++row) {
        if (!excluded.empty() && excluded[row] != 0) continue;
        margins[row * stride + offset] += value(rows + row * bins.row_stride());
      }
    });
  };
  if (bins.bin_bytes() == 1) {
    add_rows(bins.rows<uint8_t>());
  } else {
    add_rows(bins.rows<uint16_t>());
  }
}

}  // namespace evergrove::trees
