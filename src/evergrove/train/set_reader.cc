// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/set_reader.h"

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/base/phase.h"
#include "evergrove/bins/binner.h"

namespace evergrove::train {
namespace {

template <typename Bin>
void bin_block(const bins::Binner& binner, const table::RowBlock& block,
               const table::ColumnValues& values, const RowDivision& division, size_t feature,
               bins::BinMatrix& train, bins::BinMatrix* held_out) {
  const PhaseScope scope(Phase::bin);
  if (division.whole()) {
    binner.bin<Bin>(values, {train.column<Bin>(feature) + block.first_row, block.row_count});
    return;
  }
  std::vector<Bin> binned(block.row_count);
  binner.bin<Bin>(values, binned);
  for (size_t i = 0; i < block.row_count; ++i) {
    const uint64_t row = block.first_row + i;
    bins::BinMatrix& matrix = division.in_training(row) ? train : *held_out;
    matrix.column<Bin>(feature)[division.place(row)] = binned[i];
  }
}

}  // namespace

RowDivision::RowDivision(uint64_t row_count, double fraction, uint64_t seed, const RowIds& row_ids)
    : whole_(!(fraction > 0)), row_count_(row_count) {
  if (whole_) return;
  const RandomKey key(seed, "validation rows");
  const uint64_t threshold = hash_threshold(fraction);
  places_.resize(row_count);
  for (uint64_t row = 0; row < row_count; ++row) {
    const bool held_out = key.at(row_ids ? row_ids(row) : row) < threshold;
    places_[row] = (held_out ? held_out_count_++ : row - held_out_count_) << 1 | uint64_t{held_out};
  }
}

void RowDivision::divide(Dataset all, Dataset& train, Dataset* held_out) const {
  if (whole_) {
    train.classes = std::move(all.classes);
    train.targets = std::move(all.targets);
    train.weights = std::move(all.weights);
    return;
  }
  CHECK(held_out != nullptr);
  const auto divide_one = [this](const auto& from, auto& to_train, auto& to_held_out) {
    for (uint64_t row = 0; row < from.size(); ++row) {
      (in_training(row) ? to_train : to_held_out).push_back(from[row]);
    }
  };
  divide_one(all.classes, train.classes, held_out->classes);
  divide_one(all.targets, train.targets, held_out->targets);
  divide_one(all.weights, train.weights, held_out->weights);
}

Result<Dataset> label_rows(const table::RowSource& source, const RawLabels& raw,
                           const RunHeader& header) {
  Dataset data;
  if (header.parameters.objective == model::ObjectiveKind::regression) {
    EVERGROVE_ASSIGN_OR_RETURN(data.targets, to_targets(raw));
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(data.classes, to_classes(raw, header.classes));
  }
  if (!header.weight.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(data.weights, read_weights(source, header.weight, raw.row_ids));
  }
  return data;
}

TakenColumns::TakenColumns(const RowDivision& division, size_t feature_count)
    : train_(division.training_count(), feature_count, 1),
      held_out_(division.held_out_count(), feature_count, 1) {}

void TakenColumns::take(size_t feature, const model::Feature& decided,
                        std::span<const table::RowBlock> blocks, const RowDivision& division) {
  const PhaseScope scope(Phase::bin);
  thread_local std::vector<uint8_t> column, held_out;
  const bins::Binner binner(decided);
  column.resize(division.training_count() + division.held_out_count());
  for (const table::RowBlock& block : blocks) {
    binner.bin<uint8_t>(block.columns[0],
                        std::span(column).subspan(block.first_row, block.row_count));
  }
  if (!division.whole()) {
    held_out.resize(division.held_out_count());
    for (size_t row = 0; row < column.size(); ++row) {
      // No place is behind the row's own.
      (division.in_training(row) ? column : held_out)[division.place(row)] = column[row];
    }
    column.resize(division.training_count());
    held_out_.set<uint8_t>(feature, decided.bin_count(), held_out);
  }
  train_.set<uint8_t>(feature, decided.bin_count(), column);
}

void TakenColumns::give(std::span<const model::Feature> features, Dataset& train,
                        Dataset* held_out) {
  train.bins = bins::BinMatrix(std::move(train_), features);
  if (held_out != nullptr) held_out->bins = bins::BinMatrix(std::move(held_out_), features);
}

Status read_bins(const table::RowSource& source, std::span<const size_t> columns,
                 std::span<const model::Feature> features, const RowDivision& division,
                 const PrepareProgress& progress, Dataset& train, Dataset* held_out) {
  CHECK(division.whole() || held_out != nullptr);
  train.bins = bins::BinMatrix(division.training_count(), features);
  if (!division.whole()) {
    held_out->bins = bins::BinMatrix(division.held_out_count(), features);
  }
  bins::BinMatrix* const held_out_bins = division.whole() ? nullptr : &held_out->bins;
  const std::vector<bins::Binner> binners(features.begin(), features.end());
  ProgressMeter meter(progress, "binning", columns.size() * source.blocks().size());
  EVERGROVE_RETURN_IF_ERROR(for_each_column(
      source, columns, meter,
      [&](size_t, size_t feature, const table::RowBlock& block,
          const table::ColumnValues& values) -> Status {
        if (train.bins.bin_bytes() == 1) {
          bin_block<uint8_t>(binners[feature], block, values, division, feature, train.bins,
                             held_out_bins);
        } else {
          bin_block<uint16_t>(binners[feature], block, values, division, feature, train.bins,
                              held_out_bins);
        }
        return {};
      },
      nullptr));
  return {};
}

}  // namespace evergrove::train
