// What the rounds are to find out and what comes of it: measures, roots, batches of leaves, trees,
// iterations, the end.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/cluster/coordinator.h"
#include "evergrove/cluster/mutation.h"

namespace evergrove::cluster {

void Coordinator::start_measure(std::optional<FinishedTree> finish) {
  Round round;
  round.kind = RoundKind::measure;
  round.finish = std::move(finish);
  issue(std::move(round));
}

// The next tree of an iteration that is known, for its metrics.
void Coordinator::start_given() {
  if (iteration_.trees.empty()) iteration_.trees = given_.front().trees;
  start_measure(FinishedTree{iteration_.trees[state_.finished.size()], {}});
}

void Coordinator::measured(const OpenRound& open) {
  largest_ = open.facts.largest_gradient;
  is_measured_ = true;
  keep_iteration(open);
}

// Keeps the iteration that a round has ended, if it has, with its metrics.
void Coordinator::keep_iteration(const OpenRound& open) {
  if (!open.round.finish || !state_.finished.empty()) return;
  for (size_t i = 0; i < open.facts.metrics.size(); ++i) {
    const Status added =
        add_values(open.facts.metrics[i], setup_.header.valid_names[i], iteration_.metrics);
    if (added.ok()) continue;
    actions_.emplace_back(FailedAction{added});
    is_finished_ = true;
    return;
  }
  if (!given_.empty()) {
    if (history_.has_metrics_of_now(given_.front())) iteration_.metrics = given_.front().metrics;
    given_.pop_front();
  }
  iteration_.index = history_.iterations().size();
  actions_.emplace_back(LogAction{iteration_});
  history_.keep(std::move(iteration_));
  iteration_ = {};
}

// Fails where a metric has no value.
Status Coordinator::add_values(const train::MetricSummary& summary, const std::string& set,
                               std::vector<model::MetricValue>& to) const {
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<double> values, summary.values());
  const auto names = history_.metric_names();
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) {
    to.push_back({set, names[i], values[i]});
  }
  return {};
}

// All is decided and logged; what the model comes to on the training rows is for people.
void Coordinator::start_appraisal() {
  Round round;
  round.kind = RoundKind::appraise;
  round.iteration_count = history_.best_iteration();
  issue(std::move(round));
}

bool Coordinator::has_all_trees() const {
  return is_finished_ || (!rounds_.empty() && rounds_.front().round.kind == RoundKind::appraise);
}

void Coordinator::appraised(OpenRound& open) {
  appraisal_ = std::move(open.facts.metrics);
  finish_run();
}

Result<std::vector<model::MetricValue>> Coordinator::training_metrics() const {
  std::vector<model::MetricValue> metrics;
  for (const train::MetricSummary& summary : appraisal_) {
    EVERGROVE_RETURN_IF_ERROR(add_values(summary, "train", metrics));
  }
  return metrics;
}

void Coordinator::finish_run() {
  is_finished_ = true;
  while (!overtaken_.empty()) give_up_overtaken(overtaken_.begin()->first);
  actions_.emplace_back(FinishedAction{});
}

void Coordinator::start_root(std::optional<FinishedTree> finish) {
  Round round;
  round.kind = RoundKind::root;
  round.finish = std::move(finish);
  round.scale = train::scale_to_try(setup_.header.parameters.objective, setup_.weight_facts,
                                    largest_, last_wide_);
  issue(std::move(round));
}

trees::GradientUnits Coordinator::units() const {
  return train::gradient_units(setup_.header.parameters.objective, output_count_,
                               setup_.weight_facts, state_.scale);
}

// Of each node the best of what the owners have found: the larger gain, then the smaller feature.
std::unordered_map<uint32_t, trees::Split> Coordinator::best_splits(const OpenRound& open) {
  std::unordered_map<uint32_t, trees::Split> best;
  for (const auto& [block, splits] : open.by_block) {
    for (const NodeSplit& found : splits.splits) {
      trees::Split& split = best[found.node];
      if (!found.split.found()) continue;
      if (!split.found() || found.split.gain > split.gain) split = found.split;
    }
  }
  return best;
}

void Coordinator::rooted(const OpenRound& open) {
  keep_iteration(open);
  if (is_finished_ || history_.finished()) return;
  const bool wide = train::should_be_wide(setup_.header.parameters.objective, setup_.weight_facts,
                                          open.facts.tally);
  last_wide_ = wide;
  if (wide != open.round.scale.wide) return start_root({});
  state_.begun = open.round.number;
  state_.scale = open.round.scale;
  trees::Sums sums;
  for (const auto& [block, splits] : open.by_block) {
    if (splits.root.count != 0) sums = splits.root;
  }
  walk_.emplace(growth_, sums);
  unsure_.clear();
  if (is_symmetric()) {
    level_ = {0, {}};
    if (walk_->may_split(0)) level_.nodes = {{0, sums}};
    return choose_level(open);
  }
  walk_->set_split(0, walk_->may_split(0) ? best_splits(open)[0] : trees::Split{});
}

void Coordinator::expanded(const OpenRound& open) {
  if (is_symmetric()) {
    level_ = open.round.level;
    choose_level(open);
    if (walk_ && is_settled()) grow();
    return;
  }
  std::unordered_map<uint32_t, trees::Split> best = best_splits(open);
  for (const Expansion& expansion : open.round.expansions) {
    for (const Expansion::Child* child : {&expansion.left, &expansion.right}) {
      walk_->set_split(child->node,
                       child->is_searched ? std::move(best[child->node]) : trees::Split{});
    }
  }
  if (walk_->finished()) return finish_tree();
  if (is_settled()) grow();
}

// Whether all that hold shards are members and none of them is to leave.
bool Coordinator::is_settled() const {
  return std::all_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return member(entry.first) != nullptr ? !entry.second.is_leaving : entry.second.held.empty();
  });
}

// Of a node that is in a batch.
Expansion Coordinator::expansion_of(uint32_t id) const {
  const trees::TreeWalk::Node& node = walk_->node(id);
  const auto child_of = [&](int32_t child_id) {
    const auto child = static_cast<uint32_t>(child_id);
    const trees::TreeWalk::Node& made = walk_->node(child);
    return Expansion::Child{child, made.depth, made.path, made.sums, walk_->may_split(child)};
  };
  return {id, node.split, child_of(node.left), child_of(node.right)};
}

// How long a node's expansion keeps a member busy, about: it divides the node's rows and adds the
// smaller child's, and it clears, encodes, adds, subtracts and searches bins.
double Coordinator::expansion_us(uint32_t id) const {
  constexpr double kDivideUs = 0.0015, kAddUs = 0.00035, kBinUs = 0.008;  // a row; and feature; bin
  const trees::TreeWalk::Node& node = walk_->node(id);
  const auto rows = double(node.sums.count);
  const auto left = double(node.split.left.count);
  const double feature_count = double(setup_.header.features.size());
  return (rows * kDivideUs + std::min(left, rows - left) * feature_count * kAddUs) /
             double(threads_all_) +
         double(bin_count_) * kBinUs / threads_most_;
}

// The leaves to expand next. A node that the tree turns out not to want costs time, and so do a
// round and its latency. Where the tree before says which nodes this one will want (those that
// promise more than it left out), those are expanded, and of the others those that are likely to
// save more than they cost: in vain they are as often as they were of late, and else they fill the
// time for which members would wait.
std::vector<uint32_t> Coordinator::next_batch(size_t rounds_max) {
  constexpr double kInRoundUs = 20;  // a node's share in a round's messages
  const size_t many =
      std::max<size_t>(are_near_ ? options_.near_round_nodes : options_.round_nodes, threads_most_);
  const std::optional<double>& gain_left = gains_left_[iteration_.trees.size()];
  if (!gain_left) return walk_->next_batch(many, rounds_max);
  const size_t share = rounds_max - rounds_.size();
  const trees::TreeWalk::Ahead ahead = walk_->ahead(many * share, *gain_left);
  const size_t sure_wanted =
      std::max<size_t>((ahead.sure_count + share - 1) / share, threads_most_);
  double under_way_us = 0;
  for (const OpenRound& open : rounds_) {
    for (const Expansion& each : open.round.expansions) under_way_us += expansion_us(each.node);
  }
  const double latency_us = options_.latency_us;
  std::vector<uint32_t> batch;
  double batch_us = 0;
  for (size_t i = 0; i < ahead.nodes.size() && i < many; ++i) {
    const uint32_t id = ahead.nodes[i];
    const double cost_us = expansion_us(id);
    if (i < ahead.sure_count) {
      if (i >= sure_wanted && batch_us >= latency_us) break;
    } else {
      const bool is_first = rounds_.empty() && batch.empty();  // else nothing would go on
      const double saved_us = kInRoundUs + std::max(0.0, latency_us - under_way_us - batch_us);
      if (!is_first && vain_share_ * cost_us >= saved_us) break;
      unsure_.push_back(id);
    }
    batch.push_back(id);
    batch_us += cost_us;
  }
  walk_->expand(batch);
  return batch;
}

// Says what to expand next, unless the view is to change when the rounds under way are done.
void Coordinator::grow() {
  if (is_symmetric()) return grow_level();
  if (walk_->finished()) return finish_tree();
  if (!rounds_.empty() && rounds_.front().round.kind == RoundKind::rebuild) return;
  const size_t rounds_max = is_settled() ? options_.rounds_max : 1;
  while (rounds_.size() < rounds_max) {
    Round round;
    round.kind = RoundKind::expand;
    for (uint32_t id : next_batch(rounds_max)) round.expansions.push_back(expansion_of(id));
    if (round.expansions.empty()) return;
    issue(std::move(round));
  }
}

// Of the nodes of which the finished tree was not sure, how many it has not wanted.
void Coordinator::learn_from_unsure() {
  constexpr double kNewest = 0.25;  // of the share
  const auto vain = std::count_if(unsure_.begin(), unsure_.end(),
                                  [&](uint32_t id) { return !walk_->node(id).taken; });
  if (!unsure_.empty()) {
    vain_share_ += kNewest * (double(vain) / double(unsure_.size()) - vain_share_);
  }
}

// The tree goes out with the next round, which may be of another view.
void Coordinator::finish_tree() {
  FinishedTree finished;
  finished.tree = walk_->tree(setup_.header.features, units(), &finished.leaves);
  finished.tree.output = static_cast<uint32_t>(iteration_.trees.size());
  iteration_.trees.push_back(finished.tree);
  gains_left_[finished.tree.output] = walk_->gain_left();
  learn_from_unsure();
  finish_ = std::move(finished);
  walk_.reset();
  rounds_.clear();  // what was expanded and not needed
  ledger_.forget_rounds(now_);
  blocks_lost_.clear();
}

// Regression's scale needs the largest gradient before the root; otherwise what the iteration comes
// to is told with the root of the next.
void Coordinator::start_next() {
  std::optional<FinishedTree> finished = std::exchange(finish_, std::nullopt);
  const bool ends_iteration = iteration_.trees.size() == output_count_;
  const bool is_last =
      int64_t(history_.iterations().size()) + 1 >= setup_.header.parameters.n_estimators;
  if (!ends_iteration) return start_root(std::move(finished));
  is_measured_ = !needs_largest();
  if (is_last || !is_measured_) return start_measure(std::move(finished));
  start_root(std::move(finished));
}

bool Coordinator::needs_largest() const {
  return setup_.header.parameters.objective == model::ObjectiveKind::regression;
}

}  // namespace evergrove::cluster
