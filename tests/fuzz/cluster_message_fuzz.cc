// Any bytes as a message of a cluster, and as histograms in it: no crash, no memory beyond what the
// bytes justify, and what is taken is written back as it was.
//
// The input begins with how: 0: the rest is a message. 1: the rest is what follows version and
// epoch. Else: a message that is made up (type u8, seed u8), with bytes altered (at u16, to u8).
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "evergrove/cluster/message.h"
#include "evergrove/cluster/testing_messages.h"
#include "evergrove/trees/histogram_block.h"

namespace {

using namespace evergrove;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string front() {
  ByteWriter out;
  out.u32(cluster::kProtocolVersion).u64(5);
  return out.take();
}

std::string altered_message(std::string_view input) {
  ByteReader in(input);
  const size_t type = in.u8() % cluster::kTypeCount;
  std::string bytes = cluster::encode(cluster::random_message(type, in.u8()));
  while (in.ok()) {
    const size_t at = in.u8() + size_t{256} * in.u8();
    bytes[at % bytes.size()] = static_cast<char>(in.u8());
  }
  return bytes;
}

// A block is refused and changes nothing, or has the sums that it says.
void add_histogram(std::string_view bytes, size_t bin_count) {
  trees::Histogram sum = trees::wide_histogram(bin_count);
  if (!trees::add_block(bytes, sum).ok()) {
    for (size_t bin = 0; bin < bin_count; ++bin) require(sum.at(bin) == trees::Sums{});
    return;
  }
  trees::Histogram again = trees::wide_histogram(bin_count);
  require(trees::add_block(trees::encode_block(sum, 0, bin_count), again).ok());
  for (size_t bin = 0; bin < bin_count; ++bin) {
    require(sum.count[bin] == 0 || sum.at(bin) == again.at(bin));
  }
}

void decode(const std::string& bytes) {
  const auto message = cluster::decode(bytes);
  if (!message.ok()) return;
  const std::string once = cluster::encode(*message);
  const auto again = cluster::decode(once);
  require(again.ok() && cluster::encode(*again) == once);
  if (const auto* part = std::get_if<cluster::Part>(&message->body)) {
    for (const cluster::Part::Node& node : part->nodes) {
      for (const size_t bin_count : {0, 1, 8, 29}) add_histogram(node.histogram.view, bin_count);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 0) {
    decode(std::string(rest));
  } else if (data[0] == 1) {
    decode(front().append(rest));
  } else {
    decode(altered_message(rest));
  }
  // Straight to the histograms, too.
  for (const size_t bin_count : {1, 12}) add_histogram(std::string(rest), bin_count);
  return 0;
}
