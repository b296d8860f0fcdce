// ClusterSetup: what a coordinator tells a worker once, before anything else: the run's header and
// facts, where the data is, and its shards. Travels beside the messages of cluster/message.h, told
// apart by the first byte.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/cluster/worker.h"
#include "evergrove/runtime/data_description.h"
#include "evergrove/train/shard.h"

namespace evergrove::runtime {

struct ClusterSetup {
  cluster::RunSetup run;
  DataDescription data;
  std::vector<train::Shard> shards;
};

inline constexpr char kSetupTag = 's';
inline constexpr char kMessagesTag = 'm';

// Messages to one place that are said at once travel as one: each after its length (u32).
class MessageBatch {
 public:
  void add(const cluster::Message& message);
  // With the tag in front; the batch is empty again.
  std::string take() { return bytes_.take(); }
  // The same; what is large was not copied.
  std::vector<Bytes> take_pieces() { return bytes_.take_pieces(); }
  bool empty() const { return bytes_.bytes().empty(); }

 private:
  ByteWriter bytes_;
};
// Without the tag.
Result<std::vector<cluster::Message>> decode_messages(Bytes bytes);

// With the tag in front.
std::string encode_setup(const ClusterSetup& setup);
// Without it.
Result<ClusterSetup> decode_setup(std::string_view bytes);

}  // namespace evergrove::runtime
