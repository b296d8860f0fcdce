// What coordinator and workers say to each other while the data is described, before there is a
// set-up (cluster_setup.h). Told apart by the first byte, which encoding puts in front and decoding
// is not given.
//
//   coordinator to worker   DescribeTag: what the data is; PartTag: a part to read; EndTag: a
//   refusal worker to coordinator   ReaderTag: reads parts; FactsTag: what a part said, or why it
//   said not
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/runtime/data_description.h"
#include "evergrove/train/description_part.h"

namespace evergrove::runtime {

inline constexpr char kDescribeTag = 'd';
inline constexpr char kReaderTag = 'w';
inline constexpr char kPartTag = 'p';
inline constexpr char kFactsTag = 'f';
inline constexpr char kEndTag = 'e';

std::string encode_describe(const DataDescription& data);
Result<DataDescription> decode_describe(std::string_view bytes);

// number: of the part in this run of the coordinator; an answer has it too.
struct NumberedRequest {
  uint64_t number = 0;
  train::PartRequest request;
};
std::string encode_part(const NumberedRequest& request);
Result<NumberedRequest> decode_part(std::string_view bytes);

struct NumberedFacts {
  uint64_t number = 0;
  Result<train::PartFacts> facts = train::PartFacts{};
};
std::string encode_facts(const NumberedFacts& facts);
Result<NumberedFacts> decode_facts(std::string_view bytes);

// The end of the run for a worker, and why.
std::string encode_end(const Status& why);
Status decode_end(std::string_view bytes);

}  // namespace evergrove::runtime
