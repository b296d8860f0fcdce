// BlockSums: the sums of members' histograms, block by block; and what the owner of a block knows
// besides, the histograms of the nodes that may still be split.
//
// A contribution counts once a member, round and block. Sums have the form that one machine's
// histograms have, packed where a node's rows are few, so that they are searched as fast. It knows
// nothing of views and of who owns what: its caller drops what is no longer to count.
//
//   BlockSums sums(setup, blocks, options);
//   sums.start_tree(round.number, tree_index, scale);
//   if (sums.begin(round, block, "w1")) sums.add(round, block, part.nodes);
//   if (sums.contributor_count(round.number, block) == 3) Splits found = sums.finish(round, block);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "evergrove/cluster/blocks.h"
#include "evergrove/cluster/message.h"
#include "evergrove/cluster/run_setup.h"
#include "evergrove/trees/growth_options.h"

namespace evergrove::cluster {

// The nodes whose histograms a round has built, in their order in it, and how many rows they have
// at most, as far as the round says it.
struct BuiltNode {
  uint32_t node = 0;
  int64_t rows_max = std::numeric_limits<int64_t>::max();
};
std::vector<BuiltNode> built_nodes(const Round& round);

class BlockSums {
 public:
  // All three outlive it.
  BlockSums(const RunSetup& setup, std::span<const Block> blocks,
            const trees::GrowthOptions& options);

  // The tree whose root round that is. Histograms of another one are forgotten.
  void start_tree(uint64_t root_round, uint64_t tree_index, const train::GradientScale& scale);
  uint64_t root_round() const { return root_round_; }
  // The features of the tree, ascending.
  std::span<const uint32_t> columns() const { return columns_; }

  // Starts to count a contribution; false if it was counted already.
  bool begin(const Round& round, uint32_t block, const std::string& from);
  // Adds a histogram over all features to a block of it; nodes by their place in built_nodes().
  // Safe for different nodes at the same time.
  void add(const Round& round, uint32_t block, size_t node_place,
           const trees::Histogram& histogram);
  // Where a block of a histogram is to be added, and whether it is set. Requires: it is, at once.
  trees::HistogramPiece piece(const Round& round, uint32_t block, size_t node_place);
  // Of so many bins as the block has, any yet; given back when nobody has it any more.
  std::shared_ptr<trees::Histogram> lend(uint32_t block, bool packed) const;
  // Adds what a member has sent; refuses bytes and nodes that are not right.
  Status add(const Round& round, uint32_t block, std::span<const Part::Node> nodes);
  // The same of the last part that is missing, of whose nodes each is added when finish() comes to
  // it, and has it in the cache. Requires: finish() follows, or the sum is dropped.
  Status add_last(const Round& round, uint32_t block, std::vector<Part::Node> nodes);
  size_t contributor_count(uint64_t round, uint32_t block) const;

  // The best splits that follow; the sums become histograms. Requires: all members have been
  // counted, and rounds before it that built this block's nodes are finished.
  // Fails on bytes that are not right.
  Result<Splits> finish(const Round& round, uint32_t block);

  // The sums of a block as bytes, for who adds further; they are gone here. Requires: begun.
  std::vector<Part::Node> pass_on(const Round& round, uint32_t block);

  void drop_all();   // sums and histograms
  void drop_sums();  // those under way
  void drop_sums_before(uint64_t round);
  void drop_histograms(uint32_t block);

  size_t sum_count() const { return sums_.size(); }
  size_t histogram_count() const { return histogram_count_; }

 private:
  using Histograms = std::vector<std::unique_ptr<trees::Histogram>>;
  struct Sum {
    std::vector<std::string> from;
    std::vector<BuiltNode> nodes;
    Histograms histograms;  // by place in nodes
    // Of each, whether anything was added; before that it is any.
    std::vector<uint8_t> has_rows;
    std::vector<Part::Node> last;  // to be added by finish()
  };
  using Key = std::pair<uint64_t, uint32_t>;  // round, block

  static Status check(const Sum& sum, std::span<const Part::Node> nodes);
  static Status add(const Part::Node& node, size_t place, Sum& sum);
  static Status add_last(size_t place, Sum& sum);
  void give_back(uint32_t block, std::unique_ptr<trees::Histogram> histogram);
  void give_back(uint32_t block, Sum& sum);
  void keep(uint32_t block, uint32_t node, std::unique_ptr<trees::Histogram> histogram);
  std::unique_ptr<trees::Histogram> take(uint32_t block, uint32_t node);
  trees::Split search(uint32_t block, const trees::Histogram& histogram,
                      const Expansion::Child& child) const;
  void search_level(uint32_t block, const Level& level, Splits& splits) const;
  bool is_symmetric() const { return options_.order == trees::GrowthOrder::symmetric; }
  trees::Sums root_sums(uint32_t block, const trees::Histogram& root) const;

  const RunSetup& setup_;
  std::span<const Block> blocks_;
  const trees::GrowthOptions& options_;
  uint64_t root_round_ = 0;
  uint64_t tree_index_ = 0;
  bool wide_ = false;
  trees::GradientUnits units_;
  std::vector<uint32_t> columns_;
  // By block:
  std::vector<std::vector<uint32_t>> block_columns_;  // of the tree
  std::vector<std::vector<uint32_t>> offsets_;        // of all features, in the block's histograms
  std::vector<std::shared_ptr<trees::HistogramPool>> pools_;
  std::vector<Histograms> histograms_;  // by node

  size_t histogram_count_ = 0;
  std::map<Key, Sum> sums_;
};

}  // namespace evergrove::cluster
