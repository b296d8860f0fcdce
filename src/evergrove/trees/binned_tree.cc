// Rows are walked some at a time, a step of each after the other: a step waits for the one before
// it, but not for another row's, and none is a branch that could be guessed wrong.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/binned_tree.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#include "evergrove/base/phase.h"

namespace evergrove::trees {
namespace {

constexpr size_t kTogether = 8;

// Walks kTogether rows to their leaves.
template <bool kTables, typename Bin, typename Node>
void walk_rows(const Node* all, const uint8_t* tables, const Bin* const* rows, uint32_t* nodes) {
  uint32_t at[kTogether] = {};
  bool is_on_its_way;
  do {
    is_on_its_way = false;
    for (size_t i = 0; i < kTogether; ++i) {
      const Node& node = all[at[i]];
      const uint32_t bin = rows[i][node.feature];
      bool left = bin - node.first <= node.span;
      if constexpr (kTables) {
        if (node.table >= 0) left = tables[static_cast<size_t>(node.table) + bin] != 0;
      }
      const uint32_t next = left ? node.left : node.right;
      is_on_its_way |= next != at[i];
      at[i] = next;
    }
  } while (is_on_its_way);
  std::copy_n(at, kTogether, nodes);
}

}  // namespace

Result<BinnedTree> BinnedTree::make(const model::Tree& tree,
                                    std::span<const model::Feature> features) {
  BinnedTree binned;
  const auto node_count = static_cast<int32_t>(tree.nodes.size());
  if (node_count == 0) return corrupt("A tree has no nodes");
  for (int32_t index = 0; index < node_count; ++index) {
    const model::Node& from = tree.nodes[index];
    Node to;
    to.left = to.right = static_cast<uint32_t>(index);
    if (from.feature >= 0) {
      if (static_cast<size_t>(from.feature) >= features.size() || from.left <= index ||
          from.right <= index || from.left >= node_count || from.right >= node_count) {
        return corrupt("A tree has a node that points nowhere", {{"node", std::to_string(index)}});
      }
      to.feature = static_cast<uint64_t>(from.feature);
      to.left = static_cast<uint32_t>(from.left);
      to.right = static_cast<uint32_t>(from.right);
      const model::Feature& feature = features[from.feature];
      if (feature.kind == table::ColumnKind::numeric) {
        const auto cut = std::lower_bound(feature.cuts.begin(), feature.cuts.end(), from.threshold);
        const bool is_cut = cut != feature.cuts.end() && *cut == from.threshold;
        if (!is_cut && from.threshold != INFINITY) {
          return corrupt("A tree has a threshold that is not a cut of its feature",
                         {{"feature", feature.name}});
        }
        // Bin 0 is of missing values.
        to.first = from.missing_left ? 0 : 1;
        to.span = static_cast<uint32_t>(cut - feature.cuts.begin()) + 1 - to.first;
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
    binned.values_.push_back(from.value);
  }
  return binned;
}

bool BinnedTree::goes_left(const Node& node, uint32_t bin) const {
  if (node.table >= 0) return tables_[static_cast<size_t>(node.table) + bin] != 0;
  return bin - node.first <= node.span;
}

// Rows are gone along by column where the matrix has sparse features. A feature that shares its
// cell has a table by the cell's value.
BinnedTree::Walk BinnedTree::walk_of(const bins::BinMatrix& bins) const {
  Walk walk{nodes_, tables_, {}};
  std::vector<uint32_t>& columns = walk.columns;
  const bool by_column = !bins.sparse().empty();
  for (const Node& node : nodes_) {
    const bool is_leaf = node.left == node.right;
    if (by_column && !is_leaf) columns.push_back(static_cast<uint32_t>(node.feature));
  }
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  for (Node& node : walk.nodes) {
    if (node.left == node.right) continue;  // a leaf
    const auto feature = static_cast<uint32_t>(node.feature);
    if (by_column) {
      const auto place = std::lower_bound(columns.begin(), columns.end(), feature);
      node.feature = static_cast<uint64_t>(place - columns.begin()) * kBlockRows;
      continue;
    }
    const uint32_t cell = bins.layout().cell(feature);
    node.feature = cell;
    if (!bins.layout().is_shared(cell)) continue;
    const auto table = static_cast<int32_t>(walk.tables.size());
    for (uint32_t value = 0; value < bins.layout().value_count(cell); ++value) {
      walk.tables.push_back(goes_left(node, bins.layout().bin(feature, value)) ? 1 : 0);
    }
    node.table = table;
  }
  return walk;
}

template <typename Bin, bool kTables>
void BinnedTree::add_block(const Walk& walk, const bins::BinMatrix& bins, size_t first_row,
                           size_t row_count, std::span<const uint8_t> excluded,
                           std::span<int64_t> margins) const {
  const bool by_column = !bins.sparse().empty();
  // A leaf looks at a bin, too: of a tree of one leaf, at any.
  std::vector<Bin> columns(std::max<size_t>(1, walk.columns.size()) * kBlockRows);
  for (size_t i = 0; i < walk.columns.size(); ++i) {
    bins.copy_column(walk.columns[i], first_row,
                     std::span<Bin>(columns).subspan(i * kBlockRows, row_count));
  }
  const Bin* const all =
      by_column ? columns.data() : bins.rows<Bin>() + first_row * bins.row_stride();
  const size_t row_stride = by_column ? 1 : bins.row_stride();
  size_t places[kTogether];
  const Bin* rows[kTogether];
  uint32_t leaves[kTogether];
  for (size_t i = 0; i < row_count;) {
    size_t count = 0;
    for (; count < kTogether && i < row_count; ++i) {
      if (!excluded.empty() && excluded[first_row + i] != 0) continue;
      places[count] = first_row + i;
      rows[count++] = all + i * row_stride;
    }
    if (count == 0) return;
    std::fill(rows + count, rows + kTogether, rows[0]);
    walk_rows<kTables>(walk.nodes.data(), walk.tables.data(), rows, leaves);
    for (size_t j = 0; j < count; ++j) margins[places[j]] += values_[leaves[j]];
  }
}

template <typename Bin, bool kTables>
void BinnedTree::add_rows(const Walk& walk, const bins::BinMatrix& bins,
                          std::span<const uint8_t> excluded, std::span<int64_t> margins) const {
  const size_t block_count = (bins.row_count() + kBlockRows - 1) / kBlockRows;
  tbb::parallel_for(size_t{0}, block_count, [&](size_t block) {
    const PhaseScope scope(Phase::walk);
    const size_t first = block * kBlockRows;
    add_block<Bin, kTables>(walk, bins, first, std::min(kBlockRows, bins.row_count() - first),
                            excluded, margins);
  });
}

void BinnedTree::add(const bins::BinMatrix& bins, std::span<const uint8_t> excluded,
                     std::span<int64_t> margins) const {
  if (bins.row_count() == 0) return;
  const Walk walk = walk_of(bins);
  const auto add_all = [&]<typename Bin>(const Bin& /*type*/) {
    walk.tables.empty() ? add_rows<Bin, false>(walk, bins, excluded, margins)
                        : add_rows<Bin, true>(walk, bins, excluded, margins);
  };
  bins.bin_bytes() == 1 ? add_all(uint8_t{}) : add_all(uint16_t{});
}

}  // namespace evergrove::trees
