// Mutation: a rule of recovery that is broken on purpose, to see that the simulation finds it.
//
// None is ever on but in evergrove-sim. A rule asks for its own at a place that is passed once a
// message, never once a row; that costs one relaxed load.
//
//   if (message.epoch < epoch_ && !is_broken(Mutation::heed_old_epoch)) return {};
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace evergrove::cluster {

enum class Mutation : uint8_t {
  none,
  heed_old_epoch,
  keep_sums_of_old_epoch,
  keep_splits_of_old_epoch,
  keep_early_parts_of_old_epoch,
  keep_splits_of_lost_block,
  count_part_twice,
  take_part_of_old_view,
  keep_sums_over_view,
  say_one_contributor_early,
  pass_on_one_contributor_early,
  keep_passed_over_view,
  forget_passed_sums,
  take_late_plan,
  take_round_after_gap,
  complete_out_of_order,
  forget_told_splits,
  forget_early_parts,
  remember_all_rounds,
  keep_store_ahead_of_log,
  keep_iteration_of_old_epoch,
  replay_one_short,
  skip_last_expansion,
  count_facts_twice,
  count_facts_of_old_view,
  keep_facts_over_view,
  take_splits_of_old_view,
  take_splits_of_anyone,
  keep_root_splits_over_view,
  skip_rebuild,
  rebuild_one_node_short,
  rebuild_one_block_short,
  await_owners_of_kept_blocks,
  forget_shard_on_drain,
  ignore_memory_limit,
  keep_what_is_given_back,
  appraise_all_iterations,
  heed_late_load,
  assign_before_held,
  wait_for_lost_member,
  never_declare_lost,
  never_say_again,
  keep_up_before_plan,
  drop_counted_copy,
};

inline std::atomic<Mutation> mutation_on{Mutation::none};

inline bool is_broken(Mutation rule) { return mutation_on.load(std::memory_order_relaxed) == rule; }

}  // namespace evergrove::cluster
