// One overload of write() and read() a type, in a struct so that each sees all; lists are a count
// and their items.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/message.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "evergrove/base/bytes.h"

namespace evergrove::cluster {
namespace {

struct Codec {
  static void write(ByteWriter& out, uint32_t v) { out.u32(v); }
  static void write(ByteWriter& out, uint64_t v) { out.u64(v); }
  static void write(ByteWriter& out, const std::string& v) { out.string(v); }
  static void read(ByteReader& in, uint32_t& v) { v = in.u32(); }
  static void read(ByteReader& in, uint64_t& v) { v = in.u64(); }
  static void read(ByteReader& in, std::string& v) { v = in.string(); }

  static bool read_flag(ByteReader& in) {
    const uint8_t flag = in.u8();
    if (flag > 1) in.fail();
    return flag == 1;
  }
  // Never NaN, which would be neither more nor less than what it is compared with.
  static double read_number(ByteReader& in) {
    const double number = in.f64();
    if (std::isnan(number)) in.fail();
    return number;
  }

  template <typename T>
  static void write(ByteWriter& out, const std::vector<T>& items) {
    out.u32(static_cast<uint32_t>(items.size()));
    for (const T& item : items) write(out, item);
  }
  // Grows as items are read, so that a count without items takes nothing.
  template <typename T>
  static void read(ByteReader& in, std::vector<T>& items) {
    const uint32_t count = in.count(1);
    for (uint32_t i = 0; i < count && in.ok(); ++i) read(in, items.emplace_back());
  }

  static void write(ByteWriter& out, const model::Tree& tree) { model::write_tree(tree, out); }
  static void read(ByteReader& in, model::Tree& tree) { tree = model::read_tree(in); }

  static void write(ByteWriter& out, const trees::Sums& sums) {
    out.i64(sums.g).i64(sums.h).i64(sums.count);
  }
  static void read(ByteReader& in, trees::Sums& sums) {
    sums.g = in.i64();
    sums.h = in.i64();
    sums.count = in.i64();
  }

  static void write(ByteWriter& out, const trees::Split& split) {
    out.f64(split.gain).i32(split.feature).u32(split.bin_last).u8(split.missing_left);
    write(out, split.left);
    write(out, split.bins_left);
  }
  static void read(ByteReader& in, trees::Split& split) {
    split.gain = read_number(in);
    split.feature = in.i32();
    split.bin_last = in.u32();
    split.missing_left = read_flag(in);
    read(in, split.left);
    read(in, split.bins_left);
  }

  static void write(ByteWriter& out, const Expansion::Child& child) {
    out.u32(child.node).u32(child.depth).u64(child.path).u8(child.is_searched);
    write(out, child.sums);
  }
  static void read(ByteReader& in, Expansion::Child& child) {
    child.node = in.u32();
    child.depth = in.u32();
    child.path = in.u64();
    child.is_searched = read_flag(in);
    read(in, child.sums);
  }

  static void write(ByteWriter& out, const Expansion& expansion) {
    out.u32(expansion.node);
    write(out, expansion.split);
    write(out, expansion.left);
    write(out, expansion.right);
  }
  static void read(ByteReader& in, Expansion& expansion) {
    expansion.node = in.u32();
    read(in, expansion.split);
    read(in, expansion.left);
    read(in, expansion.right);
  }

  template <typename T>
  static void read_checked(ByteReader& in, T& value) {
    Result<T> read = T::decode(in);
    if (read.ok()) {
      value = std::move(read).value();
    } else {
      in.fail();
    }
  }
  static void write(ByteWriter& out, const train::GradientScale& scale) { scale.encode(out); }
  static void read(ByteReader& in, train::GradientScale& scale) { read_checked(in, scale); }
  static void write(ByteWriter& out, const train::MetricSummary& summary) { summary.encode(out); }
  static void read(ByteReader& in, train::MetricSummary& summary) { read_checked(in, summary); }

  static void write(ByteWriter& out, const Level::Node& node) {
    out.u32(node.node);
    write(out, node.sums);
  }
  static void read(ByteReader& in, Level::Node& node) {
    node.node = in.u32();
    read(in, node.sums);
  }
  static void write(ByteWriter& out, const Round& round) {
    out.u64(round.number).u8(static_cast<uint8_t>(round.kind)).u8(round.finish.has_value());
    if (round.finish) {
      write(out, round.finish->tree);
      write(out, round.finish->leaves);
    }
    write(out, round.scale);
    write(out, round.expansions);
    out.u32(round.level.depth);
    write(out, round.level.nodes);
    write(out, round.nodes);
    write(out, round.blocks);
    out.u64(round.iteration_count);
  }
  static void read(ByteReader& in, Round& round) {
    round.number = in.u64();
    const uint8_t kind = in.u8();
    constexpr auto kLast = static_cast<uint8_t>(RoundKind::appraise);
    if (kind > kLast) in.fail();
    round.kind = static_cast<RoundKind>(std::min(kind, kLast));
    if (read_flag(in)) {
      round.finish.emplace();
      read(in, round.finish->tree);
      read(in, round.finish->leaves);
    }
    read(in, round.scale);
    read(in, round.expansions);
    round.level.depth = in.u32();
    read(in, round.level.nodes);
    read(in, round.nodes);
    read(in, round.blocks);
    round.iteration_count = in.u64();
  }

  static void write(ByteWriter& out, const Member& member) {
    out.string(member.name).string(member.address);
    write(out, member.shards);
  }
  static void read(ByteReader& in, Member& member) {
    member.name = in.string();
    member.address = in.string();
    read(in, member.shards);
  }

  static void write(ByteWriter& out, const NodeSplit& found) {
    out.u32(found.node);
    write(out, found.split);
  }
  static void read(ByteReader& in, NodeSplit& found) {
    found.node = in.u32();
    read(in, found.split);
  }

  static void write(ByteWriter& out, const Part::Node& node) {
    out.u32(node.node).u8(node.is_words).attached_string(node.histogram);
  }
  static void read(ByteReader& in, Part::Node& node) {
    node.node = in.u32();
    node.is_words = read_flag(in);
    node.histogram = in.shared_string();
  }

  // ---- whole messages

  static void write(ByteWriter& out, const Join& m) {
    out.string(m.name).string(m.address).u32(m.threads);
    write(out, m.shards);
    out.u64(m.memory_bytes);
  }
  static void read(ByteReader& in, Join& m) {
    m.name = in.string();
    m.address = in.string();
    m.threads = in.u32();
    read(in, m.shards);
    m.memory_bytes = in.u64();
  }
  static void write(ByteWriter& out, const Loaded& m) { write(out, m.shards); }
  static void read(ByteReader& in, Loaded& m) { read(in, m.shards); }
  static void write(ByteWriter& out, const LoadFailed& m) {
    write(out, m.shards);
    out.string(m.reason);
  }
  static void read(ByteReader& in, LoadFailed& m) {
    read(in, m.shards);
    m.reason = in.string();
  }
  static void write(ByteWriter& out, const Facts& m) {
    out.u64(m.view).u64(m.round).f64(m.largest_gradient);
    m.tally.encode(out);
    write(out, m.metrics);
  }
  static void read(ByteReader& in, Facts& m) {
    m.view = in.u64();
    m.round = in.u64();
    m.largest_gradient = read_number(in);
    if (m.largest_gradient < 0) in.fail();
    read_checked(in, m.tally);
    read(in, m.metrics);
  }
  static void write(ByteWriter& out, const Splits& m) {
    out.u64(m.view).u64(m.round).u32(m.block);
    write(out, m.root);
    out.f64(m.shared_gain);
    write(out, m.splits);
  }
  static void read(ByteReader& in, Splits& m) {
    m.view = in.u64();
    m.round = in.u64();
    m.block = in.u32();
    read(in, m.root);
    m.shared_gain = read_number(in);
    read(in, m.splits);
  }
  static void write(ByteWriter& out, const Heartbeat& m) {
    out.u64(m.view).u64(m.round).u64(m.busy_us);
  }
  static void read(ByteReader& in, Heartbeat& m) {
    m.view = in.u64();
    m.round = in.u64();
    m.busy_us = in.u64();
  }
  static void write(ByteWriter&, const Leave&) {}
  static void read(ByteReader&, Leave&) {}
  static void write(ByteWriter& out, const LoadShards& m) {
    write(out, m.shards);
    write(out, m.kept);
    out.u64(m.number);
  }
  static void read(ByteReader& in, LoadShards& m) {
    read(in, m.shards);
    read(in, m.kept);
    m.number = in.u64();
  }
  static void write(ByteWriter& out, const Plan& m) {
    out.u64(m.view.number);
    write(out, m.view.members);
    write(out, m.view.block_owners);
    out.u32(m.view.fan_in);
    out.u64(m.first_iteration);
    write(out, m.iterations);
    out.u64(m.state.iteration).u64(m.state.begun);
    write(out, m.state.finished);
    write(out, m.state.scale);
    write(out, m.state.expansions);
    out.u64(m.last_round);
    write(out, m.rounds);
  }
  static void read(ByteReader& in, Plan& m) {
    m.view.number = in.u64();
    read(in, m.view.members);
    read(in, m.view.block_owners);
    for (uint32_t owner : m.view.block_owners) {
      if (owner >= m.view.members.size()) in.fail();
    }
    m.view.fan_in = in.u32();
    m.first_iteration = in.u64();
    read(in, m.iterations);
    m.state.iteration = in.u64();
    m.state.begun = in.u64();
    read(in, m.state.finished);
    read(in, m.state.scale);
    read(in, m.state.expansions);
    m.last_round = in.u64();
    read(in, m.rounds);
  }
  static void write(ByteWriter& out, const NextRound& m) {
    out.u64(m.view);
    write(out, m.round);
  }
  static void read(ByteReader& in, NextRound& m) {
    m.view = in.u64();
    read(in, m.round);
  }
  static void write(ByteWriter&, const Rejoin&) {}
  static void read(ByteReader&, Rejoin&) {}
  static void write(ByteWriter& out, const Goodbye& m) { out.string(m.reason); }
  static void read(ByteReader& in, Goodbye& m) { m.reason = in.string(); }
  static void write(ByteWriter& out, const Part& m) {
    out.u64(m.view).u64(m.round).u32(m.block).string(m.from);
    write(out, m.nodes);
  }
  static void read(ByteReader& in, Part& m) {
    m.view = in.u64();
    m.round = in.u64();
    m.block = in.u32();
    m.from = in.string();
    read(in, m.nodes);
  }
};

template <size_t... kIndex>
void read_body(ByteReader& in, uint8_t type, Body& body, std::index_sequence<kIndex...>) {
  const bool known = ((type == kIndex && (Codec::read(in, body.emplace<kIndex>()), true)) || ...);
  if (!known) in.fail();
}

}  // namespace

void encode(const Message& message, ByteWriter& out) {
  out.u32(kProtocolVersion).u64(message.epoch).u8(static_cast<uint8_t>(message.body.index()));
  std::visit([&](const auto& body) { Codec::write(out, body); }, message.body);
}

std::string encode(const Message& message) {
  ByteWriter out;
  encode(message, out);
  return out.take();
}

Result<Message> decode(const Bytes& bytes) {
  ByteReader in(bytes);
  const uint32_t version = in.u32();
  if (in.ok() && version != kProtocolVersion) {
    return unsupported(
        "A peer speaks another version of the protocol; run one version everywhere",
        {{"its version", std::to_string(version)}, {"ours", std::to_string(kProtocolVersion)}});
  }
  Message message;
  message.epoch = in.u64();
  const uint8_t type = in.u8();
  read_body(in, type, message.body, std::make_index_sequence<std::variant_size_v<Body>>());
  if (!in.at_end()) return corrupt("A message is not what it should be");
  return message;
}

}  // namespace evergrove::cluster
