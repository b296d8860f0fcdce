// describe: u32 protocol version | data description; part: u64 number | request
// facts: u64 number | u8 status kind | facts, or the message; end: u8 status kind | message
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/part_messages.h"

#include "evergrove/base/bytes.h"
#include "evergrove/cluster/message.h"

namespace evergrove::runtime {
namespace {

ByteWriter tagged(char tag) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(tag));
  return out;
}

Status no_message() {
  return corrupt("A message about a part of the data is not what it should be");
}

void write_status(const Status& status, ByteWriter& out) {
  out.u8(static_cast<uint8_t>(status.kind()));
  if (!status.ok()) out.string(status.message());
}
// Fails on what is no kind.
Status read_status(ByteReader& in) {
  const uint8_t kind = in.u8();
  if (kind > static_cast<uint8_t>(StatusKind::internal)) in.fail();
  if (!in.ok() || kind == static_cast<uint8_t>(StatusKind::ok)) return {};
  return {static_cast<StatusKind>(kind), in.string()};
}

}  // namespace

std::string encode_describe(const DataDescription& data) {
  ByteWriter out = tagged(kDescribeTag);
  out.u32(cluster::kProtocolVersion);
  data.encode(out);
  return out.take();
}

Result<DataDescription> decode_describe(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u32() != cluster::kProtocolVersion) {
    return unsupported("The coordinator is of another version; run one version everywhere");
  }
  EVERGROVE_ASSIGN_OR_RETURN(DataDescription data, DataDescription::decode(in));
  if (!in.at_end()) return no_message();
  return data;
}

std::string encode_part(const NumberedRequest& request) {
  ByteWriter out = tagged(kPartTag);
  out.u64(request.number);
  request.request.encode(out);
  return out.take();
}

Result<NumberedRequest> decode_part(std::string_view bytes) {
  ByteReader in(bytes);
  NumberedRequest request;
  request.number = in.u64();
  EVERGROVE_ASSIGN_OR_RETURN(request.request, train::PartRequest::decode(in));
  if (!in.at_end()) return no_message();
  return request;
}

std::string encode_facts(const NumberedFacts& facts) {
  ByteWriter out = tagged(kFactsTag);
  out.u64(facts.number);
  write_status(facts.facts.status(), out);
  if (facts.facts.ok()) facts.facts->encode(out);
  return out.take();
}

Result<NumberedFacts> decode_facts(std::string_view bytes) {
  ByteReader in(bytes);
  NumberedFacts facts;
  facts.number = in.u64();
  Status status = read_status(in);
  if (status.ok() && in.ok()) {
    EVERGROVE_ASSIGN_OR_RETURN(facts.facts, train::PartFacts::decode(in));
  } else {
    facts.facts = std::move(status);
  }
  if (!in.at_end()) return no_message();
  return facts;
}

std::string encode_end(const Status& why) {
  ByteWriter out = tagged(kEndTag);
  write_status(why, out);
  return out.take();
}

Status decode_end(std::string_view bytes) {
  ByteReader in(bytes);
  Status why = read_status(in);
  return in.at_end() ? why : no_message();
}

}  // namespace evergrove::runtime
