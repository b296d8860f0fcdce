// ClusterDescription: a coordinator's part in having its data described by the workers that are
// there; and by itself while there are none, so that bad data is refused before a machine is
// rented.
//
// Not safe for several threads; the owner hands it what arrives.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto describing, ClusterDescription::begin(request, send, on_read));
//   while (!describing->is_complete()) ...   // opened(), received(), closed(), read_here()
//   train::RunDescription run = describing->finish();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "evergrove/cluster/part_board.h"
#include "evergrove/runtime/part_reader.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/train/description.h"

namespace evergrove::runtime {

struct ClusterDescriptionRequest {
  train::DataSpec spec;
  DataDescription data;  // what spec was opened from
  train::Parameters parameters;
  const train::RunHeader* known = nullptr;  // of a run that is resumed
  int threads = 0;                          // for what is read here
  train::PartSizes sizes;
};

class ClusterDescription {
 public:
  using Send = std::function<void(ConnectionId to, std::string bytes)>;

  // on_read: called from another thread; the owner is to call read_here() with it.
  static Result<std::unique_ptr<ClusterDescription>> begin(ClusterDescriptionRequest request,
                                                           Send send, PartReader::Callback on_read);

  // To be called now and then: reads here if nobody else does, and if it can be read here. Not
  // sooner, for workers that were started together with the coordinator are there in a moment.
  void tick();
  void opened(ConnectionId connection);
  // Whatever the message is, of workers and others. Fails where the run does.
  Status received(ConnectionId connection, std::string_view bytes);
  Status closed(ConnectionId connection);
  Status read_here(NumberedFacts facts);

  bool is_complete() const { return description_.is_complete(); }
  double share() const;
  size_t reader_count() const { return board_.reader_count() - (reads_here_ ? 1 : 0); }
  // Requires: is_complete(), and no other call after it.
  train::RunDescription finish() { return description_.finish(); }

 private:
  ClusterDescription(ClusterDescriptionRequest request, train::Description description, Send send,
                     PartReader::Callback on_read);
  void begin_phase();
  void stop_reading_here();
  void ask();
  Status take(uint64_t reader, NumberedFacts facts);

  ClusterDescriptionRequest request_;
  train::Description description_;
  Send send_;
  std::unique_ptr<PartReader> own_reader_;
  bool reads_here_ = false;
  std::string describe_bytes_;
  std::vector<train::PartRequest> requests_;  // of the phase
  uint64_t first_number_ = 0;                 // of them
  cluster::PartBoard board_{0};
  std::set<ConnectionId> readers_;
};

}  // namespace evergrove::runtime
