// SPDX-License-Identifier: Apache-2.0
#include "sim/mutations.h"

namespace evergrove::sim {

using cluster::Mutation;

namespace {

#define EVERGROVE_MUTATION(name, ...) \
  NamedMutation { Mutation::name, #name, __VA_ARGS__ }

constexpr NamedMutation kMutations[] = {
    EVERGROVE_MUTATION(heed_old_epoch, "a worker heeds a coordinator that was overtaken"),
    EVERGROVE_MUTATION(keep_sums_of_old_epoch, "an owner keeps sums of the epoch before",
                       "the first plan of an epoch is of a new view, and drops sums"),
    EVERGROVE_MUTATION(keep_splits_of_old_epoch, "an owner keeps splits told in the epoch before"),
    EVERGROVE_MUTATION(keep_early_parts_of_old_epoch,
                       "an owner keeps parts that came early in the epoch before"),
    EVERGROVE_MUTATION(keep_splits_of_lost_block,
                       "an owner keeps splits of a block that was another's in between"),
    EVERGROVE_MUTATION(count_part_twice, "an owner counts a part that came twice twice"),
    EVERGROVE_MUTATION(take_part_of_old_view, "an owner counts a part of a view before"),
    EVERGROVE_MUTATION(keep_sums_over_view, "an owner keeps unfinished sums in a new view"),
    EVERGROVE_MUTATION(say_one_contributor_early,
                       "an owner does not wait for the last member's part"),
    EVERGROVE_MUTATION(pass_on_one_contributor_early,
                       "a member that adds up for an owner does not wait for the last part"),
    EVERGROVE_MUTATION(keep_passed_over_view,
                       "a member says sums again that it passed on in a view before"),
    EVERGROVE_MUTATION(forget_passed_sums, "a member does not say again the sums it has passed on"),
    EVERGROVE_MUTATION(take_late_plan, "a worker takes a plan that is older than what it knows"),
    EVERGROVE_MUTATION(take_round_after_gap, "a worker does a round though it missed one before"),
    EVERGROVE_MUTATION(complete_out_of_order, "an owner completes a round before the one before"),
    EVERGROVE_MUTATION(forget_told_splits, "an owner does not say again the splits it has told"),
    EVERGROVE_MUTATION(forget_early_parts, "an owner drops parts of a view it is yet to hear of",
                       "a plan that is said again has all parts sent again"),
    EVERGROVE_MUTATION(remember_all_rounds, "a worker never forgets the rounds of earlier trees"),
    EVERGROVE_MUTATION(keep_store_ahead_of_log,
                       "a shard keeps an iteration that the new coordinator does not know"),
    EVERGROVE_MUTATION(keep_iteration_of_old_epoch,
                       "a shard keeps the unfinished iteration of the epoch before"),
    EVERGROVE_MUTATION(replay_one_short, "a shard that was read anew replays one iteration short"),
    EVERGROVE_MUTATION(skip_last_expansion, "a shard that catches up leaves out one expansion"),
    EVERGROVE_MUTATION(count_facts_twice, "the coordinator counts facts that came twice twice"),
    EVERGROVE_MUTATION(count_facts_of_old_view, "the coordinator counts facts of a view before"),
    EVERGROVE_MUTATION(keep_facts_over_view, "the coordinator keeps facts in a new view"),
    EVERGROVE_MUTATION(take_splits_of_old_view, "the coordinator takes splits of a view before",
                       "a sum that was complete is the same in any view"),
    EVERGROVE_MUTATION(take_splits_of_anyone,
                       "the coordinator takes splits from who does not own the block",
                       "only owners say splits, and they are the same from each"),
    EVERGROVE_MUTATION(keep_root_splits_over_view,
                       "the coordinator keeps the root's splits of an owner that was lost"),
    EVERGROVE_MUTATION(skip_rebuild, "histograms that were lost with their owner are not rebuilt"),
    EVERGROVE_MUTATION(rebuild_one_node_short, "one open node is left out of a rebuild"),
    EVERGROVE_MUTATION(rebuild_one_block_short, "one lost block is left out of a rebuild"),
    EVERGROVE_MUTATION(await_owners_of_kept_blocks,
                       "a rebuild is waited for from owners that have nothing to build"),
    EVERGROVE_MUTATION(forget_shard_on_drain,
                       "a member that leaves goes before its shards are held by another"),
    EVERGROVE_MUTATION(ignore_memory_limit,
                       "a worker is asked for shards that its memory does not hold"),
    EVERGROVE_MUTATION(keep_what_is_given_back,
                       "a worker keeps shards that it was told to give back"),
    EVERGROVE_MUTATION(appraise_all_iterations,
                       "training rows are appraised by trees that the model does not keep"),
    EVERGROVE_MUTATION(heed_late_load, "a worker heeds what it was to hold earlier",
                       "what is one too many is given back once it is said to be there"),
    EVERGROVE_MUTATION(assign_before_held, "a shard is assigned to who is still reading it",
                       "a worker refuses a plan with shards that it does not hold"),
    EVERGROVE_MUTATION(wait_for_lost_member, "the view goes on with a member that is lost"),
    EVERGROVE_MUTATION(never_declare_lost, "a silent worker is never taken for lost"),
    EVERGROVE_MUTATION(keep_up_before_plan,
                       "a spare copy is led on by what an overtaken coordinator had decided"),
    EVERGROVE_MUTATION(drop_counted_copy, "of too many copies one goes that is counted",
                       "its holder says what it holds, and the view begins anew"),
    EVERGROVE_MUTATION(never_say_again, "what may have been lost on its way is not said again"),
};

#undef EVERGROVE_MUTATION

}  // namespace

std::span<const NamedMutation> all_mutations() { return kMutations; }

const NamedMutation* find_mutation(std::string_view name) {
  for (const NamedMutation& mutation : kMutations) {
    if (mutation.name == name) return &mutation;
  }
  return nullptr;
}

}  // namespace evergrove::sim
