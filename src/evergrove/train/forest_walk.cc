// A bin is given back as a number that lies in it (its upper cut), which goes left of a cut exactly
// where the bin does, so that the scorer's own codes and kernels do the rest.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/forest_walk.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace evergrove::train {
namespace {

// Rows at once: as many as their values take this much memory.
constexpr size_t kBlockBytes = size_t{4} << 20;
constexpr size_t kBlockRowsMin = 256;
constexpr size_t kBlockRowsMax = size_t{1} << 14;

// Sets `to` to the values of the rows' bins from first_row on. of_bin: by bin.
template <typename Bin, typename Value>
void fill_values(const bins::BinMatrix& bins, size_t feature, size_t first_row,
                 std::span<const Value> of_bin, std::span<Value> to) {
  if (bins.has_columns()) {
    std::vector<Bin> column(to.size());
    bins.copy_column(feature, first_row, std::span<Bin>(column));
    std::transform(column.begin(), column.end(), to.begin(), [&](Bin bin) { return of_bin[bin]; });
    return;
  }
  const bins::RowLayout& layout = bins.layout();
  const uint32_t cell = layout.cell(feature);
  std::vector<Value> of_cell;  // by the cell's value
  for (uint32_t value = 0; value < layout.value_count(cell); ++value) {
    of_cell.push_back(of_bin[layout.bin(feature, value)]);
  }
  const size_t stride = bins.row_stride();
  const Bin* const cells = bins.rows<Bin>() + first_row * stride + cell;
  for (size_t row = 0; row < to.size(); ++row) to[row] = of_cell[cells[row * stride]];
}

}  // namespace

std::span<const std::vector<model::Tree>> ForestWalk::next_batch(
    std::span<const std::vector<model::Tree>> iterations) {
  size_t tree_count = 0;
  size_t node_count = 0;
  size_t count = 0;
  for (const std::vector<model::Tree>& trees : iterations) {
    tree_count += trees.size();
    for (const model::Tree& tree : trees) node_count += tree.nodes.size();
    if (count > 0 && (tree_count > kTreesMax || node_count > kNodesMax)) break;
    ++count;
  }
  return iterations.first(count);
}

Result<trees::BinnedTree> binned_tree(const model::Tree& tree, const RunHeader& header) {
  if (tree.output >= header.base_margins.size()) {
    return corrupt("A tree belongs to an output that the run does not have",
                   {{"output", std::to_string(tree.output)}});
  }
  return trees::BinnedTree::make(tree, header.features);
}

Result<ForestWalk> ForestWalk::make(std::span<const std::vector<model::Tree>> iterations,
                                    const RunHeader& header) {
  model::Model model;
  for (const std::vector<model::Tree>& trees : iterations) {
    model.trees.insert(model.trees.end(), trees.begin(), trees.end());
  }
  const bool are_few = model.trees.size() < kTreesMin;
  ForestWalk walk;
  for (const model::Tree& tree : model.trees) {
    EVERGROVE_ASSIGN_OR_RETURN(trees::BinnedTree binned, binned_tree(tree, header));
    if (are_few) walk.few_.push_back({tree.output, std::move(binned)});
  }
  if (are_few) return walk;
  model.objective = header.base_margins.size() == 1 ? model::ObjectiveKind::binary
                                                    : model::ObjectiveKind::multiclass;
  model.features = header.features;
  model.base_margins.assign(header.base_margins.size(), 0);
  EVERGROVE_RETURN_IF_ERROR(model::validate(model));
  walk.lay_out(model);
  return walk;
}

void ForestWalk::lay_out(const model::Model& model) {
  feature_count_ = model.features.size();
  scorer_.emplace(model);
  for (const size_t index : scorer_->used_features()) {
    const model::Feature& feature = model.features[index];
    Values values{index, {}, {}, {}};
    if (feature.kind == table::ColumnKind::numeric) {
      values.numbers.push_back(std::numeric_limits<double>::quiet_NaN());
      values.numbers.insert(values.numbers.end(), feature.cuts.begin(), feature.cuts.end());
      values.numbers.push_back(std::numeric_limits<double>::infinity());
    } else {
      for (uint32_t bin = 0; bin < feature.bin_count(); ++bin) {
        values.codes.push_back(static_cast<int32_t>(bin) - 1);
      }
      values.dictionary = feature.categories;
    }
    values_.push_back(std::move(values));
  }
}

void ForestWalk::add(const bins::BinMatrix& bins, Margins& margins) const {
  for (const OneTree& each : few_) each.tree.add(bins, {}, margins.of(each.output));
  if (scorer_) score(bins, margins);
}

void ForestWalk::score(const bins::BinMatrix& bins, Margins& margins) const {
  const size_t outputs = scorer_->output_count();
  const size_t row_bytes = sizeof(double) * std::max<size_t>(1, values_.size());
  const size_t rows_max = std::clamp(kBlockBytes / row_bytes, kBlockRowsMin, kBlockRowsMax);
  table::RowBlock block;
  block.columns.resize(feature_count_);
  for (const Values& values : values_) block.columns[values.feature].dictionary = values.dictionary;
  std::vector<std::vector<double>> numbers(values_.size());
  std::vector<std::vector<int32_t>> codes(values_.size());
  for (size_t first = 0; first < bins.row_count(); first += rows_max) {
    block.row_count = std::min(rows_max, bins.row_count() - first);
    tbb::parallel_for(size_t{0}, values_.size(), [&](size_t i) {
      const Values& values = values_[i];
      table::ColumnValues& column = block.columns[values.feature];
      const auto fill = [&]<typename Value>(const std::vector<Value>& of_bin,
                                            std::vector<Value>& to) {
        to.resize(block.row_count);
        bins.bin_bytes() == 1
            ? fill_values<uint8_t, Value>(bins, values.feature, first, of_bin, to)
            : fill_values<uint16_t, Value>(bins, values.feature, first, of_bin, to);
      };
      if (values.codes.empty()) {
        fill(values.numbers, numbers[i]);
        column.f64 = numbers[i];
      } else {
        fill(values.codes, codes[i]);
        column.codes = codes[i];
      }
    });
    scorer_->for_each_margins(block, [&](size_t at, std::span<const int64_t> sums) {
      for (size_t output = 0; output < outputs; ++output) {
        const auto to = margins.of(output).subspan(first + at, sums.size() / outputs);
        for (size_t row = 0; row < to.size(); ++row) to[row] += sums[row * outputs + output];
      }
    });
  }
}

}  // namespace evergrove::train
