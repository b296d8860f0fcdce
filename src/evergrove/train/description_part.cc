// request: shard | u64 seed | u8 labels | u8 has sums, sums request | u32 first_column |
//          u32 column_count | u32 cut_bins
// facts: u8 has labels, label facts | u8 has sums, label sums | u32 columns, column facts each
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/description_part.h"

#include <tbb/parallel_for.h>

#include <numeric>

#include "evergrove/table/block_selection.h"

namespace evergrove::train {

void PartRequest::encode(ByteWriter& out) const {
  part.encode(out);
  out.u64(seed).u8(labels).u8(sums.has_value());
  if (sums) sums->encode(out);
  out.u32(first_column).u32(column_count).u32(cut_bins);
}

Result<PartRequest> PartRequest::decode(ByteReader& in) {
  PartRequest request;
  EVERGROVE_ASSIGN_OR_RETURN(request.part, Shard::decode(in));
  request.seed = in.u64();
  request.labels = in.u8() != 0;
  if (in.u8() != 0) {
    EVERGROVE_ASSIGN_OR_RETURN(request.sums, LabelSumsRequest::decode(in));
  }
  request.first_column = in.u32();
  request.column_count = in.u32();
  request.cut_bins = in.u32();
  if (request.cut_bins == 1) in.fail();  // no cuts make one bin
  if (!in.ok()) return corrupt("What is asked of a part is cut off; send it again");
  return request;
}

void PartFacts::encode(ByteWriter& out) const {
  out.u8(labels.has_value());
  if (labels) labels->encode(out);
  out.u8(sums.has_value());
  if (sums) sums->encode(out);
  out.u32(static_cast<uint32_t>(columns.size()));
  for (const ColumnFacts& facts : columns) facts.encode(out);
}

Result<PartFacts> PartFacts::decode(ByteReader& in) {
  PartFacts facts;
  if (in.u8() != 0) {
    EVERGROVE_ASSIGN_OR_RETURN(facts.labels, LabelFacts::decode(in));
  }
  if (in.u8() != 0) {
    EVERGROVE_ASSIGN_OR_RETURN(facts.sums, LabelSums::decode(in));
  }
  const uint32_t column_count = in.count(9);
  for (uint32_t i = 0; i < column_count; ++i) {
    EVERGROVE_ASSIGN_OR_RETURN(facts.columns.emplace_back(), ColumnFacts::decode(in));
  }
  if (!in.ok()) return corrupt("What a part says of itself is cut off");
  return facts;
}

struct PartDescriber::Rows {
  Rows(const table::RowSource& source, double valid_fraction, const PartRequest& request)
      : part(request.part),
        seed(request.seed),
        selection(source, blocks_of(part)),
        division(selection.row_count(), part.set == 0 ? valid_fraction : 0, seed, row_ids),
        samples(selection, training_rows(source.row_count())) {}

  static std::vector<size_t> blocks_of(const Shard& part) {
    std::vector<size_t> blocks(part.block_count);
    std::iota(blocks.begin(), blocks.end(), part.first_block);
    return blocks;
  }
  TrainingRows training_rows(uint64_t source_rows) const {
    TrainingRows rows{
        .sample = bins::RowSample(seed, source_rows), .in_training = nullptr, .row_ids = row_ids};
    if (!division.whole()) {
      rows.in_training = [this](uint64_t row) { return division.in_training(row); };
    }
    return rows;
  }

  Shard part;
  uint64_t seed;
  table::BlockSelection selection;
  RowIds row_ids = [this](uint64_t row) { return selection.source_row(row); };
  RowDivision division;
  mutable BlockSamples samples;
};

PartDescriber::PartDescriber(const DataSpec& spec) : spec_(spec) {}
PartDescriber::~PartDescriber() = default;

Result<const PartDescriber::Rows*> PartDescriber::rows_of(const PartRequest& request) {
  if (rows_ && rows_->part == request.part && rows_->seed == request.seed) return rows_.get();
  if (request.part.set > spec_.valid.size()) return corrupt("There is no such part of the data");
  const table::RowSource& source =
      request.part.set == 0 ? *spec_.data : *spec_.valid[request.part.set - 1].source;
  EVERGROVE_RETURN_IF_ERROR(check_place(request.part, source));
  rows_ = std::make_unique<Rows>(source, spec_.valid_fraction, request);
  return rows_.get();
}

Result<PartFacts> PartDescriber::describe(const PartRequest& request,
                                          const std::function<bool()>& is_wanted) {
  EVERGROVE_ASSIGN_OR_RETURN(const Rows* const rows, rows_of(request));
  PartFacts facts;
  if (request.labels || request.sums) {
    EVERGROVE_ASSIGN_OR_RETURN(const RawLabels labels,
                               read_raw_labels(rows->selection, spec_.label, rows->row_ids));
    std::optional<RawWeights> weights;
    if (!spec_.weight.empty()) {
      EVERGROVE_ASSIGN_OR_RETURN(weights,
                                 read_raw_weights(rows->selection, spec_.weight, rows->row_ids));
    }
    const RawWeights* const given = weights ? &*weights : nullptr;
    if (request.labels) facts.labels = LabelFacts::of(labels, given, rows->division);
    if (request.sums) {
      EVERGROVE_ASSIGN_OR_RETURN(facts.sums,
                                 LabelSums::of(labels, given, rows->division, *request.sums));
    }
  }
  if (request.column_count == 0) return facts;
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<size_t> columns, feature_columns(spec_));
  if (request.first_column > columns.size() ||
      request.column_count > columns.size() - request.first_column) {
    return corrupt("There are no such columns in the data");
  }
  ProgressMeter::Callback callback;
  if (is_wanted) callback = [&](std::string_view, double) { return is_wanted(); };
  ProgressMeter meter(callback, "reading", 1);
  EVERGROVE_ASSIGN_OR_RETURN(
      facts.columns,
      read_column_facts(rows->selection,
                        std::span(columns).subspan(request.first_column, request.column_count),
                        rows->samples, meter));
  if (request.cut_bins == 0) return facts;
  tbb::parallel_for(size_t{0}, facts.columns.size(), [&](size_t i) {
    const size_t column = columns[request.first_column + i];
    const bool is_numeric =
        rows->selection.schema().columns[column].kind == table::ColumnKind::numeric;
    if (is_numeric) facts.columns[i].find_cuts(request.cut_bins);
  });
  return facts;
}

}  // namespace evergrove::train
