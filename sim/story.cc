// SPDX-License-Identifier: Apache-2.0
#include "sim/story.h"

#include <vector>

namespace evergrove::sim {

using cluster::Expansion;
using cluster::Facts;
using cluster::Goodbye;
using cluster::Heartbeat;
using cluster::Join;
using cluster::Leave;
using cluster::Loaded;
using cluster::LoadFailed;
using cluster::LoadShards;
using cluster::Member;
using cluster::Message;
using cluster::NextRound;
using cluster::Part;
using cluster::Plan;
using cluster::Rejoin;
using cluster::Round;
using cluster::RoundKind;
using cluster::Splits;

namespace {

std::string number(uint64_t value) { return std::to_string(value); }

std::string list(const std::vector<uint32_t>& ids) {
  std::string text;
  for (uint32_t id : ids) text += (text.empty() ? "" : " ") + number(id);
  return text.empty() ? "none" : text;
}

std::string text_of(const Round& round) {
  constexpr const char* kKinds[] = {"measure", "root", "expand", "rebuild", "appraise"};
  std::string text = "round " + number(round.number) + " " + kKinds[size_t(round.kind)];
  for (const Expansion& expansion : round.expansions) {
    text += " " + number(expansion.node) + ">" + number(expansion.left.node) + "," +
            number(expansion.right.node);
  }
  if (round.kind == RoundKind::rebuild) {
    text += " blocks " + list(round.blocks) + " nodes " + list(round.nodes);
  }
  return text + (round.finish ? ", ending a tree" : "");
}

struct InWords {
  std::string operator()(const Join& join) const {
    return "join as " + join.name + " with shards " + list(join.shards) +
           (join.memory_bytes == cluster::kNoMemoryLimit
                ? ""
                : " and memory for " + number(join.memory_bytes) + " bytes");
  }
  std::string operator()(const Loaded& loaded) const {
    return "loaded shards " + list(loaded.shards);
  }
  std::string operator()(const LoadFailed& failed) const {
    return "could not load shards " + list(failed.shards) + ": " + failed.reason;
  }
  std::string operator()(const Facts& facts) const {
    return "facts of round " + number(facts.round) + ", view " + number(facts.view);
  }
  std::string operator()(const Splits& splits) const {
    return "splits of round " + number(splits.round) + ", block " + number(splits.block) +
           ", view " + number(splits.view);
  }
  std::string operator()(const Heartbeat&) const { return "heartbeat"; }
  std::string operator()(const Leave&) const { return "wants to leave"; }
  std::string operator()(const LoadShards& load) const {
    return "load shards " + list(load.shards) + ", keep " + list(load.kept);
  }
  std::string operator()(const Plan& plan) const {
    std::string text = "plan of view " + number(plan.view.number) + " (";
    for (const Member& member : plan.view.members) {
      text += member.name + ": " + list(member.shards) + "; ";
    }
    text += "owners " + list(plan.view.block_owners) + "), " + number(plan.state.iteration) +
            " iterations, those from " + number(plan.first_iteration) + " on sent";
    for (const Round& round : plan.rounds) text += ", " + text_of(round);
    return text;
  }
  std::string operator()(const NextRound& next) const {
    return "next: " + text_of(next.round) + ", view " + number(next.view);
  }
  std::string operator()(const Rejoin&) const { return "join again"; }
  std::string operator()(const Goodbye& goodbye) const { return "goodbye " + goodbye.reason; }
  std::string operator()(const Part& part) const {
    return "part of round " + number(part.round) + ", block " + number(part.block) + ", view " +
           number(part.view) + ", from " + part.from;
  }
};

}  // namespace

std::string describe(const Message& message) {
  return "epoch " + number(message.epoch) + ": " + std::visit(InWords{}, message.body);
}

}  // namespace evergrove::sim
