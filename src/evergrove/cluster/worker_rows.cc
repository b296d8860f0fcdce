// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/worker_rows.h"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/cluster/mutation.h"

namespace evergrove::cluster {

namespace {

// In one call, so that what comes in the meantime does not wait long.
constexpr uint64_t kKeptUpAtOnce = 32;

// The iterations from first to before end, of those that the run has decided.
std::span<const std::vector<model::Tree>> following(const RunPlace& place, uint64_t first,
                                                    uint64_t end) {
  return std::span(place.iterations).subspan(first, end - first);
}

}  // namespace

void catch_up(const DecidedTrees& decided, train::RowStore& rows) {
  const uint64_t passed = std::min<uint64_t>(rows.iteration_count(), decided.size());
  static_cast<void>(rows.apply(std::span(decided).subspan(passed)));
}

void WorkerRows::add(std::vector<ShardPiece> pieces, std::unique_ptr<train::RowStore> rows,
                     const std::set<uint32_t>& wanted) {
  const auto is_wanted = [&](const ShardPiece& piece) { return wanted.contains(piece.shard); };
  Group group;
  group.pieces = std::move(pieces);
  group.rows = std::move(rows);
  if (std::all_of(group.pieces.begin(), group.pieces.end(), is_wanted)) {
    groups_.push_back(std::move(group));
    return;
  }
  for (Group& part : divided(std::move(group))) {
    if (is_wanted(part.pieces[0])) groups_.push_back(std::move(part));
  }
}

bool WorkerRows::has(uint32_t shard) const {
  for (const Group& group : groups_) {
    for (const ShardPiece& piece : group.pieces) {
      if (piece.shard == shard) return true;
    }
  }
  return false;
}

std::vector<uint32_t> WorkerRows::shards() const {
  std::vector<uint32_t> ids;
  for (const Group& group : groups_) {
    for (const ShardPiece& piece : group.pieces) ids.push_back(piece.shard);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool WorkerRows::counts_any() const {
  return std::any_of(groups_.begin(), groups_.end(),
                     [](const Group& group) { return group.is_counted; });
}

// A group a shard.
std::vector<WorkerRows::Group> WorkerRows::divided(Group group) const {
  std::vector<train::RowCounts> counts;
  for (const ShardPiece& piece : group.pieces) counts.push_back(piece.counts);
  std::vector<std::unique_ptr<train::RowStore>> stores = group.rows->divide(counts);
  std::vector<Group> parts(stores.size());
  for (size_t i = 0; i < stores.size(); ++i) {
    parts[i].is_counted = group.is_counted;
    parts[i].pieces.push_back(std::move(group.pieces[i]));
    parts[i].rows = std::move(stores[i]);
    parts[i].epoch = group.epoch;
    parts[i].finished = group.finished;
  }
  return parts;
}

void WorkerRows::give_back(uint32_t shard) {
  for (size_t i = 0; i < groups_.size(); ++i) {
    const auto is_it = [&](const ShardPiece& piece) { return piece.shard == shard; };
    if (std::none_of(groups_[i].pieces.begin(), groups_[i].pieces.end(), is_it)) continue;
    if (groups_[i].is_counted) return;
    Group group = std::move(groups_[i]);
    groups_.erase(groups_.begin() + static_cast<ptrdiff_t>(i));
    if (group.pieces.size() == 1) return;
    for (Group& part : divided(std::move(group))) {
      if (!is_it(part.pieces[0])) groups_.push_back(std::move(part));
    }
    return;
  }
}

void WorkerRows::set_counted(std::span<const uint32_t> shards) {
  const auto is_among = [&](const ShardPiece& piece) {
    return std::find(shards.begin(), shards.end(), piece.shard) != shards.end();
  };
  std::vector<Group> groups;
  for (Group& group : groups_) {
    const auto counted = std::count_if(group.pieces.begin(), group.pieces.end(), is_among);
    if (counted == 0 || static_cast<size_t>(counted) == group.pieces.size()) {
      group.is_counted = counted != 0;
      groups.push_back(std::move(group));
      continue;
    }
    for (Group& part : divided(std::move(group))) {
      part.is_counted = is_among(part.pieces[0]);
      groups.push_back(std::move(part));
    }
  }
  groups_ = std::move(groups);
}

void WorkerRows::enter_epoch(Group& group, const RunPlace& place) const {
  if (group.epoch == place.epoch) return;
  train::RowStore& rows = *group.rows;
  // What another coordinator had decided and not logged is decided again, from its beginning.
  if (!is_broken(Mutation::keep_iteration_of_old_epoch)) rows.drop_iteration();
  if (rows.iteration_count() > place.state.iteration &&
      !is_broken(Mutation::keep_store_ahead_of_log)) {
    rows.take_back_to(place.state.iteration);
  }
  group.epoch = place.epoch;
  group.start_iteration();
}

void WorkerRows::lead_to_iteration(Group& group, const RunPlace& place) const {
  enter_epoch(group, place);
  train::RowStore& rows = *group.rows;
  const uint64_t iteration = place.state.iteration;
  if (rows.iteration_count() >= iteration) return;
  const uint64_t short_by = is_broken(Mutation::replay_one_short) ? 1 : 0;
  CHECK(rows.apply(following(place, rows.iteration_count(), iteration - short_by)).ok());
  group.start_iteration();
}

// The one that is furthest behind: several trees at once take a row hardly longer than one.
bool WorkerRows::keep_up(const RunPlace& place) {
  Group* last = nullptr;
  for (Group& group : groups_) {
    if (group.is_counted) continue;
    enter_epoch(group, place);
    const uint64_t index = group.rows->iteration_count();
    if (index >= place.state.iteration) continue;
    if (last == nullptr || index < last->rows->iteration_count()) last = &group;
  }
  if (last == nullptr) return false;
  const uint64_t index = last->rows->iteration_count();
  const uint64_t end = std::min(place.state.iteration, index + kKeptUpAtOnce);
  CHECK(last->rows->apply(following(place, index, end)).ok());
  last->start_iteration();
  return true;
}

void WorkerRows::lead_to_tree(Group& group, const RunPlace& place) const {
  train::RowStore& rows = *group.rows;
  const TreeState& state = place.state;
  if (group.finished < state.finished.size()) {
    if (group.finished == 0) rows.drop_iteration();
    while (group.finished < state.finished.size()) {
      CHECK(rows.take_tree(state.finished[group.finished++]).ok());
    }
    group.begun = 0;
  }
  if (state.begun == 0 || group.begun >= state.begun) return;
  const auto output = static_cast<uint32_t>(state.finished.size());
  group.tally = rows.make_gradients(output, state.scale);
  rows.start_tree(output);
  group.begun = state.begun;
  group.expansions = 0;
}

// Expansions that follow one another, and of which none is of a child of another, at the same time.
void WorkerRows::expand(Group& group, const RunPlace& place) const {
  train::RowStore& rows = *group.rows;
  const std::vector<Expansion>& all = place.state.expansions;
  const size_t left_out = is_broken(Mutation::skip_last_expansion) && group.expansions == 0 ? 1 : 0;
  while (group.expansions + left_out < all.size()) {
    const size_t begin = group.expansions;
    size_t end = begin;
    uint32_t node_count = 0;
    for (; end + left_out < all.size() && rows.knows(all[end].node); ++end) {
      node_count = std::max({node_count, all[end].left.node + 1, all[end].right.node + 1});
    }
    CHECK(end > begin);
    rows.make_room(node_count);
    tbb::parallel_for(begin, end, [&](size_t i) {
      rows.split(all[i].node, all[i].split, all[i].left.node, all[i].right.node);
    });
    group.expansions = end;
  }
}

// When a tree of output 0 begins, all stores that are with the run are between two iterations.
void WorkerRows::join_counted(const RunPlace& place) {
  if (place.state.begun == 0 || !place.state.finished.empty()) return;
  std::vector<Group*> to_join;
  for (Group& group : groups_) {
    const bool is_between = group.is_counted && group.finished == 0 &&
                            group.begun < place.state.begun &&
                            group.rows->iteration_count() == place.state.iteration;
    if (is_between) to_join.push_back(&group);
  }
  if (to_join.size() < 2) return;
  std::vector<std::unique_ptr<train::RowStore>> stores;
  Group& whole = *to_join[0];
  for (Group* group : to_join) {
    stores.push_back(std::move(group->rows));
    if (group == &whole) continue;
    whole.pieces.insert(whole.pieces.end(), group->pieces.begin(), group->pieces.end());
  }
  whole.rows = train::RowStore::join(std::move(stores));
  whole.start_iteration();
  std::erase_if(groups_, [](const Group& group) { return group.rows == nullptr; });
}

void WorkerRows::bring_up(const RunPlace& place) {
  for (Group& group : groups_) {
    if (group.is_counted) lead_to_iteration(group, place);
  }
  join_counted(place);
  for (Group& group : groups_) {
    if (!group.is_counted || group.is_ahead_of(place)) continue;
    lead_to_tree(group, place);
    if (place.state.begun != 0 && group.begun == place.state.begun) expand(group, place);
  }
}

// All stores are at the tree's end before any of them is moved by its leaves.
void WorkerRows::finish_tree(const RunPlace& place, const FinishedTree& finished) {
  std::vector<train::RowStore::Leaf> leaves;
  const bool is_given = finished.leaves.empty();
  for (const model::Node& node : finished.tree.nodes) {
    if (node.feature < 0 && !is_given)
      leaves.push_back({finished.leaves[leaves.size()], node.value});
  }
  bring_up(place);
  for (Group& group : groups_) {
    if (!group.is_counted || group.is_ahead_of(place)) continue;
    CHECK((is_given ? group.rows->take_tree(finished.tree)
                    : group.rows->finish_tree(leaves, finished.tree))
              .ok());
    ++group.finished;
    group.begun = 0;
    group.expansions = 0;
    if (group.finished == output_count()) {
      group.rows->end_iteration();
      group.start_iteration();
    }
  }
}

train::RoundingTally WorkerRows::tally() const {
  train::RoundingTally tally;
  for (const Group& group : groups_) {
    if (group.is_counted) tally = tally + group.tally;
  }
  return tally;
}

double WorkerRows::largest_gradient() const {
  double largest = 0;
  for (const Group& group : groups_) {
    if (group.is_counted) largest = std::max(largest, group.rows->largest_gradient());
  }
  return largest;
}

std::vector<train::MetricSummary> WorkerRows::metrics(std::span<const std::string> names) const {
  std::vector<train::MetricSummary> sums(setup_.weight_max_by_set.size());
  for (const Group& group : groups_) {
    if (!group.is_counted) continue;
    const auto summaries = group.rows->metrics(names, setup_.weight_max_by_set);
    for (size_t i = 0; i < summaries.size(); ++i) sums[i].merge(summaries[i]);
  }
  return sums;
}

train::MetricSummary WorkerRows::training_metrics(
    std::span<const std::vector<model::Tree>> iterations,
    std::span<const std::string> names) const {
  train::MetricSummary sum;
  for (const Group& group : groups_) {
    if (!group.is_counted) continue;
    const auto summary =
        group.rows->training_metrics_after(iterations, names, setup_.training_weight_max);
    CHECK(summary.ok());  // the same trees have moved the rows
    sum.merge(*summary);
  }
  return sum;
}

std::vector<trees::HistogramPart> WorkerRows::parts(uint32_t node,
                                                    std::span<const uint32_t> columns) const {
  std::vector<trees::HistogramPart> parts;
  for (const Group& group : groups_) {
    if (!group.is_counted) continue;
    // A store that did not know it would be missing in the sum without anybody's notice.
    CHECK(group.rows->knows(node));
    group.rows->add_histogram_parts(node, columns, parts);
  }
  return parts;
}

}  // namespace evergrove::cluster
