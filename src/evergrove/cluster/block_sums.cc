// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/block_sums.h"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/trees/column_sample.h"
#include "evergrove/trees/histogram_block.h"
#include "evergrove/trees/split.h"

namespace evergrove::cluster {

using trees::Histogram;

std::vector<BuiltNode> built_nodes(const Round& round) {
  std::vector<BuiltNode> nodes;
  nodes.reserve(1 + round.nodes.size() + round.expansions.size());
  if (round.kind == RoundKind::root) nodes.push_back({});
  for (uint32_t node : round.nodes) nodes.push_back({.node = node});
  for (const Expansion& expansion : round.expansions) {
    const Expansion::Child& smaller = expansion.smaller();
    if (expansion.is_searched()) nodes.push_back({smaller.node, smaller.sums.count});
  }
  return nodes;
}

BlockSums::BlockSums(const RunSetup& setup, std::span<const Block> blocks,
                     const trees::GrowthOptions& options)
    : setup_(setup), blocks_(blocks), options_(options), histograms_(blocks.size()) {
  std::vector<uint32_t> offsets = {0};
  for (const model::Feature& feature : setup.header.features) {
    offsets.push_back(offsets.back() + feature.bin_count());
  }
  for (const Block& block : blocks) {
    for (uint32_t& offset : offsets_.emplace_back(offsets)) offset -= block.bin_begin;
    pools_.push_back(std::make_shared<trees::HistogramPool>(block.bin_end - block.bin_begin));
  }
}

void BlockSums::start_tree(uint64_t root_round, uint64_t tree_index,
                           const train::GradientScale& scale) {
  // A root that is said again may have been found here already.
  if (root_round_ != root_round) {
    for (uint32_t block = 0; block < blocks_.size(); ++block) drop_histograms(block);
  }
  root_round_ = root_round;
  tree_index_ = tree_index;
  wide_ = scale.wide;
  units_ = train::gradient_units(setup_.header.parameters.objective,
                                 setup_.header.base_margins.size(), setup_.weight_facts, scale);
  columns_ = trees::tree_columns(setup_.header.features.size(), options_, tree_index);
  block_columns_.assign(blocks_.size(), {});
  for (size_t i = 0; i < blocks_.size(); ++i) {
    for (uint32_t column : columns_) {
      const bool is_in = column >= blocks_[i].feature_begin && column < blocks_[i].feature_end;
      if (is_in) block_columns_[i].push_back(column);
    }
  }
}

bool BlockSums::begin(const Round& round, uint32_t block, const std::string& from) {
  const auto [place, is_new] = sums_.try_emplace({round.number, block});
  Sum& sum = place->second;
  if (is_new) {
    sum.nodes = built_nodes(round);
    sum.histograms.reserve(sum.nodes.size());
    for (const BuiltNode& built : sum.nodes) {
      const bool packed = !wide_ && built.rows_max <= int64_t{trees::kPackedRows};
      sum.histograms.push_back(pools_[block]->take_unset(packed));
    }
    sum.has_rows.assign(sum.nodes.size(), 0);
  }
  if (std::find(sum.from.begin(), sum.from.end(), from) != sum.from.end()) return false;
  sum.from.push_back(from);
  return true;
}

void BlockSums::add(const Round& round, uint32_t block, size_t node_place,
                    const Histogram& histogram) {
  Sum& sum = sums_.at({round.number, block});
  const auto add = sum.has_rows[node_place] != 0 ? trees::add_range : trees::set_range;
  add(histogram, blocks_[block].bin_begin, *sum.histograms[node_place]);
  sum.has_rows[node_place] = 1;
}

trees::HistogramPiece BlockSums::piece(const Round& round, uint32_t block, size_t node_place) {
  Sum& sum = sums_.at({round.number, block});
  Histogram& to = *sum.histograms[node_place];
  const bool is_unset = std::exchange(sum.has_rows[node_place], 1) == 0;
  return {blocks_[block].bin_end, to.sums(0, to.bin_count()), is_unset};
}

Status BlockSums::check(const Sum& sum, std::span<const Part::Node> nodes) {
  // What is left out would be missing in the sum without anybody's notice.
  bool fits = nodes.size() == sum.nodes.size();
  for (size_t i = 0; fits && i < nodes.size(); ++i) fits = nodes[i].node == sum.nodes[i].node;
  if (!fits) return corrupt("A worker has sent histograms of other nodes than the round asks for");
  return {};
}

Status BlockSums::add(const Part::Node& node, size_t place, Sum& sum) {
  Histogram& to = *sum.histograms[place];
  const bool is_unset = std::exchange(sum.has_rows[place], 1) == 0;
  if (node.is_words) return trees::add_block_words(node.histogram.view, to, is_unset);
  if (is_unset) trees::clear(to);
  return trees::add_block(node.histogram.view, to);
}

Status BlockSums::add(const Round& round, uint32_t block, std::span<const Part::Node> nodes) {
  Sum& sum = sums_.at({round.number, block});
  EVERGROVE_RETURN_IF_ERROR(check(sum, nodes));
  for (size_t i = 0; i < nodes.size(); ++i) {
    EVERGROVE_RETURN_IF_ERROR(add(nodes[i], i, sum));
  }
  return {};
}

Status BlockSums::add_last(const Round& round, uint32_t block, std::vector<Part::Node> nodes) {
  Sum& sum = sums_.at({round.number, block});
  EVERGROVE_RETURN_IF_ERROR(check(sum, nodes));
  sum.last = std::move(nodes);
  return {};
}

Status BlockSums::add_last(size_t place, Sum& sum) {
  return sum.last.empty() ? Status() : add(sum.last[place], place, sum);
}

std::shared_ptr<Histogram> BlockSums::lend(uint32_t block, bool packed) const {
  const auto& pool = pools_[block];
  return {pool->take_unset(packed).release(),
          [pool](Histogram* histogram) { pool->give_back(std::unique_ptr<Histogram>(histogram)); }};
}

size_t BlockSums::contributor_count(uint64_t round, uint32_t block) const {
  const auto found = sums_.find({round, block});
  return found == sums_.end() ? 0 : found->second.from.size();
}

void BlockSums::give_back(uint32_t block, std::unique_ptr<Histogram> histogram) {
  pools_[block]->give_back(std::move(histogram));
}

void BlockSums::give_back(uint32_t block, Sum& sum) {
  for (auto& histogram : sum.histograms) give_back(block, std::move(histogram));
}

void BlockSums::keep(uint32_t block, uint32_t node, std::unique_ptr<Histogram> histogram) {
  std::unique_ptr<Histogram>& place = histograms_[block][node];
  if (place) {
    give_back(block, std::move(place));
  } else {
    ++histogram_count_;
  }
  place = std::move(histogram);
}

std::unique_ptr<Histogram> BlockSums::take(uint32_t block, uint32_t node) {
  CHECK(node < histograms_[block].size() && histograms_[block][node] != nullptr);
  --histogram_count_;
  return std::move(histograms_[block][node]);
}

// Every row is in a bin of each feature that was built, so one of them has the sums of all.
trees::Sums BlockSums::root_sums(uint32_t block, const Histogram& root) const {
  trees::Sums sums;
  if (block_columns_[block].empty()) return sums;
  const uint32_t column = block_columns_[block].front();
  for (uint32_t bin = offsets_[block][column]; bin < offsets_[block][column + 1]; ++bin) {
    sums = sums + root.at(bin);
  }
  return sums;
}

trees::Split BlockSums::search(uint32_t block, const Histogram& histogram,
                               const Expansion::Child& child) const {
  const trees::SplitSearch search{offsets_[block], setup_.header.features, units_, &options_};
  if (options_.columns_by_level >= 1 && options_.columns_by_node >= 1) {
    const std::vector<uint32_t>& all = block_columns_[block];
    return all.empty() ? trees::Split{} : search.best(histogram, child.sums, all);
  }
  std::vector<uint32_t> columns =
      trees::node_columns(columns_, options_, tree_index_, child.depth, child.path);
  std::erase_if(columns, [&](uint32_t column) {
    return column < blocks_[block].feature_begin || column >= blocks_[block].feature_end;
  });
  return columns.empty() ? trees::Split{} : search.best(histogram, child.sums, columns);
}

// One split for all nodes of a level: the block's best, and what it is in each node.
void BlockSums::search_level(uint32_t block, const Level& level, Splits& splits) const {
  const trees::SplitSearch search{offsets_[block], setup_.header.features, units_, &options_};
  std::vector<uint32_t> columns =
      trees::level_columns(columns_, options_, tree_index_, level.depth);
  std::erase_if(columns, [&](uint32_t column) {
    return column < blocks_[block].feature_begin || column >= blocks_[block].feature_end;
  });
  if (columns.empty() || level.nodes.empty()) return;
  std::vector<const Histogram*> histograms;
  std::vector<trees::Sums> sums;
  for (const Level::Node& each : level.nodes) {
    CHECK(each.node < histograms_[block].size() && histograms_[block][each.node] != nullptr);
    histograms.push_back(histograms_[block][each.node].get());
    sums.push_back(each.sums);
  }
  const trees::Split shared = search.best_shared(histograms, sums, columns);
  if (!shared.found()) return;
  splits.shared_gain = shared.gain;
  for (size_t i = 0; i < sums.size(); ++i) {
    splits.splits.push_back({level.nodes[i].node, search.apply(shared, *histograms[i], sums[i])});
  }
}

Result<Splits> BlockSums::finish(const Round& round, uint32_t block) {
  auto found = sums_.extract(Key(round.number, block));
  CHECK(!found.empty());
  Sum& sum = found.mapped();
  Splits splits;
  splits.round = round.number;
  splits.block = block;
  uint32_t node_count = 1;
  for (const Expansion& expansion : round.expansions) {
    node_count = std::max({node_count, expansion.left.node + 1, expansion.right.node + 1});
  }
  for (uint32_t node : round.nodes) node_count = std::max(node_count, node + 1);
  if (histograms_[block].size() < node_count) histograms_[block].resize(node_count);
  if (round.kind == RoundKind::rebuild) {
    for (size_t i = 0; i < sum.nodes.size(); ++i) {
      EVERGROVE_RETURN_IF_ERROR(add_last(i, sum));
      keep(block, sum.nodes[i].node, std::move(sum.histograms[i]));
    }
    return splits;
  }
  if (round.kind == RoundKind::root) {
    EVERGROVE_RETURN_IF_ERROR(add_last(0, sum));
    splits.root = root_sums(block, *sum.histograms[0]);
    if (!is_symmetric()) {
      const Expansion::Child child{0, 0, 1, splits.root, true};
      splits.splits.push_back({0, search(block, *sum.histograms[0], child)});
    }
    keep(block, 0, std::move(sum.histograms[0]));
    if (is_symmetric()) search_level(block, {0, {{0, splits.root}}}, splits);
    return splits;
  }
  // The parents' histograms are taken and the children's put in one after the other; in between
  // the nodes have nothing to do with one another.
  struct Work {
    const Expansion* expansion;
    std::unique_ptr<Histogram> large;  // at first the parent's
    Histogram* small;
    trees::Split small_split, large_split;
    Status added;
  };
  std::vector<Work> work;
  work.reserve(round.expansions.size());
  splits.splits.reserve(2 * round.expansions.size());
  for (const Expansion& expansion : round.expansions) {
    std::unique_ptr<Histogram> parent = take(block, expansion.node);
    if (!expansion.is_searched()) {
      give_back(block, std::move(parent));
      continue;
    }
    work.push_back({&expansion, std::move(parent), sum.histograms[work.size()].get(), {}, {}, {}});
  }
  tbb::parallel_for(size_t{0}, work.size(), [&](size_t i) {
    Work& each = work[i];
    each.added = add_last(i, sum);
    const Expansion::Child& small = each.expansion->smaller();
    const Expansion::Child& large = each.expansion->larger();
    each.large = trees::subtract(std::move(each.large), *each.small,
                                 static_cast<size_t>(large.sums.count), !wide_, *pools_[block]);
    if (is_symmetric()) return;
    if (small.is_searched) each.small_split = search(block, *each.small, small);
    if (large.is_searched) each.large_split = search(block, *each.large, large);
  });
  for (size_t i = 0; i < work.size(); ++i) {
    EVERGROVE_RETURN_IF_ERROR(std::move(work[i].added));
    const auto settle = [&](const Expansion::Child& child, trees::Split& split,
                            std::unique_ptr<Histogram> histogram) {
      if (!child.is_searched) return give_back(block, std::move(histogram));
      if (!is_symmetric()) splits.splits.push_back({child.node, std::move(split)});
      keep(block, child.node, std::move(histogram));
    };
    settle(work[i].expansion->smaller(), work[i].small_split, std::move(sum.histograms[i]));
    settle(work[i].expansion->larger(), work[i].large_split, std::move(work[i].large));
  }
  if (is_symmetric()) search_level(block, round.level, splits);
  return splits;
}

std::vector<Part::Node> BlockSums::pass_on(const Round& round, uint32_t block) {
  auto found = sums_.extract(Key(round.number, block));
  CHECK(!found.empty());
  Sum& sum = found.mapped();
  const size_t bin_count = blocks_[block].bin_end - blocks_[block].bin_begin;
  std::vector<Part::Node> nodes(sum.nodes.size());
  tbb::parallel_for(size_t{0}, nodes.size(), [&](size_t i) {
    nodes[i] = {sum.nodes[i].node,
                Bytes::of(trees::encode_block(*sum.histograms[i], 0, bin_count))};
  });
  give_back(block, sum);
  return nodes;
}

void BlockSums::drop_sums() {
  for (auto& [key, sum] : sums_) give_back(key.second, sum);
  sums_.clear();
}

void BlockSums::drop_sums_before(uint64_t round) {
  while (!sums_.empty() && sums_.begin()->first.first < round) {
    give_back(sums_.begin()->first.second, sums_.begin()->second);
    sums_.erase(sums_.begin());
  }
}

void BlockSums::drop_histograms(uint32_t block) {
  for (std::unique_ptr<Histogram>& histogram : histograms_[block]) {
    if (!histogram) continue;
    --histogram_count_;
    give_back(block, std::move(histogram));
  }
  histograms_[block].clear();
}

void BlockSums::drop_all() {
  drop_sums();
  for (uint32_t block = 0; block < blocks_.size(); ++block) drop_histograms(block);
  root_round_ = 0;
}

}  // namespace evergrove::cluster
