// Any bytes as the set-up of a worker or as a batch of messages: no crash, no memory beyond what
// the bytes justify, and what is taken is written back as it was.
//
// The input begins with how: 0: the rest is all bytes. Else: it follows a header that is right.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "evergrove/base/bytes.h"
#include "evergrove/runtime/cluster_setup.h"
#include "evergrove/train/run_record.h"

namespace {

using namespace evergrove;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string front() {
  train::RunHeader header;
  header.label = "label";
  header.classes = {"no", "yes"};
  header.base_margins = {0};
  header.valid_names = {"valid"};
  model::Feature feature;
  feature.name = "amount";
  feature.cuts = {1, 2, 3};
  header.features = {feature};
  ByteWriter out;
  out.u32(cluster::kProtocolVersion).string(train::encode_header(header));
  return out.take();
}

void read_setup(std::string_view bytes) {
  const auto setup = runtime::decode_setup(bytes);
  if (!setup.ok()) return;
  const std::string once = runtime::encode_setup(*setup);
  require(once[0] == runtime::kSetupTag);
  const auto again = runtime::decode_setup(std::string_view(once).substr(1));
  require(again.ok() && runtime::encode_setup(*again) == once);
}

void read_messages(std::string_view bytes) {
  const auto messages = runtime::decode_messages({bytes, nullptr});
  if (!messages.ok() || messages->empty()) return;
  runtime::MessageBatch batch;
  for (const cluster::Message& message : *messages) batch.add(message);
  const std::string once = batch.take();
  require(once[0] == runtime::kMessagesTag && batch.empty());
  const auto again = runtime::decode_messages({std::string_view(once).substr(1), nullptr});
  require(again.ok() && again->size() == messages->size());
  for (const cluster::Message& message : *again) batch.add(message);
  require(batch.take() == once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_messages(rest);
  if (data[0] == 0) {
    read_setup(rest);
  } else {
    static const std::string right = front();
    read_setup(right + std::string(rest));
  }
  return 0;
}
