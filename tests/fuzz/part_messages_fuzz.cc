// What is said of the data before the first tree, as any bytes: no crash, no memory beyond what the
// bytes justify, and what is taken is written back as it was.
//
// The input begins with which message (u8): 0: a description of data. 1: one after the right
// version, of which the partitions are opened. 2: a part to read. 3: facts of a part. 4: facts that
// are right, with bytes altered (at u16, to u8). Else: an end.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "evergrove/base/bytes.h"
#include "evergrove/cluster/message.h"
#include "evergrove/runtime/part_messages.h"
#include "evergrove/source/partitions.h"
#include "evergrove/train/description_part.h"

namespace {

using namespace evergrove;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view without_tag(std::string_view bytes, char tag) {
  require(!bytes.empty() && bytes[0] == tag);
  return bytes.substr(1);
}

void read_describe(std::string_view bytes) {
  const auto data = runtime::decode_describe(bytes);
  if (!data.ok()) return;
  const std::string once = runtime::encode_describe(*data);
  const auto again = runtime::decode_describe(without_tag(once, runtime::kDescribeTag));
  require(again.ok() && runtime::encode_describe(*again) == once);
  for (const source::PartitionSet& set : data->partitions) {
    if (const auto opened = source::open_partitions(set, nullptr); opened.ok()) {
      uint64_t rows = 0;
      for (const source::Partition& one : set.partitions) rows += one.row_count;
      require((*opened)->row_count() == rows);
    }
  }
}

void read_part(std::string_view bytes) {
  const auto part = runtime::decode_part(bytes);
  if (!part.ok()) return;
  const std::string once = runtime::encode_part(*part);
  const auto again = runtime::decode_part(without_tag(once, runtime::kPartTag));
  require(again.ok() && again->number == part->number && runtime::encode_part(*again) == once);
}

void read_facts(std::string_view bytes) {
  auto facts = runtime::decode_facts(bytes);
  if (!facts.ok()) return;
  const std::string once = runtime::encode_facts(*facts);
  auto again = runtime::decode_facts(without_tag(once, runtime::kFactsTag));
  require(again.ok() && again->number == facts->number && again->facts.ok() == facts->facts.ok());
  // Categories are written in the order of a hash table, so that their bytes may change places.
  require(runtime::encode_facts(*again).size() == once.size());
  if (!facts->facts.ok()) return;
  require(again->facts->labels == facts->facts->labels);
  require(again->facts->sums == facts->facts->sums);
  for (size_t i = 0; i < facts->facts->columns.size(); ++i) {
    require(again->facts->columns[i].counts == facts->facts->columns[i].counts);
    require(again->facts->columns[i].sample == facts->facts->columns[i].sample);
    require(again->facts->columns[i].zeros == facts->facts->columns[i].zeros);
  }
}

void read_end(std::string_view bytes) {
  const Status why = runtime::decode_end(bytes);
  const std::string once = runtime::encode_end(why);
  const Status again = runtime::decode_end(without_tag(once, runtime::kEndTag));
  require(again.kind() == why.kind() && again.message() == why.message());
}

std::string right_facts() {
  train::PartFacts facts;
  train::LabelFacts labels;
  labels.numbers[0] = labels.numbers[1] = {.first_row = 3, .training_rows = 5, .counted_rows = 5};
  labels.names["yes"] = labels.all = {.first_row = 1, .weight = 7, .weight_max = 2};
  labels.missing.add(9);
  facts.labels = labels;
  facts.sums = train::LabelSums{.target = -5, .fine_rows = 2};
  facts.columns.resize(2);
  facts.columns[0].sample = {1.5, -2, 1e300};
  facts.columns[0].zeros = 7;
  facts.columns[1].counts = {{"a", 1}, {"bc", 300}};
  return runtime::encode_facts({.number = 1, .facts = std::move(facts)}).substr(1);
}

std::string altered_facts(std::string_view input) {
  static const std::string kRight = right_facts();
  std::string bytes = kRight;
  ByteReader in(input);
  while (in.ok()) {
    const size_t at = in.u8() + size_t{256} * in.u8();
    const char to = static_cast<char>(in.u8());
    if (in.ok()) bytes[at % bytes.size()] = to;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 0) {
    read_describe(rest);
  } else if (data[0] == 1) {
    read_describe(ByteWriter().u32(cluster::kProtocolVersion).take().append(rest));
  } else if (data[0] == 2) {
    read_part(rest);
  } else if (data[0] == 3) {
    read_facts(rest);
  } else if (data[0] == 4) {
    read_facts(altered_facts(rest));
  } else {
    read_end(rest);
  }
  return 0;
}
