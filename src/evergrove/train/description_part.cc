// request: shard | u64 seed | u8 labels | u8 has sums, sums request | u32 first_column |
//          u32 column_count
// facts: u8 has labels, label facts | u8 has sums, label sums | u32 columns, column facts each
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/description_part.h"

#include "evergrove/table/block_selection.h"

namespace evergrove::train {

void PartRequest::encode(ByteWriter& out) const {
  part.encode(out);
  out.u64(seed).u8(labels).u8(sums.has_value());
  if (sums) sums->encode(out);
  out.u32(first_column).u32(column_count);
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

Result<PartFacts> describe_part(const DataSpec& spec, const PartRequest& request) {
  if (request.part.set > spec.valid.size()) return corrupt("There is no such part of the data");
  const table::RowSource& source =
      request.part.set == 0 ? *spec.data : *spec.valid[request.part.set - 1].source;
  EVERGROVE_RETURN_IF_ERROR(check_place(request.part, source));
  std::vector<size_t> blocks;
  for (uint32_t i = 0; i < request.part.block_count; ++i) {
    blocks.push_back(request.part.first_block + i);
  }
  const table::BlockSelection selection(source, std::move(blocks));
  const RowIds row_ids = [&](uint64_t row) { return selection.source_row(row); };
  const RowDivision division(selection.row_count(), request.part.set == 0 ? spec.valid_fraction : 0,
                             request.seed, row_ids);
  PartFacts facts;
  if (request.labels || request.sums) {
    EVERGROVE_ASSIGN_OR_RETURN(const RawLabels labels,
                               read_raw_labels(selection, spec.label, row_ids));
    std::optional<RawWeights> weights;
    if (!spec.weight.empty()) {
      EVERGROVE_ASSIGN_OR_RETURN(weights, read_raw_weights(selection, spec.weight, row_ids));
    }
    const RawWeights* const given = weights ? &*weights : nullptr;
    if (request.labels) facts.labels = LabelFacts::of(labels, given, division);
    if (request.sums) {
      EVERGROVE_ASSIGN_OR_RETURN(facts.sums, LabelSums::of(labels, given, division, *request.sums));
    }
  }
  if (request.column_count == 0) return facts;
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<size_t> columns, feature_columns(spec));
  if (request.first_column > columns.size() ||
      request.column_count > columns.size() - request.first_column) {
    return corrupt("There are no such columns in the data");
  }
  TrainingRows rows{.sample = bins::RowSample(request.seed, source.row_count()),
                    .in_training = nullptr,
                    .row_ids = row_ids};
  if (!division.whole()) {
    rows.in_training = [&](uint64_t row) { return division.in_training(row); };
  }
  const ProgressMeter::Callback nobody;
  ProgressMeter meter(nobody, "reading", 1);
  EVERGROVE_ASSIGN_OR_RETURN(
      facts.columns,
      read_column_facts(selection,
                        std::span(columns).subspan(request.first_column, request.column_count),
                        rows, meter));
  return facts;
}

}  // namespace evergrove::train
