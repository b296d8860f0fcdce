// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/worker.h"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/cluster/mutation.h"
#include "evergrove/train/run_history.h"
#include "evergrove/trees/histogram_block.h"

namespace evergrove::cluster {

using trees::Histogram;

Worker::Worker(std::string name, std::string address, RunSetup setup, uint64_t memory_bytes)
    : name_(std::move(name)),
      address_(std::move(address)),
      setup_(std::move(setup)),
      options_(train::growth_options(setup_.header)),
      blocks_(make_blocks(setup_.header.features, 1)),
      pool_(blocks_.back().bin_end),
      rows_(setup_),
      memory_bytes_(memory_bytes) {
  cut_into_blocks(1);
}

Worker::~Worker() = default;

void Worker::send(std::string to, Body body) {
  actions_.emplace_back(SendAction{std::move(to), Message{place_.epoch, std::move(body)}});
}

Join Worker::own_join() const { return {name_, address_, threads_, shards(), memory_bytes_}; }

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

std::vector<WorkerAction> Worker::loaded(std::vector<ShardPiece> pieces,
                                         std::unique_ptr<train::RowStore> store) {
  std::set<uint32_t> wanted;  // still
  for (const ShardPiece& piece : pieces) {
    if (loading_.erase(piece.shard) > 0) wanted.insert(piece.shard);
  }
  if (wanted.empty()) return {};
  Loaded said{{wanted.begin(), wanted.end()}};
  rows_.add(std::move(pieces), std::move(store), wanted);
  send("", std::move(said));
  return std::exchange(actions_, {});
}

std::vector<WorkerAction> Worker::load_failed(uint32_t id, const std::string& reason) {
  loading_.erase(id);
  send("", LoadFailed{{id}, reason});
  return std::exchange(actions_, {});
}

// In a new epoch not before the plan is here: what was decided before may not be in the log.
bool Worker::keep_up() {
  const bool knows_place = view_.number > 0 || is_broken(Mutation::keep_up_before_plan);
  return place_.epoch > 0 && knows_place && rows_.keep_up(place_);
}

void Worker::start_epoch(uint64_t epoch) {
  place_.epoch = epoch;
  view_ = {};
  routes_ = {};
  passed_.clear();
  is_member_ = false;
  last_round_ = 0;
  last_load_ = 0;
  open_.clear();
  order_.clear();
  look_at_all_rounds();
  if (!is_broken(Mutation::keep_sums_of_old_epoch)) sums_->drop_all();
  if (!is_broken(Mutation::keep_splits_of_old_epoch)) told_.clear();
  // Views are numbered anew.
  if (!is_broken(Mutation::keep_early_parts_of_old_epoch)) early_.clear();
}

std::vector<WorkerAction> Worker::receive(const Message& message) {
  // One that was overtaken, and may not know it.
  if (message.epoch < place_.epoch && !is_broken(Mutation::heed_old_epoch)) return {};
  if (message.epoch > place_.epoch) start_epoch(message.epoch);
  if (const auto* load = std::get_if<LoadShards>(&message.body)) {
    this->load(*load);
  } else if (const auto* plan = std::get_if<Plan>(&message.body)) {
    take_plan(*plan);
  } else if (const auto* next = std::get_if<NextRound>(&message.body)) {
    // One that is missing in between will be in a plan.
    const bool follows =
        next->round.number == last_round_ + 1 ||
        (is_broken(Mutation::take_round_after_gap) && next->round.number > last_round_);
    if (is_member_ && next->view == view_.number && follows) {
      do_round(next->round);
      take_early_parts();
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

void Worker::load(const LoadShards& load) {
  if (load.number < last_load_ && !is_broken(Mutation::heed_late_load)) return;
  last_load_ = load.number;
  std::set<uint32_t> wanted(load.shards.begin(), load.shards.end());
  wanted.insert(load.kept.begin(), load.kept.end());
  const auto is_unwanted = [&](uint32_t id) { return !wanted.contains(id); };
  // The coordinator does not know of a shard that counts: it is mistaken about what is held here,
  // and so about what there is room for.
  if (is_member_) {
    const std::vector<uint32_t>& counted = view_.members[member_].shards;
    if (std::any_of(counted.begin(), counted.end(), is_unwanted)) return send("", own_join());
  } else {
    rows_.set_counted({});
  }
  std::erase_if(loading_, is_unwanted);
  for (uint32_t id : shards()) {
    if (is_unwanted(id) && !is_broken(Mutation::keep_what_is_given_back)) rows_.give_back(id);
  }
  std::vector<uint32_t> missing;
  for (uint32_t id : load.shards) {
    if (rows_.has(id)) {
      send("", Loaded{{id}});
    } else if (loading_.insert(id).second) {
      missing.push_back(id);
    }
  }
  if (!missing.empty()) {
    actions_.emplace_back(
        LoadAction{std::move(missing), std::make_shared<const DecidedTrees>(place_.iterations)});
  }
}

// Nothing of before fits; between two trees nothing of it is needed.
void Worker::cut_into_blocks(size_t count) {
  blocks_ = make_blocks(setup_.header.features, count);
  sums_.emplace(setup_, blocks_, options_);
  told_.clear();
  passed_.clear();
  look_at_all_rounds();
}

// The rounds there are, or what is done of them, are others than before.
void Worker::look_at_all_rounds() { done_counts_.assign(blocks_.size(), 0); }

// Whether nothing more is to be added up: it was told, or passed on in this view.
bool Worker::is_done(uint64_t round, uint32_t block) const {
  return told_.contains({round, block}) || passed_.contains({round, block});
}

// Who adds a block's parts of this member.
const std::string& Worker::next(uint32_t block) const {
  return view_.members[routes_.next(block)].name;
}

uint64_t Worker::tree_index() const {
  return place_.state.iteration * setup_.header.base_margins.size() + place_.state.finished.size();
}

// Whose rows count, and who owns what.
void Worker::take_view(const View& view) {
  const bool is_new = view.number > view_.number;
  view_ = view;
  const size_t block_count = view.block_owners.size();
  const size_t most = std::min(kBlocksMax, setup_.header.features.size());
  if (block_count == 0 || block_count > most) {  // of a view that there cannot be
    is_member_ = false;
    routes_ = {};
    return;
  }
  if (block_count != blocks_.size()) cut_into_blocks(block_count);
  if (is_new && !is_broken(Mutation::keep_sums_over_view)) sums_->drop_sums();
  if (is_new && !is_broken(Mutation::keep_passed_over_view)) passed_.clear();
  look_at_all_rounds();
  is_member_ = false;
  routes_ = {};
  std::vector<uint32_t> counted;
  for (size_t i = 0; i < view_.members.size(); ++i) {
    const Member& member = view_.members[i];
    if (member.name != name_) continue;
    is_member_ = true;
    member_ = i;
    counted = member.shards;
    routes_ = SumRoutes(view_, member_);
  }
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    if (!routes_.owns(block)) sums_->drop_histograms(block);
  }
  if (!is_broken(Mutation::keep_splits_of_lost_block)) {
    std::erase_if(told_, [&](const auto& entry) { return !routes_.owns(entry.first.second); });
  }
  const bool has_all =
      std::all_of(counted.begin(), counted.end(), [&](uint32_t shard) { return rows_.has(shard); });
  if (has_all) {
    rows_.set_counted(counted);
  } else {
    join_again();  // the coordinator is mistaken about what is held here
  }
}

void Worker::take_plan(const Plan& plan) {
  // One that is late: what was decided after it is known here already.
  const bool is_late = plan.view.number < view_.number ||
                       (plan.view.number == view_.number && plan.last_round < last_round_);
  if (is_late && !is_broken(Mutation::take_late_plan)) return;
  auto& iterations = place_.iterations;
  if (plan.first_iteration > iterations.size()) return;  // cannot follow; the join is said again
  iterations.resize(plan.first_iteration);
  iterations.insert(iterations.end(), plan.iterations.begin(), plan.iterations.end());
  place_.state = plan.state;
  open_.clear();
  order_.clear();
  take_view(plan.view);
  if (iterations.size() < place_.state.iteration) join_again();
  if (!is_member_) return;
  iterations.resize(place_.state.iteration);
  // A later tree may have begun here already; its root comes again in a round.
  if (place_.state.begun > sums_->root_round()) {
    sums_->start_tree(place_.state.begun, tree_index(), place_.state.scale);
  }
  for (const Round& round : plan.rounds) do_round(round);
  last_round_ = plan.last_round;
  take_early_parts();
}

// Of rounds of another tree, or of a scale that was not to be.
void Worker::forget_before(uint64_t round) {
  if (is_broken(Mutation::remember_all_rounds)) return;
  std::erase_if(open_, [&](const auto& entry) { return entry.first < round; });
  std::erase_if(order_, [&](uint64_t number) { return number < round; });
  std::erase_if(told_, [&](const auto& entry) { return entry.first.first < round; });
  std::erase_if(passed_, [&](const auto& entry) { return entry.first.first < round; });
  sums_->drop_sums_before(round);
  look_at_all_rounds();
}

void Worker::finish_tree(const FinishedTree& finished) {
  rows_.finish_tree(place_, finished);
  TreeState& state = place_.state;
  state.finished.push_back(finished.tree);
  state.begun = 0;
  state.expansions.clear();
  if (state.finished.size() < setup_.header.base_margins.size()) return;
  place_.iterations.push_back(std::move(state.finished));
  state.finished.clear();
  ++state.iteration;
}

void Worker::do_round(const Round& round) {
  last_round_ = std::max(last_round_, round.number);
  if (has_facts(round.kind)) forget_before(round.number);
  if (round.finish) finish_tree(*round.finish);
  TreeState& state = place_.state;
  if (round.kind == RoundKind::root) {
    state.begun = round.number;
    state.scale = round.scale;
    state.expansions.clear();
    sums_->start_tree(round.number, tree_index(), round.scale);
  }
  state.expansions.insert(state.expansions.end(), round.expansions.begin(), round.expansions.end());
  rows_.bring_up(place_);
  if (open_.emplace(round.number, round).second && has_histograms(round.kind)) {
    order_.push_back(round.number);
  }
  if (has_facts(round.kind)) tell_facts(round);
  if (!has_histograms(round.kind)) return;
  if (rows_.counts_any()) contribute(round);
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    say_again(round.number, block);
    complete(block);
  }
}

void Worker::tell_facts(const Round& round) {
  Facts facts;
  facts.view = view_.number;
  facts.round = round.number;
  facts.tally = rows_.tally();
  if (round.kind == RoundKind::measure) facts.largest_gradient = rows_.largest_gradient();
  const bool ends_iteration = round.finish && place_.state.finished.empty();
  const std::vector<std::string> names = train::metric_names(setup_.header.parameters);
  if (ends_iteration) facts.metrics = rows_.metrics(names);
  if (round.kind == RoundKind::appraise) {
    const std::span all(place_.iterations);
    const bool takes_all = is_broken(Mutation::appraise_all_iterations);
    const size_t count =
        takes_all ? all.size() : std::min<size_t>(round.iteration_count, all.size());
    facts.metrics = {rows_.training_metrics(all.first(count), names)};
  }
  send("", std::move(facts));
}

// The histograms that a round asks for, over all rows that count, towards the owners of the blocks.
// Those that are added up here are added where they are; the others go out as bytes.
void Worker::contribute(const Round& round) {
  const std::vector<BuiltNode> nodes = built_nodes(round);
  std::vector<uint32_t> blocks = round.blocks;
  if (round.kind != RoundKind::rebuild) {
    for (uint32_t block = 0; block < blocks_.size(); ++block) blocks.push_back(block);
  }
  std::vector<uint32_t> own;
  std::vector<Part> parts;
  std::vector<uint8_t> is_near;  // who takes it, by part
  parts.reserve(blocks.size());
  for (uint32_t block : blocks) {
    if (!routes_.adds(block)) {
      Part& part = parts.emplace_back(Part{view_.number, round.number, block, name_, {}});
      part.nodes.reserve(nodes.size());
      for (const BuiltNode& built : nodes) part.nodes.push_back({built.node, {}});
      is_near.push_back(is_near_ && is_near_(next(block)));
    } else if (!is_done(round.number, block) &&
               (sums_->begin(round, block, name_) || is_broken(Mutation::count_part_twice))) {
      own.push_back(block);
    }
  }
  const bool is_all = own.size() + parts.size() == blocks_.size();
  tbb::parallel_for(size_t{0}, nodes.size(), [&](size_t i) {
    const auto rows = rows_.parts(nodes[i].node, sums_->columns());
    // Packed blocks, by part; null: it is encoded. Of a few rows each is built where it is to be.
    std::vector<std::shared_ptr<Histogram>> sent;
    sent.reserve(parts.size());
    if (is_all && trees::can_build_pieces(rows)) {
      std::vector<trees::HistogramPiece> pieces(blocks_.size());
      for (uint32_t block : own) pieces[block] = sums_->piece(round, block, i);
      for (const Part& part : parts) {
        Histogram& to = *sent.emplace_back(sums_->lend(part.block, true));
        pieces[part.block] = {blocks_[part.block].bin_end, to.sums(0, to.bin_count())};
      }
      trees::build_pieces(rows, pieces);
    } else {
      std::unique_ptr<Histogram> whole = trees::build_histogram(rows, pool_);
      for (uint32_t block : own) sums_->add(round, block, i, *whole);
      for (size_t p = 0; p < parts.size(); ++p) {
        const Block& block = blocks_[parts[p].block];
        if (is_near[p] != 0 && whole->packed) {
          trees::set_range(*whole, block.bin_begin,
                           *sent.emplace_back(sums_->lend(parts[p].block, true)));
        } else {
          sent.emplace_back();
          parts[p].nodes[i].histogram =
              Bytes::of(trees::encode_block(*whole, block.bin_begin, block.bin_end));
        }
      }
      pool_.give_back(std::move(whole));
    }
    for (size_t p = 0; p < parts.size(); ++p) {
      Part::Node& node = parts[p].nodes[i];
      if (sent[p] == nullptr) continue;
      node.is_words = is_near[p] != 0;
      node.histogram = node.is_words
                           ? Bytes{trees::block_words(*sent[p]), sent[p]}
                           : Bytes::of(trees::encode_block(*sent[p], 0, sent[p]->bin_count()));
    }
  });
  for (Part& part : parts) {
    const std::string& to = next(part.block);
    send(to, std::move(part));
  }
}

void Worker::take_early_parts() {
  std::vector<Part> early = std::exchange(early_, {});
  for (Part& part : early) take_part(part);
}

void Worker::take_part(const Part& part) {
  if (part.block >= kBlocksMax) return;
  if (part.view < view_.number && !is_broken(Mutation::take_part_of_old_view)) return;
  if (!is_member_ && part.view == view_.number) return;
  // Of a view or a round that is not known here yet: it counts once it is.
  if (part.view > view_.number || part.round > last_round_) {
    const bool is_kept = early_.size() < kEarlyMax && !is_broken(Mutation::forget_early_parts);
    if (is_kept) early_.push_back(part);
    return;
  }
  const auto round = open_.find(part.round);
  if (round == open_.end() || !routes_.adds(part.block) || is_done(part.round, part.block)) return;
  if (sums_->begin(round->second, part.block, part.from) || is_broken(Mutation::count_part_twice)) {
    const size_t counted = sums_->contributor_count(part.round, part.block);
    const bool is_last = routes_.owns(part.block) && counted == routes_.expected(part.block);
    const Status added = is_last ? sums_->add_last(round->second, part.block, part.nodes)
                                 : sums_->add(round->second, part.block, part.nodes);
    if (!added.ok()) {
      actions_.emplace_back(StopAction{added});
      return;
    }
  }
  complete(part.block);
}

void Worker::say_again(uint64_t round, uint32_t block) {
  const auto told = told_.find({round, block});
  if (told != told_.end() && !is_broken(Mutation::forget_told_splits)) {
    told->second.view = view_.number;
    send("", told->second);
  }
  const auto passed = passed_.find({round, block});
  if (passed != passed_.end() && !is_broken(Mutation::forget_passed_sums)) {
    passed->second.view = view_.number;
    send(next(block), passed->second);
  }
}

// Rounds are completed in their order, block by block: one needs the histograms of those before.
void Worker::complete(uint32_t block) {
  if (!routes_.adds(block)) return;
  bool are_done = true;  // all so far
  for (size_t i = done_counts_[block]; i < order_.size(); ++i) {
    const Round& round = open_.at(order_[i]);
    if (round.builds(block) && !is_done(round.number, block) && !complete(round, block)) {
      if (!is_broken(Mutation::complete_out_of_order)) return;
      are_done = false;
    }
    if (are_done) done_counts_[block] = i + 1;
  }
}

// Finds and says the splits of a block, or passes its sums on, if all parts are there.
bool Worker::complete(const Round& round, uint32_t block) {
  const size_t counted = sums_->contributor_count(round.number, block);
  const bool owns = routes_.owns(block);
  const Mutation hasty =
      owns ? Mutation::say_one_contributor_early : Mutation::pass_on_one_contributor_early;
  const size_t missed = is_broken(hasty) ? 1 : 0;
  if (counted == 0 || counted + missed < routes_.expected(block)) return false;
  if (!owns) {
    const Part& part = passed_[{round.number, block}] = {view_.number, round.number, block, name_,
                                                         sums_->pass_on(round, block)};
    send(next(block), part);
    return true;
  }
  Result<Splits> splits = sums_->finish(round, block);
  if (!splits.ok()) {
    actions_.emplace_back(StopAction{splits.status()});
    return false;
  }
  splits->view = view_.number;
  told_[{round.number, block}] = *splits;
  send("", *std::move(splits));
  return true;
}

}  // namespace evergrove::cluster
