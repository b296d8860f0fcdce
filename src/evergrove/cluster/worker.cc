// A shard's place in the run is what its RowStore has been through: iterations, trees of the
// iteration at hand, the root round of the tree at hand, expansions. bring_up() leads it from
// wherever it is to where the run is; a shard that is ahead (a plan was said again) is left there,
// for what is ahead was decided and will be decided the same again.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/worker.h"

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/cluster/mutation.h"
#include "evergrove/train/run_history.h"
#include "evergrove/trees/column_sample.h"
#include "evergrove/trees/histogram_block.h"

namespace evergrove::cluster {

using trees::Histogram;

struct Worker::Shard {
  std::unique_ptr<train::RowStore> rows;
  uint64_t epoch = 0;     // in which the following was so
  size_t finished = 0;    // trees of the iteration at hand
  uint64_t begun = 0;     // root round of the tree at hand
  size_t expansions = 0;  // of it
  train::RoundingTally tally;
};

Worker::Worker(std::string name, std::string address, RunSetup setup)
    : name_(std::move(name)),
      address_(std::move(address)),
      setup_(std::move(setup)),
      options_(train::growth_options(setup_.header)),
      blocks_(make_blocks(setup_.header.features)) {
  uint32_t bins = 0;
  for (const model::Feature& feature : setup_.header.features) {
    offsets_.push_back(bins);
    bins += feature.bin_count();
  }
  offsets_.push_back(bins);
  pool_ = std::make_unique<trees::HistogramPool>(bins);
  for (const Block& block : blocks_) {
    for (uint32_t& offset : block_offsets_.emplace_back(offsets_)) offset -= block.bin_begin;
  }
}

Worker::~Worker() = default;

void Worker::send(std::string to, Body body) {
  actions_.emplace_back(SendAction{std::move(to), Message{epoch_, std::move(body)}});
}

std::vector<uint32_t> Worker::shards() const {
  std::vector<uint32_t> ids;
  for (const auto& [id, shard] : shards_) ids.push_back(id);
  return ids;
}

Join Worker::own_join() const { return {name_, address_, threads_, shards()}; }

// Of a member that cannot go on as one: the coordinator will tell it all that it lacks.
void Worker::join_again() {
  is_member_ = false;
  send("", own_join());
}

std::vector<WorkerAction> Worker::join(uint32_t threads) {
  threads_ = threads;
  send("", own_join());
  return std::exchange(actions_, {});
}

std::vector<WorkerAction> Worker::leave() {
  send("", Leave{});
  return std::exchange(actions_, {});
}

std::vector<WorkerAction> Worker::loaded(uint32_t id, std::unique_ptr<train::RowStore> store) {
  loading_.erase(id);
  if (!shards_.contains(id)) {
    auto shard = std::make_unique<Shard>();
    shard->rows = std::move(store);
    shards_.emplace(id, std::move(shard));
  }
  send("", Loaded{{id}});
  return std::exchange(actions_, {});
}

std::vector<WorkerAction> Worker::load_failed(uint32_t id, const std::string& reason) {
  loading_.erase(id);
  send("", LoadFailed{{id}, reason});
  return std::exchange(actions_, {});
}

std::vector<WorkerAction> Worker::receive(const Message& message) {
  // One that was overtaken, and may not know it.
  if (message.epoch < epoch_ && !is_broken(Mutation::heed_old_epoch)) return {};
  if (message.epoch > epoch_) {
    epoch_ = message.epoch;
    view_ = {};
    is_member_ = false;
    last_round_ = 0;
    open_.clear();
    order_.clear();
    if (!is_broken(Mutation::keep_sums_of_old_epoch)) sums_.clear();
    if (!is_broken(Mutation::keep_splits_of_old_epoch)) told_.clear();
    histograms_.clear();
    histograms_of_ = 0;
    // Views are numbered anew.
    if (!is_broken(Mutation::keep_early_parts_of_old_epoch)) early_.clear();
  }
  if (const auto* load = std::get_if<LoadShards>(&message.body)) {
    std::vector<uint32_t> wanted;
    for (uint32_t id : load->shards) {
      if (shards_.contains(id)) {
        send("", Loaded{{id}});
      } else if (loading_.insert(id).second) {
        wanted.push_back(id);
      }
    }
    if (!wanted.empty()) actions_.emplace_back(LoadAction{std::move(wanted)});
  } else if (const auto* plan = std::get_if<Plan>(&message.body)) {
    take_plan(*plan);
  } else if (const auto* next = std::get_if<NextRound>(&message.body)) {
    // One that is missing in between will be in a plan.
    const bool follows =
        next->round.number == last_round_ + 1 ||
        (is_broken(Mutation::take_round_after_gap) && next->round.number > last_round_);
    if (is_member_ && next->view == view_.number && follows) {
      do_round(next->round);
    }
  } else if (const auto* part = std::get_if<Part>(&message.body)) {
    take_part(*part);
  } else if (std::holds_alternative<Rejoin>(message.body)) {
    join_again();
  } else if (const auto* goodbye = std::get_if<Goodbye>(&message.body)) {
    actions_.emplace_back(
        StopAction{goodbye->reason.empty() ? Status() : interrupted(goodbye->reason)});
  }
  return std::exchange(actions_, {});
}

bool Worker::owns(uint32_t block) const {
  return is_member_ && block < view_.block_owners.size() && view_.block_owners[block] == place_;
}

uint64_t Worker::tree_index() const {
  return state_.iteration * setup_.header.base_margins.size() + state_.finished.size();
}

void Worker::take_plan(const Plan& plan) {
  // One that is late: what was decided after it is known here already.
  const bool is_late = plan.view.number < view_.number ||
                       (plan.view.number == view_.number && plan.last_round < last_round_);
  if (is_late && !is_broken(Mutation::take_late_plan)) return;
  if (plan.first_iteration > iterations_.size()) return;  // cannot follow; the join is said again
  const bool is_new = plan.view.number > view_.number;
  view_ = plan.view;
  if (is_new && !is_broken(Mutation::keep_sums_over_view)) sums_.clear();
  is_member_ = false;
  active_.clear();
  contributors_ = 0;
  for (size_t i = 0; i < view_.members.size(); ++i) {
    const Member& member = view_.members[i];
    contributors_ += !member.shards.empty();
    if (member.name != name_) continue;
    is_member_ = true;
    place_ = i;
    active_ = member.shards;
  }
  iterations_.resize(std::min<size_t>(iterations_.size(), plan.first_iteration));
  iterations_.insert(iterations_.end(), plan.iterations.begin(), plan.iterations.end());
  state_ = plan.state;
  if (iterations_.size() < state_.iteration) {
    join_again();
    return;
  }
  iterations_.resize(state_.iteration);
  columns_ = trees::tree_columns(setup_.header.features.size(), options_, tree_index());
  open_.clear();
  order_.clear();
  std::erase_if(histograms_, [&](const auto& entry) { return !owns(entry.first.first); });
  if (!is_broken(Mutation::keep_splits_of_lost_block)) {
    std::erase_if(told_, [&](const auto& entry) { return !owns(entry.first.second); });
  }
  if (!is_member_) return;
  for (uint32_t id : active_) {
    if (!shards_.contains(id)) {  // the coordinator is mistaken about what we hold
      join_again();
      return;
    }
  }
  for (const Round& round : plan.rounds) do_round(round);
  last_round_ = plan.last_round;
  std::vector<Part> early = std::exchange(early_, {});
  for (Part& part : early) take_part(part);
}

// Of rounds of another tree, or of a scale that was not to be.
void Worker::forget_before(uint64_t round) {
  if (is_broken(Mutation::remember_all_rounds)) return;
  std::erase_if(open_, [&](const auto& entry) { return entry.first < round; });
  std::erase_if(order_, [&](uint64_t number) { return number < round; });
  std::erase_if(sums_, [&](const auto& entry) { return entry.first.first < round; });
  std::erase_if(told_, [&](const auto& entry) { return entry.first.first < round; });
}

void Worker::bring_up(Shard& shard) {
  train::RowStore& rows = *shard.rows;
  if (shard.epoch != epoch_) {
    // What another coordinator had decided and not logged is decided again, from its beginning.
    if (!is_broken(Mutation::keep_iteration_of_old_epoch)) rows.drop_iteration();
    if (rows.iteration_count() > state_.iteration &&
        !is_broken(Mutation::keep_store_ahead_of_log)) {
      rows.reset();
    }
    shard = {std::move(shard.rows), epoch_, 0, 0, 0, {}};
  }
  if (rows.iteration_count() > state_.iteration) return;  // ahead
  if (rows.iteration_count() < state_.iteration) {
    const uint64_t short_by = is_broken(Mutation::replay_one_short) ? 1 : 0;
    while (rows.iteration_count() + short_by < state_.iteration) {
      train::Iteration iteration;
      iteration.index = rows.iteration_count();
      iteration.trees = iterations_[iteration.index];
      CHECK(rows.apply(iteration).ok());
    }
    shard = {std::move(shard.rows), epoch_, 0, 0, 0, {}};
  }
  if (shard.finished > state_.finished.size()) return;  // ahead
  if (shard.finished < state_.finished.size()) {
    if (shard.finished == 0) rows.drop_iteration();
    while (shard.finished < state_.finished.size()) {
      CHECK(rows.take_tree(state_.finished[shard.finished++]).ok());
    }
    shard.begun = 0;
  }
  if (state_.begun == 0 || shard.begun > state_.begun) return;
  if (shard.begun < state_.begun) {
    const auto output = static_cast<uint32_t>(state_.finished.size());
    shard.tally = rows.make_gradients(output, state_.scale);
    rows.start_tree(output);
    shard.begun = state_.begun;
    shard.expansions = 0;
  }
  const size_t left_out = is_broken(Mutation::skip_last_expansion) && shard.expansions == 0 ? 1 : 0;
  while (shard.expansions + left_out < state_.expansions.size()) {
    const Expansion& expansion = state_.expansions[shard.expansions++];
    rows.make_room(1 + std::max(expansion.left.node, expansion.right.node));
    rows.split(expansion.node, expansion.split, expansion.left.node, expansion.right.node);
  }
}

// All stores are at the tree's end before any of them is moved by its leaves.
void Worker::finish_tree(const FinishedTree& finished) {
  std::vector<train::RowStore::Leaf> leaves;
  for (const model::Node& node : finished.tree.nodes) {
    if (node.feature < 0) leaves.push_back({finished.leaves[leaves.size()], node.value});
  }
  for (uint32_t id : active_) {
    Shard& shard = *shards_[id];
    bring_up(shard);
    if (shard.rows->iteration_count() > state_.iteration) continue;
    if (shard.finished > state_.finished.size()) continue;
    CHECK(shard.rows->finish_tree(leaves, finished.tree).ok());
    ++shard.finished;
    shard.begun = 0;
    shard.expansions = 0;
    if (shard.finished == setup_.header.base_margins.size()) {
      shard.rows->end_iteration();
      shard.finished = 0;
    }
  }
  state_.finished.push_back(finished.tree);
  state_.begun = 0;
  state_.expansions.clear();
  if (state_.finished.size() == setup_.header.base_margins.size()) {
    iterations_.push_back(std::move(state_.finished));
    state_.finished.clear();
    ++state_.iteration;
  }
}

void Worker::do_round(const Round& round) {
  last_round_ = std::max(last_round_, round.number);
  if (has_facts(round.kind)) forget_before(round.number);
  if (round.finish) finish_tree(*round.finish);
  if (round.kind == RoundKind::root) {
    state_.begun = round.number;
    state_.scale = round.scale;
    state_.expansions.clear();
    columns_ = trees::tree_columns(setup_.header.features.size(), options_, tree_index());
    // A root that is said again may have been found here already.
    if (histograms_of_ != round.number) histograms_.clear();
    histograms_of_ = round.number;
  }
  state_.expansions.insert(state_.expansions.end(), round.expansions.begin(),
                           round.expansions.end());
  for (uint32_t id : active_) bring_up(*shards_[id]);
  if (open_.emplace(round.number, round).second && round.kind != RoundKind::measure) {
    order_.push_back(round.number);
  }
  if (has_facts(round.kind)) tell_facts(round);
  if (round.kind == RoundKind::measure) return;
  if (!active_.empty()) contribute(round);
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    say_again(round.number, block);
    complete(block);
  }
}

void Worker::tell_facts(const Round& round) {
  Facts facts;
  facts.view = view_.number;
  facts.round = round.number;
  const bool measures = round.kind == RoundKind::measure;
  const std::vector<std::string> names = train::metric_names(setup_.header.parameters);
  if (measures) facts.metrics.resize(setup_.weight_max_by_set.size());
  for (uint32_t id : active_) {
    Shard& shard = *shards_[id];
    facts.tally = facts.tally + shard.tally;
    if (!measures) continue;
    facts.largest_gradient = std::max(facts.largest_gradient, shard.rows->largest_gradient());
    const auto summaries = shard.rows->metrics(names, setup_.weight_max_by_set);
    for (size_t i = 0; i < summaries.size(); ++i) facts.metrics[i].merge(summaries[i]);
  }
  send("", std::move(facts));
}

// The histograms that a round asks for, over all active shards, to the owners of the blocks.
void Worker::contribute(const Round& round) {
  std::vector<uint32_t> nodes = round.nodes;
  if (round.kind == RoundKind::root) nodes = {0};
  if (round.kind == RoundKind::expand) {
    for (const Expansion& expansion : round.expansions) {
      if (expansion.is_searched()) nodes.push_back(expansion.smaller().node);
    }
  }
  std::vector<uint32_t> wanted = round.blocks;
  if (round.kind != RoundKind::rebuild) {
    for (uint32_t block = 0; block < blocks_.size(); ++block) wanted.push_back(block);
  }
  // Own blocks are added where they are; the others' go out as bytes.
  std::vector<Part> parts(wanted.size());
  std::vector<Sum*> own(wanted.size(), nullptr);
  for (size_t i = 0; i < wanted.size(); ++i) {
    parts[i] = {view_.number, round.number, wanted[i], name_, {}};
    if (owns(wanted[i])) own[i] = sum_for(parts[i]);
  }
  std::vector<trees::HistogramPart> rows;
  for (uint32_t node : nodes) {
    rows.clear();
    for (uint32_t id : active_) {
      // A store that did not know it would be missing in the sum without anybody's notice.
      CHECK(shards_[id]->rows->knows(node));
      rows.push_back(shards_[id]->rows->histogram_part(node, columns_));
    }
    std::unique_ptr<Histogram> histogram = trees::build_histogram(rows, *pool_);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Block& block = blocks_[wanted[i]];
      if (own[i] != nullptr) {
        trees::add_range(*histogram, block.bin_begin, node_sum(*own[i], block, node));
      } else if (!owns(wanted[i])) {
        parts[i].nodes.push_back(
            {node, trees::encode_block(*histogram, block.bin_begin, block.bin_end)});
      }
    }
    pool_->give_back(std::move(histogram));
  }
  for (Part& part : parts) {
    if (owns(part.block)) continue;
    const std::string& owner = view_.members[view_.block_owners[part.block]].name;
    send(owner, std::move(part));
  }
}

// Where a part is to be added; null if it was, or if what it is for is done.
Worker::Sum* Worker::sum_for(const Part& part) {
  if (told_.contains({part.round, part.block})) return nullptr;
  Sum& sum = sums_[{part.round, part.block}];
  const bool is_first = sum.from.insert(part.from).second;
  return is_first || is_broken(Mutation::count_part_twice) ? &sum : nullptr;
}

Histogram& Worker::node_sum(Sum& sum, const Block& block, uint32_t node) const {
  auto [place, is_new] = sum.nodes.try_emplace(node);
  if (is_new) place->second = trees::wide_histogram(block.bin_end - block.bin_begin);
  return place->second;
}

void Worker::take_part(const Part& part) {
  if (part.block >= blocks_.size()) return;
  if (part.view < view_.number && !is_broken(Mutation::take_part_of_old_view)) return;
  if (!is_member_ && part.view == view_.number) return;
  // Of a view or a round that we have not heard of yet: it counts once we have.
  if (part.view > view_.number) {
    const bool is_kept = early_.size() < kEarlyMax && !is_broken(Mutation::forget_early_parts);
    if (is_kept) early_.push_back(part);
    return;
  }
  if (!owns(part.block)) return;
  if (Sum* sum = sum_for(part)) {
    for (const Part::Node& node : part.nodes) {
      const Status added =
          trees::add_block(node.histogram, node_sum(*sum, blocks_[part.block], node.node));
      if (!added.ok()) {
        actions_.emplace_back(StopAction{added});
        return;
      }
    }
  }
  complete(part.block);
}

trees::Split Worker::search(uint32_t block_index, const Histogram& histogram, uint32_t depth,
                            uint64_t path, const trees::Sums& sums) const {
  const Block& block = blocks_[block_index];
  const trees::GradientUnits units =
      train::gradient_units(setup_.header.parameters.objective, setup_.header.base_margins.size(),
                            setup_.weight_facts, state_.scale);
  const trees::SplitSearch search{block_offsets_[block_index], setup_.header.features, units,
                                  &options_};
  std::vector<uint32_t> columns =
      trees::node_columns(columns_, options_, tree_index(), depth, path);
  std::erase_if(columns, [&](uint32_t column) {
    return column < block.feature_begin || column >= block.feature_end;
  });
  return columns.empty() ? trees::Split{} : search.best(histogram, sums, columns);
}

void Worker::say_again(uint64_t round, uint32_t block) {
  const auto told = told_.find({round, block});
  if (told == told_.end() || is_broken(Mutation::forget_told_splits)) return;
  told->second.view = view_.number;
  send("", told->second);
}

// Rounds are completed in their order, block by block: one needs the histograms of those before.
void Worker::complete(uint32_t block) {
  if (!owns(block)) return;
  for (uint64_t number : order_) {
    const Round& round = open_.at(number);
    const bool has_block = round.kind != RoundKind::rebuild ||
                           std::count(round.blocks.begin(), round.blocks.end(), block) > 0;
    if (!has_block || told_.contains({number, block})) continue;
    if (!complete(number, block) && !is_broken(Mutation::complete_out_of_order)) return;
  }
}

// Finds and says the splits of a block, if all members' parts are there.
bool Worker::complete(uint64_t number, uint32_t block) {
  const Key key(number, block);
  const auto found = sums_.find(key);
  const auto round = open_.find(number);
  if (found == sums_.end()) return false;
  Sum& sum = found->second;
  const size_t missed = is_broken(Mutation::say_one_contributor_early) ? 1 : 0;
  if (sum.from.size() + missed < contributors_) return false;
  Splits splits{view_.number, number, block, {}, {}};
  const auto searched = [&](uint32_t node, const Expansion::Child& child, const Histogram& from) {
    splits.splits.push_back({node, search(block, from, child.depth, child.path, child.sums)});
  };
  if (round->second.kind == RoundKind::root) {
    Histogram& root = sum.nodes[0];
    // Every row is in a bin of each feature that was built, so one of them has the sums of all.
    for (uint32_t column : columns_) {
      if (column < blocks_[block].feature_begin || column >= blocks_[block].feature_end) continue;
      const std::vector<uint32_t>& offsets = block_offsets_[block];
      for (uint32_t bin = offsets[column]; bin < offsets[column + 1]; ++bin) {
        splits.root = splits.root + root.at(bin);
      }
      break;
    }
    const Expansion::Child child{0, 0, 1, splits.root, true};
    searched(0, child, root);
    histograms_[{block, 0}] = std::move(root);
  } else if (round->second.kind == RoundKind::rebuild) {
    for (auto& [node, histogram] : sum.nodes) histograms_[{block, node}] = std::move(histogram);
  } else {
    for (const Expansion& expansion : round->second.expansions) {
      const auto parent = histograms_.find({block, expansion.node});
      CHECK(parent != histograms_.end());
      const Expansion::Child& small = expansion.smaller();
      const Expansion::Child& large = expansion.larger();
      if (expansion.is_searched()) {
        Histogram& built = sum.nodes[small.node];
        Histogram rest = parent->second;
        for (size_t bin = 0; bin < rest.g.size(); ++bin) {
          rest.g[bin] -= built.g[bin];
          rest.h[bin] -= built.h[bin];
          rest.count[bin] -= built.count[bin];
        }
        if (small.is_searched) searched(small.node, small, built);
        if (large.is_searched) searched(large.node, large, rest);
        histograms_[{block, small.node}] = std::move(built);
        histograms_[{block, large.node}] = std::move(rest);
      }
      histograms_.erase({block, expansion.node});
    }
  }
  sums_.erase(found);
  told_[key] = splits;
  send("", std::move(splits));
  return true;
}

}  // namespace evergrove::cluster
