// Any bytes as a file of binned rows, behind a right key and before a right checksum: refused, or
// rows that are written back as they were. No memory beyond what the shard and the bytes justify.
//
// The input is the kind of run (u8), then the sets of the file.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "evergrove/runtime/shard_file.h"
#include "evergrove/source/content_hash.h"

namespace {

using namespace evergrove;

constexpr uint64_t kRows = 6;

// A small run: its objective, weights, held-out rows and width of bins by the bits of `kind`.
train::RunHeader header_of(uint8_t kind) {
  train::RunHeader header;
  header.parameters.objective =
      (kind & 1) != 0 ? model::ObjectiveKind::regression : model::ObjectiveKind::multiclass;
  header.classes = {"a", "b", "c"};
  if ((kind & 2) != 0) header.weight = "w";
  if ((kind & 4) != 0) header.valid_names = {"valid"};
  model::Feature number;
  number.cuts = {1, 2, 3};
  if ((kind & 8) != 0) {
    for (int i = 4; i < 400; ++i) number.cuts.push_back(i);
  }
  model::Feature text;
  text.kind = table::ColumnKind::categorical;
  text.categories = {"x", "y"};
  header.features = {number, text};
  return header;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const train::RunHeader header = header_of(data[0]);
  train::Shard shard;
  shard.row_count = kRows;
  const runtime::ShardKey key = {1, 2, 3};
  std::string file = "EVERGROVE BIN 1\n";
  file.append(reinterpret_cast<const char*>(key.data()), key.size());
  file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  source::ContentHash hash;
  hash.update(file);
  file += hash.hex();
  std::string_view rest = file;
  const auto rows = runtime::read_shard_file(key, header, shard, file.size(),
                                             [&](void* to, size_t byte_count) -> Status {
                                               if (byte_count > rest.size()) std::abort();
                                               if (byte_count > 0)
                                                 std::memcpy(to, rest.data(), byte_count);
                                               rest.remove_prefix(byte_count);
                                               return {};
                                             });
  if (!rows.ok()) return 0;
  if (runtime::shard_file_bytes(header, *rows) != file.size()) std::abort();
  std::string written;
  const Status status =
      runtime::write_shard_file(key, *rows, [&](std::string_view bytes) -> Status {
        written += bytes;
        return {};
      });
  if (!status.ok() || written != file) std::abort();
  return 0;
}
