// Messages: all that the coordinator and the workers of a run say to one another.
//
// A message is bytes with the version of the protocol and the epoch of the coordinator in front.
// Decoding takes any bytes and never takes memory that they do not justify; a message of another
// version is refused as unsupported. Nothing here says how messages travel: they may be lost,
// doubled or late, and the two state machines have to bear it.
//
//   std::string bytes = encode({epoch, Join{.name = "w1", .address = "10.0.0.8:7001"}});
//   EVERGROVE_ASSIGN_OR_RETURN(Message message, decode(bytes));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/row_store.h"
#include "evergrove/trees/split.h"

namespace evergrove::cluster {

inline constexpr uint32_t kProtocolVersion = 6;

// A node's split, and what its children are to be called. The owner of a block searches a child's
// best split where it may be split at all.
struct Expansion {
  uint32_t node = 0;
  trees::Split split;
  struct Child {
    uint32_t node = 0;
    uint32_t depth = 0;
    uint64_t path = 0;
    trees::Sums sums;
    bool is_searched = false;
  };
  Child left, right;

  // Of the smaller child the histogram is built; the larger one's is what is left of the parent's.
  const Child& smaller() const { return left.sums.count <= right.sums.count ? left : right; }
  const Child& larger() const { return &smaller() == &left ? right : left; }
  bool is_searched() const { return left.is_searched || right.is_searched; }
};

// A tree that is finished, and the nodes that are its leaves, in the order of the tree's; no leaves
// if it was not grown here, but is of a model that gets more trees.
struct FinishedTree {
  model::Tree tree;
  std::vector<uint32_t> leaves;
};

// What has been decided of the iteration at hand, as far as all members have done it.
struct TreeState {
  uint64_t iteration = 0;             // iterations that are finished
  std::vector<model::Tree> finished;  // trees of this iteration
  uint64_t begun = 0;                 // the number of the root round of the tree at hand; 0: none
  train::GradientScale scale;
  std::vector<Expansion> expansions;
};

enum class RoundKind : uint8_t {
  measure,  // facts at the margins of now
  root,     // gradients, the root's histogram, facts
  expand,   // children of some nodes
  rebuild,  // histograms of open nodes, for blocks whose owner was lost
  appraise  // facts of the training rows, as the model has them that is kept
};

// Whether all members tell facts of their rows in such a round.
constexpr bool has_facts(RoundKind kind) {
  return kind == RoundKind::measure || kind == RoundKind::root || kind == RoundKind::appraise;
}
// Whether owners of blocks tell splits, or build histograms, in such a round.
constexpr bool has_histograms(RoundKind kind) {
  return kind != RoundKind::measure && kind != RoundKind::appraise;
}

// Symmetric growth: the nodes of a level that one split is sought for, and what is in them.
struct Level {
  struct Node {
    uint32_t node = 0;
    trees::Sums sums;
  };
  uint32_t depth = 0;
  std::vector<Node> nodes;
};

// What every member is to do next. Numbers rise by one within an epoch.
struct Round {
  uint64_t number = 0;
  RoundKind kind = RoundKind::measure;
  std::optional<FinishedTree> finish;  // done first: the tree at hand has come to its end
  train::GradientScale scale;          // root
  std::vector<Expansion> expansions;   // expand
  Level level;                         // expand, symmetric growth: searched when all is expanded
  std::vector<uint32_t> nodes;         // rebuild
  std::vector<uint32_t> blocks;        // rebuild
  uint64_t iteration_count = 0;        // appraise: that the model has

  // Whether that block's histograms are built, and its owner tells what it finds.
  bool builds(uint32_t block) const {
    if (kind != RoundKind::rebuild) return has_histograms(kind);
    return std::find(blocks.begin(), blocks.end(), block) != blocks.end();
  }
};

struct Member {
  std::string name;
  std::string address;
  std::vector<uint32_t> shards;  // active: no other member's
};

// Who does what. A block is a range of features; all members' histograms of it come to its owner.
struct View {
  uint64_t number = 0;
  std::vector<Member> members;
  std::vector<uint32_t> block_owners;  // place in members, by block
  uint32_t fan_in = 16;                // of the sums on their way to an owner (sum_route.h)
};

// ---- to the coordinator
inline constexpr uint64_t kNoMemoryLimit = ~uint64_t{0};
struct Join {
  std::string name;  // never used by another process
  std::string address;
  uint32_t threads = 1;
  std::vector<uint32_t> shards;            // that it has in memory already
  uint64_t memory_bytes = kNoMemoryLimit;  // of shards that it will hold
};
struct Loaded {
  std::vector<uint32_t> shards;
};
struct LoadFailed {
  std::vector<uint32_t> shards;
  std::string reason;
};
// Of all rows of a member, once a round that asks for them.
struct Facts {
  uint64_t view = 0;
  uint64_t round = 0;
  double largest_gradient = 0;
  train::RoundingTally tally;
  // By validation set; appraise: of the training rows, one.
  std::vector<train::MetricSummary> metrics;
};
struct NodeSplit {
  uint32_t node = 0;
  trees::Split split;
};
// What the owner of a block has found in it.
struct Splits {
  uint64_t view = 0;
  uint64_t round = 0;
  uint32_t block = 0;
  trees::Sums root;  // root rounds
  std::vector<NodeSplit> splits;
  // Symmetric growth: the level's best; the splits are what it is in each node of the level.
  double shared_gain = 0;
};
struct Heartbeat {
  uint64_t view = 0;
  uint64_t round = 0;    // the last one done
  uint64_t busy_us = 0;  // spent on rounds and parts since the worker began
};
struct Leave {};

// ---- to a worker
// What a worker is to have in memory: it reads what it lacks of the first, and gives back what it
// has and is in neither.
struct LoadShards {
  std::vector<uint32_t> shards;
  std::vector<uint32_t> kept = {};  // that it has said it holds
  uint64_t number = 0;              // rises within an epoch; one that is late is not heeded
};
// The view, and all that a member needs to be where the others are; then the rounds to do.
struct Plan {
  View view;
  uint64_t first_iteration = 0;  // of those that follow
  std::vector<std::vector<model::Tree>> iterations;
  TreeState state;
  uint64_t last_round = 0;  // the newest there was when this was said
  std::vector<Round> rounds;
};
struct NextRound {
  uint64_t view = 0;
  Round round;
};
// You were taken for lost: join again, with what you hold.
struct Rejoin {};
struct Goodbye {
  std::string reason;  // empty: the run is finished
};

// ---- from worker to worker
// Histograms of a block over all rows of a member, and of those that send to it, towards the
// block's owner.
struct Part {
  uint64_t view = 0;
  uint64_t round = 0;
  uint32_t block = 0;
  std::string from;
  struct Node {
    uint32_t node = 0;
    Bytes histogram;        // as trees/histogram_block.h encodes it, or the words of a packed one
    bool is_words = false;  // between processes to which bytes cost next to nothing
  };
  std::vector<Node> nodes;
};

using Body = std::variant<Join, Loaded, LoadFailed, Facts, Splits, Heartbeat, Leave, LoadShards,
                          Plan, NextRound, Rejoin, Goodbye, Part>;
struct Message {
  uint64_t epoch = 0;
  Body body;
};

std::string encode(const Message& message);
// The same, behind what is written already.
void encode(const Message& message, ByteWriter& out);
// Histograms stay where the bytes are, if these have an owner.
Result<Message> decode(const Bytes& bytes);
inline Result<Message> decode(std::string_view bytes) { return decode(Bytes{bytes, nullptr}); }

}  // namespace evergrove::cluster
