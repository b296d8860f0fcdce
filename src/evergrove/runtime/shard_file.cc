// file = 16 bytes magic | 32 bytes key | set, of the training rows and then of each validation set
//      | 32 hex digits of the XXH3 of all bytes before
// set  = u64 rows | u32 segments | (u64 first row | u64 rows) each | bins, feature by feature
//      | classes or targets | weights, if the run has some
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/shard_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "evergrove/base/bytes.h"
#include "evergrove/source/content_hash.h"

namespace evergrove::runtime {
namespace {

using train::Dataset;
using train::RunHeader;
using train::TrainingData;

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie");

constexpr std::string_view kMagic = "EVERGROVE BIN 1\n";
constexpr uint64_t kChecksumBytes = 32;
constexpr uint64_t kSetHeadBytes = 12;
constexpr uint64_t kSegmentBytes = 16;
constexpr uint64_t kRowsMax = uint64_t{1} << 60;

bool is_regression(const RunHeader& header) {
  return header.parameters.objective == model::ObjectiveKind::regression;
}

uint64_t bytes_a_row(const RunHeader& header) {
  const auto bin_bytes =
      static_cast<uint64_t>(bins::BinMatrix(size_t{0}, header.features).bin_bytes());
  return header.features.size() * bin_bytes + (is_regression(header) ? 8 : 2) +
         (header.weight.empty() ? 0 : 4);
}

Status refuse(std::string_view what) {
  return corrupt("A file of binned rows is not what it should be", {{"what", std::string(what)}});
}

template <typename T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Validation sets have no columns any more; theirs are made of the rows.
template <typename Bin>
Status write_columns(const bins::BinMatrix& bins, bool has_columns, const WriteBytes& write) {
  std::vector<Bin> column(bins.row_count());
  for (size_t feature = 0; feature < bins.feature_count(); ++feature) {
    if (has_columns) {
      bins.copy_column(feature, 0, std::span(column));
    } else {
      for (size_t row = 0; row < column.size(); ++row) {
        column[row] = static_cast<Bin>(bins.bin(row, feature));
      }
    }
    EVERGROVE_RETURN_IF_ERROR(write(bytes_of(column)));
  }
  return {};
}

Status write_set(const Dataset& set, bool has_columns, const WriteBytes& write) {
  ByteWriter head;
  head.u64(set.row_count()).u32(static_cast<uint32_t>(set.segments.size()));
  for (const train::RowSegment& segment : set.segments) {
    head.u64(segment.first_row).u64(segment.row_count);
  }
  EVERGROVE_RETURN_IF_ERROR(write(head.bytes()));
  EVERGROVE_RETURN_IF_ERROR(set.bins.bin_bytes() == 1
                                ? write_columns<uint8_t>(set.bins, has_columns, write)
                                : write_columns<uint16_t>(set.bins, has_columns, write));
  EVERGROVE_RETURN_IF_ERROR(write(bytes_of(set.classes)));
  EVERGROVE_RETURN_IF_ERROR(write(bytes_of(set.targets)));
  return write(bytes_of(set.weights));
}

// The bytes of a file one after the other, counted and hashed.
class ShardBytes {
 public:
  ShardBytes(uint64_t file_bytes, const ReadBytes& read) : left_(file_bytes), read_(read) {}

  bool has(uint64_t byte_count) const { return byte_count <= left_; }
  uint64_t left() const { return left_; }
  std::string checksum() const { return hash_.hex(); }
  Status read(void* to, uint64_t byte_count) {
    if (!has(byte_count)) return refuse("its length");
    EVERGROVE_RETURN_IF_ERROR(read_(to, byte_count));
    hash_.update(to, byte_count);
    left_ -= byte_count;
    return {};
  }
  Result<std::string> text(uint64_t byte_count) {
    if (!has(byte_count)) return refuse("its length");
    std::string bytes(byte_count, '\0');
    EVERGROVE_RETURN_IF_ERROR(read(bytes.data(), byte_count));
    return bytes;
  }
  // Requires: has() so many.
  template <typename T>
  Status array(uint64_t count, std::vector<T>& to) {
    to.resize(count);
    return read(to.data(), count * sizeof(T));
  }

 private:
  uint64_t left_;
  const ReadBytes& read_;
  source::ContentHash hash_;
};

Status read_segments(ShardBytes& in, uint64_t row_count, uint32_t segment_count,
                     std::vector<train::RowSegment>& segments) {
  if (segment_count > row_count || !in.has(segment_count * kSegmentBytes)) {
    return refuse("places of rows");
  }
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, in.text(segment_count * kSegmentBytes));
  ByteReader places(bytes);
  uint64_t placed = 0;
  for (uint32_t i = 0; i < segment_count; ++i) {
    const uint64_t first_row = places.u64();
    const uint64_t rows = places.u64();
    if (rows == 0 || rows > row_count - placed || first_row > kRowsMax) {
      return refuse("places of rows");
    }
    placed += rows;
    segments.push_back({first_row, rows});
  }
  return placed == row_count ? Status() : refuse("places of rows");
}

// A bin that its feature does not have would be counted beside the histogram.
template <typename Bin>
Status read_columns(ShardBytes& in, bins::BinMatrix& bins) {
  for (size_t feature = 0; feature < bins.feature_count(); ++feature) {
    Bin* column = bins.column<Bin>(feature);
    EVERGROVE_RETURN_IF_ERROR(in.read(column, bins.row_count() * sizeof(Bin)));
    Bin largest = 0;
    for (size_t row = 0; row < bins.row_count(); ++row) largest = std::max(largest, column[row]);
    if (largest >= bins.bin_count(feature)) return refuse("bins");
  }
  return {};
}

Status read_labels(ShardBytes& in, const RunHeader& header, Dataset& set) {
  const auto is_finite = [](double value) { return std::isfinite(value); };
  if (is_regression(header)) {
    EVERGROVE_RETURN_IF_ERROR(in.array(set.row_count(), set.targets));
    if (!std::all_of(set.targets.begin(), set.targets.end(), is_finite)) return refuse("labels");
  } else {
    EVERGROVE_RETURN_IF_ERROR(in.array(set.row_count(), set.classes));
    for (uint16_t label : set.classes) {
      if (label >= header.classes.size()) return refuse("labels");
    }
  }
  if (header.weight.empty()) return {};
  EVERGROVE_RETURN_IF_ERROR(in.array(set.row_count(), set.weights));
  for (float weight : set.weights) {
    if (!std::isfinite(weight) || weight < 0) return refuse("weights");
  }
  return {};
}

// Takes the set's rows from those of the shard that are not in a set yet.
Status read_set(ShardBytes& in, const RunHeader& header, uint64_t& rows_left, Dataset& set) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, in.text(kSetHeadBytes));
  ByteReader head(bytes);
  const uint64_t row_count = head.u64();
  const uint32_t segment_count = head.u32();
  if (row_count > rows_left || row_count > in.left() / bytes_a_row(header)) {
    return refuse("number of rows");
  }
  rows_left -= row_count;
  EVERGROVE_RETURN_IF_ERROR(read_segments(in, row_count, segment_count, set.segments));
  if (!in.has(row_count * bytes_a_row(header))) return refuse("its length");
  set.bins = bins::BinMatrix(row_count, header.features);
  EVERGROVE_RETURN_IF_ERROR(set.bins.bin_bytes() == 1 ? read_columns<uint8_t>(in, set.bins)
                                                      : read_columns<uint16_t>(in, set.bins));
  return read_labels(in, header, set);
}

}  // namespace

uint64_t shard_file_bytes(const RunHeader& header, const TrainingData& data) {
  uint64_t bytes = kMagic.size() + sizeof(ShardKey) + kChecksumBytes;
  const auto add = [&](const Dataset& set) {
    bytes +=
        kSetHeadBytes + set.segments.size() * kSegmentBytes + set.row_count() * bytes_a_row(header);
  };
  add(data.train);
  for (const Dataset& set : data.valid) add(set);
  return bytes;
}

Status write_shard_file(const ShardKey& key, const TrainingData& data, const WriteBytes& write) {
  source::ContentHash hash;
  const WriteBytes write_hashed = [&](std::string_view bytes) {
    hash.update(bytes);
    return write(bytes);
  };
  EVERGROVE_RETURN_IF_ERROR(write_hashed(kMagic));
  EVERGROVE_RETURN_IF_ERROR(write_hashed({reinterpret_cast<const char*>(key.data()), key.size()}));
  EVERGROVE_RETURN_IF_ERROR(write_set(data.train, true, write_hashed));
  for (const Dataset& set : data.valid) {
    EVERGROVE_RETURN_IF_ERROR(write_set(set, false, write_hashed));
  }
  return write(hash.hex());
}

Result<TrainingData> read_shard_file(const ShardKey& key, const RunHeader& header,
                                     const train::Shard& shard, uint64_t file_bytes,
                                     const ReadBytes& read) {
  ShardBytes in(file_bytes, read);
  EVERGROVE_ASSIGN_OR_RETURN(const std::string magic, in.text(kMagic.size()));
  if (magic != kMagic) return refuse("its first bytes");
  ShardKey its_key;
  EVERGROVE_RETURN_IF_ERROR(in.read(its_key.data(), its_key.size()));
  if (its_key != key) return refuse("its key, so it is of other rows");
  TrainingData data;
  data.train.name = "train";
  uint64_t rows_left = shard.row_count;
  EVERGROVE_RETURN_IF_ERROR(read_set(in, header, rows_left, data.train));
  for (const std::string& name : header.valid_names) {
    Dataset& set = data.valid.emplace_back();
    set.name = name;
    EVERGROVE_RETURN_IF_ERROR(read_set(in, header, rows_left, set));
  }
  if (rows_left != 0) return refuse("number of rows");
  const std::string checksum = in.checksum();
  if (in.left() != kChecksumBytes) return refuse("its length");
  EVERGROVE_ASSIGN_OR_RETURN(const std::string its_checksum, in.text(kChecksumBytes));
  if (its_checksum != checksum) return refuse("its checksum");
  data.train.bins.build_rows();
  for (Dataset& set : data.valid) set.bins.build_rows_alone();
  return data;
}

}  // namespace evergrove::runtime
