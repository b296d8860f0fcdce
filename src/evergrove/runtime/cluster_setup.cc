// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cluster_setup.h"

#include <cmath>
#include <utility>

#include "evergrove/base/bytes.h"

namespace evergrove::runtime {

void MessageBatch::add(const cluster::Message& message) {
  if (empty()) bytes_.u8(static_cast<uint8_t>(kMessagesTag));
  const size_t place = bytes_.bytes().size();
  bytes_.u32(0);
  const size_t begin = bytes_.size();
  cluster::encode(message, bytes_);
  bytes_.set_u32(place, static_cast<uint32_t>(bytes_.size() - begin));
}

Result<std::vector<cluster::Message>> decode_messages(Bytes bytes) {
  std::vector<cluster::Message> messages;
  while (!bytes.view.empty()) {
    ByteReader in(bytes.view);
    const uint32_t size = in.u32();
    if (!in.ok() || size > bytes.view.size() - 4) {
      return corrupt("A batch of messages is not what it should be");
    }
    EVERGROVE_ASSIGN_OR_RETURN(messages.emplace_back(), cluster::decode(bytes.from(4).first(size)));
    bytes.view.remove_prefix(4 + size);
  }
  return messages;
}

std::string encode_setup(const ClusterSetup& setup) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(kSetupTag)).u32(cluster::kProtocolVersion);
  out.string(train::encode_header(setup.run.header));
  setup.run.weight_facts.encode(out);
  out.u32(static_cast<uint32_t>(setup.run.weight_max_by_set.size()));
  for (double weight_max : setup.run.weight_max_by_set) out.f64(weight_max);
  out.f64(setup.run.training_weight_max);
  setup.data.encode(out);
  out.u32(static_cast<uint32_t>(setup.shards.size()));
  for (const train::Shard& shard : setup.shards) shard.encode(out);
  return out.take();
}

Result<ClusterSetup> decode_setup(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u32() != cluster::kProtocolVersion) {
    return unsupported("The coordinator is of another version; run one version everywhere");
  }
  ClusterSetup setup;
  const std::string header = in.string();
  EVERGROVE_ASSIGN_OR_RETURN(setup.run.header, train::decode_header(header));
  EVERGROVE_ASSIGN_OR_RETURN(setup.run.weight_facts, train::WeightFacts::decode(in));
  const uint32_t set_count = in.count(8);
  for (uint32_t i = 0; i < set_count; ++i) {
    const double weight_max = setup.run.weight_max_by_set.emplace_back(in.f64());
    if (!(weight_max >= 0 && std::isfinite(weight_max))) in.fail();
  }
  setup.run.training_weight_max = in.f64();
  if (!(setup.run.training_weight_max >= 0 && std::isfinite(setup.run.training_weight_max)))
    in.fail();
  EVERGROVE_ASSIGN_OR_RETURN(setup.data, DataDescription::decode(in));
  const uint32_t shard_count = in.count(8);
  for (uint32_t i = 0; i < shard_count && in.ok(); ++i) {
    EVERGROVE_ASSIGN_OR_RETURN(setup.shards.emplace_back(), train::Shard::decode(in));
  }
  if (!in.at_end()) return corrupt("The set-up of the run is not what it should be");
  return setup;
}

}  // namespace evergrove::runtime
