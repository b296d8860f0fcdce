// shard: u32 id | u32 set | u32 first_block | u32 block_count | u64 first_row | u64 row_count |
//        u64 first_training_row
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/shard.h"

#include <algorithm>
#include <string>

#include "evergrove/base/hash.h"
#include "evergrove/table/block_selection.h"
#include "evergrove/train/features.h"
#include "evergrove/train/set_reader.h"

namespace evergrove::train {
namespace {

const table::RowSource& source_of(const DataSpec& spec, uint32_t set) {
  return set == 0 ? *spec.data : *spec.valid[set - 1].source;
}

void add_shards(uint32_t set, const table::RowSource& source, uint64_t rows_wanted,
                std::vector<Shard>& shards) {
  Shard shard;
  const auto finish = [&] {
    shard.id = static_cast<uint32_t>(shards.size());
    if (shard.row_count > 0) shards.push_back(shard);
  };
  const std::span<const table::BlockExtent> blocks = source.blocks();
  for (size_t b = 0; b < blocks.size(); ++b) {
    // A block joins the shard unless that is nearer to what is wanted without it.
    if (b == 0 || (shard.row_count > 0 && shard.row_count + blocks[b].row_count / 2 >=
                                              std::max<uint64_t>(rows_wanted, 1))) {
      finish();
      shard = {
          .set = set, .first_block = static_cast<uint32_t>(b), .first_row = blocks[b].first_row};
    }
    ++shard.block_count;
    shard.row_count += blocks[b].row_count;
  }
  finish();
}

// How many of a shard's rows are held out, by the same hash that RowDivision goes by.
uint64_t held_out_rows(const Shard& shard, double valid_fraction, uint64_t seed) {
  if (shard.set != 0 || !(valid_fraction > 0)) return 0;
  const RandomKey key(seed, "validation rows");
  const uint64_t threshold = hash_threshold(valid_fraction);
  uint64_t count = 0;
  for (uint64_t row = shard.first_row; row < shard.first_row + shard.row_count; ++row) {
    count += key.at(row) < threshold;
  }
  return count;
}

// Where the training rows of each shard begin.
void place_training_rows(const DataSpec& spec, uint64_t seed, std::vector<Shard>& shards) {
  uint64_t place = 0;
  for (Shard& shard : shards) {
    if (shard.set != 0) continue;
    shard.first_training_row = place;
    place += shard.row_count - held_out_rows(shard, spec.valid_fraction, seed);
  }
}

constexpr std::string_view kOtherData =
    "A shard is not of this data: its rows are not where the run says; give the data that the "
    "run began with";

Status refuse(std::string_view message, const Shard& shard) {
  return invalid_input(message, {{"shard", std::to_string(shard.id)},
                                 {"set", std::to_string(shard.set)},
                                 {"first block", std::to_string(shard.first_block)},
                                 {"blocks", std::to_string(shard.block_count)},
                                 {"first row", std::to_string(shard.first_row)},
                                 {"rows", std::to_string(shard.row_count)}});
}

bool has_wrong_place(const Shard& shard, const RunHeader& header) {
  if (shard.set != 0) return shard.first_training_row != 0;
  if (header.valid_fraction > 0) return shard.first_training_row > shard.first_row;
  return shard.first_training_row != shard.first_row;
}

Status check_shards(const DataSpec& spec, const RunHeader& header, std::span<const Shard> shards) {
  const size_t held_out_count = header.valid_fraction > 0 ? 1 : 0;
  if (spec.valid.size() + held_out_count != header.valid_names.size()) {
    return invalid_input(
        "The run has another number of validation sets than are given; give the same ones",
        {{"in the run", std::to_string(header.valid_names.size())},
         {"given", std::to_string(spec.valid.size() + held_out_count)}});
  }
  for (const Shard& shard : shards) {
    if (shard.set > spec.valid.size() || has_wrong_place(shard, header)) {
      return refuse(kOtherData, shard);
    }
    EVERGROVE_RETURN_IF_ERROR(check_place(shard, source_of(spec, shard.set)));
  }
  std::vector<Shard> ordered(shards.begin(), shards.end());
  std::sort(ordered.begin(), ordered.end(), [](const Shard& a, const Shard& b) {
    return a.set != b.set ? a.set < b.set : a.first_block < b.first_block;
  });
  for (size_t i = 1; i < ordered.size(); ++i) {
    const Shard& last = ordered[i - 1];
    if (ordered[i].set == last.set &&
        ordered[i].first_block < last.first_block + last.block_count) {
      return refuse("A block is in two shards, so its rows would count twice; give each shard once",
                    ordered[i]);
    }
  }
  return {};
}

std::vector<Shard> shards_of(std::span<const Shard> shards, uint32_t set) {
  std::vector<Shard> chosen;
  for (const Shard& shard : shards) {
    if (shard.set == set) chosen.push_back(shard);
  }
  return chosen;
}

void add_segment(RowSegment segment, std::vector<RowSegment>& to) {
  if (segment.row_count == 0) return;
  if (!to.empty() && to.back().first_row + to.back().row_count == segment.first_row) {
    to.back().row_count += segment.row_count;
  } else {
    to.push_back(segment);
  }
}

// The places of the rows, in the order of the shards that make up the source that was divided.
void add_segments(std::span<const Shard> shards, const RowDivision& division, Dataset& to,
                  Dataset* held_out) {
  uint64_t row = 0;
  for (const Shard& shard : shards) {
    RowSegment kept{shard.set == 0 ? shard.first_training_row : shard.first_row, 0};
    for (const uint64_t end = row + shard.row_count; row < end; ++row) {
      kept.row_count += division.in_training(row);
    }
    add_segment(kept, to.segments);
    if (held_out != nullptr) {
      add_segment({shard.first_row - kept.first_row, shard.row_count - kept.row_count},
                  held_out->segments);
    }
  }
}

// Reads the shards of one set into `to`, and into held_out what header.valid_fraction holds out, if
// it is given.
Status read_set(const table::RowSource& source, std::span<const Shard> shards,
                const RunHeader& header, const PrepareProgress& progress, Dataset& to,
                Dataset* held_out) {
  std::vector<size_t> blocks;
  for (const Shard& shard : shards) {
    for (uint32_t i = 0; i < shard.block_count; ++i) blocks.push_back(shard.first_block + i);
  }
  const table::BlockSelection selection(source, std::move(blocks));
  const RowIds row_ids = [&selection](uint64_t row) { return selection.source_row(row); };
  const RowDivision division(selection.row_count(), held_out != nullptr ? header.valid_fraction : 0,
                             header.parameters.seed, row_ids);
  EVERGROVE_ASSIGN_OR_RETURN(
      const std::vector<size_t> columns,
      match_columns(header.features, source, to.name == "train" ? "training data" : to.name));
  if (selection.row_count() > 0) {
    EVERGROVE_ASSIGN_OR_RETURN(const RawLabels raw, read_labels(selection, header.label, row_ids));
    EVERGROVE_ASSIGN_OR_RETURN(Dataset labels, label_rows(selection, raw, header));
    division.divide(std::move(labels), to, held_out);
  }
  add_segments(shards, division, to, held_out);
  return read_bins(selection, columns, header.features, division, progress, to, held_out);
}

}  // namespace

void Shard::encode(ByteWriter& out) const {
  out.u32(id).u32(set).u32(first_block).u32(block_count);
  out.u64(first_row).u64(row_count).u64(first_training_row);
}

Result<Shard> Shard::decode(ByteReader& in) {
  Shard shard;
  shard.id = in.u32();
  shard.set = in.u32();
  shard.first_block = in.u32();
  shard.block_count = in.u32();
  shard.first_row = in.u64();
  shard.row_count = in.u64();
  shard.first_training_row = in.u64();
  // Sums of these do not overflow; no data has so many rows.
  constexpr uint64_t kRowsMax = uint64_t{1} << 60;
  if (!in.ok() || shard.block_count == 0 || shard.block_count > ~shard.first_block ||
      shard.row_count == 0 || shard.row_count > kRowsMax || shard.first_row > kRowsMax ||
      shard.first_training_row > shard.first_row) {
    return corrupt("A shard is cut off or makes no sense; send or read it again",
                   {{"shard", std::to_string(shard.id)},
                    {"blocks", std::to_string(shard.block_count)},
                    {"rows", std::to_string(shard.row_count)}});
  }
  return shard;
}

std::vector<Shard> make_shards(const DataSpec& spec, uint64_t seed, uint64_t rows_wanted) {
  std::vector<Shard> shards;
  for (uint32_t set = 0; set <= spec.valid.size(); ++set) {
    add_shards(set, source_of(spec, set), rows_wanted, shards);
  }
  place_training_rows(spec, seed, shards);
  return shards;
}

Status check_place(const Shard& shard, const table::RowSource& source) {
  const std::span<const table::BlockExtent> blocks = source.blocks();
  if (shard.first_block >= blocks.size() || shard.block_count > blocks.size() - shard.first_block ||
      blocks[shard.first_block].first_row != shard.first_row) {
    return refuse(kOtherData, shard);
  }
  uint64_t row_count = 0;
  for (const table::BlockExtent& block : blocks.subspan(shard.first_block, shard.block_count)) {
    row_count += block.row_count;
  }
  return row_count == shard.row_count ? Status() : refuse(kOtherData, shard);
}

uint64_t memory_bytes(const Shard& shard, const RunHeader& header) {
  const bins::BinMatrix none(0, header.features);
  const auto bin_bytes = static_cast<uint64_t>(none.bin_bytes());
  const uint64_t outputs = header.base_margins.size();
  uint64_t bytes = 2 * bin_bytes * (header.features.size() + none.row_stride());
  bytes += header.parameters.objective == model::ObjectiveKind::regression ? 8 : 2;
  bytes += header.weight.empty() ? 0 : 4;
  bytes += 16 * outputs;
  bytes += 8 * outputs + (outputs > 1 ? 16 : 0);
  bytes += 18;
  return shard.row_count * bytes;
}

RowCounts row_counts(const Shard& shard, const RunHeader& header) {
  RowCounts counts(1 + header.valid_names.size(), 0);
  if (shard.set != 0) {
    counts[shard.set + (header.valid_fraction > 0 ? 1 : 0)] = shard.row_count;
    return counts;
  }
  const uint64_t held_out = held_out_rows(shard, header.valid_fraction, header.parameters.seed);
  counts[0] = shard.row_count - held_out;
  if (header.valid_fraction > 0) counts[1] = held_out;
  return counts;
}

Result<TrainingData> read_shards(const DataSpec& spec, const RunHeader& header,
                                 std::span<const Shard> shards, const PrepareProgress& progress,
                                 RowForm form) {
  EVERGROVE_RETURN_IF_ERROR(check_shards(spec, header, shards));
  TrainingData data;
  data.train.name = "train";
  for (const std::string& name : header.valid_names) data.valid.emplace_back().name = name;
  const size_t held_out_count = header.valid_fraction > 0 ? 1 : 0;
  Dataset* const held_out = held_out_count > 0 ? &data.valid.front() : nullptr;
  EVERGROVE_RETURN_IF_ERROR(
      read_set(*spec.data, shards_of(shards, 0), header, progress, data.train, held_out));
  for (size_t i = 0; i < spec.valid.size(); ++i) {
    const auto set = static_cast<uint32_t>(i + 1);
    EVERGROVE_RETURN_IF_ERROR(read_set(*spec.valid[i].source, shards_of(shards, set), header,
                                       progress, data.valid[held_out_count + i], nullptr));
  }
  form == RowForm::both ? data.train.bins.build_rows() : data.train.bins.build_rows_alone();
  for (Dataset& valid : data.valid) valid.bins.build_rows_alone();
  return data;
}

}  // namespace evergrove::train
