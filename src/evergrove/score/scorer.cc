// A block is scored tile by tile: the codes of a few hundred rows, as small integers, stay in the
// nearest cache while all trees pass over them. Tiles are scored in parallel.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/score/scorer.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <variant>

#include "evergrove/base/check.h"
#include "evergrove/base/large_vector.h"
#include "evergrove/score/compact_forest.h"
#include "evergrove/score/feature_coder.h"
#include "evergrove/score/row_mask_forest.h"

namespace evergrove::score {
namespace {

constexpr size_t kTileBytes = 16384;
constexpr size_t kTileRowsMin = kMaskRows;
constexpr size_t kTileRowsMax = 512;
constexpr size_t kTaskRows = 2048;
// Fewer are walked: masks take as long for one row as for a vector of them.
constexpr size_t kMaskedRowsMin = 8;

using AnyForest =
    std::variant<CompactForest<uint8_t>, CompactForest<uint16_t>, CompactForest<uint32_t>>;

// Of one thread.
struct Scratch {
  Walk walk;
  MaskScratch masks;
  std::vector<int64_t> sums;
};

constexpr size_t kCacheLine = 64;

// Asks for what the next tile reads while this one is walked: so many columns, a short piece of
// each, are more than the processor foresees by itself.
template <typename T>
void prefetch(std::span<const T> column, size_t first, size_t count) {
  if (column.empty()) return;
  const auto* from = reinterpret_cast<const char*>(column.data() + first);
  for (size_t byte = 0; byte < count * sizeof(T); byte += kCacheLine) {
    __builtin_prefetch(from + byte, 0, 2);
  }
}

void prefetch(const table::ColumnValues& values, size_t first, size_t count) {
  prefetch(values.f32, first, count);
  prefetch(values.f64, first, count);
  prefetch(values.codes, first, count);
}

size_t choose_tile_rows(size_t column_count, size_t code_bytes) {
  const size_t fitting = kTileBytes / (std::max<size_t>(column_count, 1) * code_bytes);
  return std::clamp(std::bit_floor(fitting), kTileRowsMin, kTileRowsMax);
}

}  // namespace

struct Scorer::Layout {
  explicit Layout(const model::Model& model);

  // Calls visit(forest, tile, first row, row count, scratch) for every tile, in parallel.
  template <typename Visit>
  void for_each_tile(const table::RowBlock& block, Visit visit) const;
  template <typename Code>
  void sum(const CompactForest<Code>& trees, Code* tile, size_t count, Scratch& scratch,
           int64_t* sums) const;

  std::vector<int64_t> base_margins;
  std::vector<size_t> used_features;
  std::vector<FeatureCoder> coders;     // by feature
  std::vector<FeatureColumns> columns;  // by feature
  size_t column_count = 0;
  size_t tile_rows = 0;
  std::optional<AnyForest> forest;
  RowMaskForest masks;  // of the same trees those that it can have; none where codes are no bytes

 private:
  template <typename Code>
  bool try_width(const model::Model& model, uint64_t code_max);
  // `dictionary_codes`: by feature; the codes of a block's dictionaries.
  template <typename Code>
  void encode(const table::RowBlock& block, std::span<const std::vector<uint32_t>> dictionary_codes,
              size_t first, size_t count, Code* tile) const;
};

Scorer::Layout::Layout(const model::Model& model) : base_margins(model.base_margins) {
  const size_t feature_count = model.features.size();
  std::vector<std::vector<double>> thresholds(feature_count);
  columns.resize(feature_count);
  for (const model::Tree& tree : model.trees) {
    for (const model::Node& node : tree.nodes) {
      if (node.feature < 0) continue;
      const bool is_numeric = model.features[node.feature].kind == table::ColumnKind::numeric;
      FeatureColumns& wanted = columns[node.feature];
      (is_numeric && !node.missing_left ? wanted.highest : wanted.lowest) = 0;
      if (is_numeric) thresholds[node.feature].push_back(node.threshold);
    }
  }
  uint64_t code_max = 0;
  for (size_t feature = 0; feature < feature_count; ++feature) {
    coders.emplace_back(model.features[feature], std::move(thresholds[feature]));
    FeatureColumns& wanted = columns[feature];
    if (wanted.lowest < 0 && wanted.highest < 0) continue;
    used_features.push_back(feature);
    code_max = std::max(code_max, coders.back().code_max());
    if (wanted.lowest >= 0) wanted.lowest = static_cast<int32_t>(column_count++);
    if (wanted.highest >= 0) wanted.highest = static_cast<int32_t>(column_count++);
  }
  const bool placed = try_width<uint8_t>(model, code_max) || try_width<uint16_t>(model, code_max) ||
                      try_width<uint32_t>(model, code_max);
  CHECK(placed);
}

template <typename Code>
bool Scorer::Layout::try_width(const model::Model& model, uint64_t code_max) {
  if (!CompactForest<Code>::can_hold(model, code_max)) return false;
  tile_rows = choose_tile_rows(column_count, sizeof(Code));
  CHECK(column_count * tile_rows <= UINT32_MAX);
  forest.emplace(CompactForest<Code>(model, coders, columns, tile_rows));
  if constexpr (sizeof(Code) == 1) {
    masks = RowMaskForest(model, coders, columns, column_count, tile_rows);
  }
  return true;
}

template <typename Code>
void Scorer::Layout::encode(const table::RowBlock& block,
                            std::span<const std::vector<uint32_t>> dictionary_codes, size_t first,
                            size_t count, Code* tile) const {
  const auto place = [&](int32_t column) -> Code* {
    return column < 0 ? nullptr : tile + static_cast<size_t>(column) * tile_rows;
  };
  for (size_t feature : used_features) {
    const table::ColumnValues& values = block.columns[feature];
    prefetch(values, first + count, std::min(tile_rows, block.row_count - first - count));
    Code* lowest = place(columns[feature].lowest);
    if (coders[feature].is_numeric()) {
      coders[feature].encode_numbers<Code>(values, first, count, lowest,
                                           place(columns[feature].highest));
      continue;
    }
    const uint32_t* code_of = dictionary_codes[feature].data() + 1;
    for (size_t row = 0; row < count; ++row) {
      lowest[row] = static_cast<Code>(code_of[values.codes[first + row]]);
    }
  }
}

template <typename Visit>
void Scorer::Layout::for_each_tile(const table::RowBlock& block, Visit visit) const {
  CHECK(block.columns.size() == coders.size());
  std::vector<std::vector<uint32_t>> dictionary_codes(coders.size());
  tbb::parallel_for(size_t{0}, used_features.size(), [&](size_t i) {
    const size_t feature = used_features[i];
    if (coders[feature].is_numeric()) return;
    dictionary_codes[feature] = coders[feature].dictionary_codes(block.columns[feature].dictionary);
  });
  std::visit(
      [&]<typename Code>(const CompactForest<Code>& trees) {
        const size_t tile_count = (block.row_count + tile_rows - 1) / tile_rows;
        const tbb::blocked_range<size_t> tiles(0, tile_count,
                                               std::max<size_t>(1, kTaskRows / tile_rows));
        tbb::parallel_for(tiles, [&](const tbb::blocked_range<size_t>& range) {
          // From a cache line on: a vector of rows that lies on two of them takes twice as long.
          LargeVector<Code> tile(
              std::max<size_t>(column_count + masks.own_columns(), 1) * tile_rows, Code{0});
          Scratch scratch;
          for (size_t i = range.begin(); i != range.end(); ++i) {
            const size_t first = i * tile_rows;
            const size_t count = std::min(tile_rows, block.row_count - first);
            encode<Code>(block, dictionary_codes, first, count, tile.data());
            visit(trees, tile.data(), first, count, scratch);
          }
        });
      },
      *forest);
}

Scorer::Scorer(const model::Model& model) : layout_(std::make_unique<Layout>(model)) {}
Scorer::~Scorer() = default;
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;

size_t Scorer::output_count() const { return layout_->base_margins.size(); }
size_t Scorer::tree_count() const {
  return std::visit([](const auto& forest) { return forest.tree_count(); }, *layout_->forest);
}
std::span<const size_t> Scorer::used_features() const { return layout_->used_features; }

// The margins of a tile's rows.
template <typename Code>
void Scorer::Layout::sum(const CompactForest<Code>& trees, Code* tile, size_t count,
                         Scratch& scratch, int64_t* sums) const {
  const size_t outputs = base_margins.size();
  for (size_t row = 0; row < count; ++row) {
    for (size_t k = 0; k < outputs; ++k) sums[row * outputs + k] = base_margins[k];
  }
  bool is_masked = false;
  if constexpr (sizeof(Code) == 1) {
    is_masked = count >= kMaskedRowsMin;
    if (is_masked) masks.add(tile, count, sums, scratch.masks);
  }
  for (size_t tree = 0; tree < trees.tree_count(); ++tree) {
    if (is_masked && masks.has(tree)) continue;
    trees.walk(tree, tile, count, scratch.walk);
    int64_t* to = sums + trees.output(tree);
    for (size_t row = 0; row < count; ++row) {
      int64_t& sum = to[row * outputs];
      sum = wrapping_sum(sum, trees.value(tree, scratch.walk.places[row]));
    }
  }
}

void Scorer::margins(const table::RowBlock& block, std::span<int64_t> margins) const {
  const size_t outputs = output_count();
  CHECK(margins.size() == block.row_count * outputs);
  layout_->for_each_tile(
      block, [&](const auto& trees, auto* tile, size_t first, size_t count, Scratch& scratch) {
        layout_->sum(trees, tile, count, scratch, margins.data() + first * outputs);
      });
}

void Scorer::for_each_margins(const table::RowBlock& block, const VisitMargins& visit) const {
  layout_->for_each_tile(
      block, [&](const auto& trees, auto* tile, size_t first, size_t count, Scratch& scratch) {
        scratch.sums.resize(count * output_count());
        layout_->sum(trees, tile, count, scratch, scratch.sums.data());
        visit(first, scratch.sums);
      });
}

void Scorer::leaves(const table::RowBlock& block, std::span<int32_t> leaves) const {
  const size_t trees = tree_count();
  CHECK(leaves.size() == block.row_count * trees);
  layout_->for_each_tile(block, [&](const auto& forest, const auto* tile, size_t first,
                                    size_t count, Scratch& scratch) {
    for (size_t tree = 0; tree < trees; ++tree) {
      forest.walk(tree, tile, count, scratch.walk);
      int32_t* to = leaves.data() + first * trees + tree;
      for (size_t row = 0; row < count; ++row) {
        to[row * trees] = forest.node_index(tree, scratch.walk.places[row]);
      }
    }
  });
}

}  // namespace evergrove::score
