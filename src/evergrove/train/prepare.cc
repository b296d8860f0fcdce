// prepare(): labels first, then features (unless known), then the bins of every data set.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/base/number_text.h"
#include "evergrove/bins/binner.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/features.h"
#include "evergrove/train/label.h"

namespace evergrove::train {
namespace {

// Which rows of the source are for validation, and each row's place among its like.
class RowDivision {
 public:
  RowDivision(uint64_t row_count, double fraction, uint64_t seed) : row_count_(row_count) {
    if (!(fraction > 0)) return;
    const RandomKey key(seed, "validation rows");
    const uint64_t threshold = hash_threshold(fraction);
    places_.resize(row_count);
    for (uint64_t row = 0; row < row_count; ++row) {
      const bool valid = key.at(row) < threshold;
      places_[row] = (valid ? valid_count_++ : row - valid_count_) << 1 | uint64_t{valid};
    }
  }

  bool whole() const { return places_.empty(); }
  bool in_training(uint64_t row) const { return whole() || (places_[row] & 1) == 0; }
  uint64_t place(uint64_t row) const { return whole() ? row : places_[row] >> 1; }
  uint64_t training_count() const { return row_count_ - valid_count_; }
  uint64_t valid_count() const { return valid_count_; }

  template <typename T>
  void divide(const std::vector<T>& all, std::vector<T>& train, std::vector<T>& valid) const {
    for (uint64_t row = 0; row < all.size(); ++row) {
      (in_training(row) ? train : valid).push_back(all[row]);
    }
  }

 private:
  uint64_t row_count_;
  uint64_t valid_count_ = 0;
  std::vector<uint64_t> places_;
};

template <typename Bin>
void bin_block(const bins::Binner& binner, const table::RowBlock& block,
               const table::ColumnValues& values, const RowDivision& division, size_t feature,
               bins::BinMatrix& train, bins::BinMatrix* valid) {
  if (division.whole()) {
    binner.bin<Bin>(values, {train.column<Bin>(feature) + block.first_row, block.row_count});
    return;
  }
  std::vector<Bin> binned(block.row_count);
  binner.bin<Bin>(values, binned);
  for (size_t i = 0; i < block.row_count; ++i) {
    const uint64_t row = block.first_row + i;
    bins::BinMatrix& matrix = division.in_training(row) ? train : *valid;
    matrix.column<Bin>(feature)[division.place(row)] = binned[i];
  }
}

Status fill_bins(const table::RowSource& source, std::span<const size_t> columns,
                 std::span<const model::Feature> features, const RowDivision& division,
                 bins::BinMatrix& train, bins::BinMatrix* valid, ProgressMeter& meter) {
  std::vector<bins::Binner> binners(features.begin(), features.end());
  return for_each_column(
      source, columns, meter,
      [&](size_t, size_t feature, const table::RowBlock& block,
          const table::ColumnValues& values) -> Status {
        if (train.bin_bytes() == 1) {
          bin_block<uint8_t>(binners[feature], block, values, division, feature, train, valid);
        } else {
          bin_block<uint16_t>(binners[feature], block, values, division, feature, train, valid);
        }
        return {};
      },
      nullptr);
}

struct Labels {
  std::vector<uint16_t> classes;
  std::vector<double> targets;
  std::vector<float> weights;
};

// Labels and weights of one source, by the classes that are known.
Result<Labels> labels_of(const table::RowSource& source, const RawLabels& raw,
                         const RunHeader& header) {
  Labels labels;
  if (header.parameters.objective == model::ObjectiveKind::regression) {
    EVERGROVE_ASSIGN_OR_RETURN(labels.targets, to_targets(raw, false));
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(labels.classes, to_classes(raw, header.classes));
  }
  if (!header.weight.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(labels.weights, read_weights(source, header.weight));
  }
  return labels;
}

Status check_source(const DataSpec& spec) {
  if (spec.data->manifest().row_count == 0) {
    return invalid_input("The data has no rows; there is nothing to train on");
  }
  if (spec.data->manifest().row_count >= (uint64_t{1} << 32)) {
    return unsupported("One machine takes fewer than 2^32 rows; take a sample",
                       {{"rows", std::to_string(spec.data->manifest().row_count)}});
  }
  if (spec.valid_fraction != 0 && !(spec.valid_fraction > 0 && spec.valid_fraction < 1)) {
    return invalid_input("The validation fraction must be above 0 and below 1",
                         {{"fraction", number_text(spec.valid_fraction)}});
  }
  if (spec.label == spec.weight) {
    return invalid_input("The label and the weight must be different columns; name another one",
                         {{"column", spec.label}});
  }
  for (const auto& valid : spec.valid) {
    if (valid.source->manifest().row_count == 0) {
      return invalid_input("A validation set has no rows; leave it out", {{"set", valid.name}});
    }
  }
  return {};
}

}  // namespace

Result<PreparedData> prepare(const DataSpec& spec, const Parameters& parameters,
                             const RunHeader* known, const PrepareProgress& progress) {
  EVERGROVE_RETURN_IF_ERROR(check_source(spec));
  EVERGROVE_RETURN_IF_ERROR(validate(parameters, spec.objective_is_chosen || known != nullptr));
  const table::RowSource& source = *spec.data;
  EVERGROVE_ASSIGN_OR_RETURN(const RawLabels raw, read_labels(source, spec.label));
  EVERGROVE_ASSIGN_OR_RETURN(std::vector<size_t> columns, feature_columns(spec));

  PreparedData prepared;
  RunHeader& header = prepared.header;
  header.parameters = parameters;
  header.label = spec.label;
  header.weight = spec.weight;
  header.valid_fraction = spec.valid_fraction;
  header.manifest = source.manifest();
  if (!spec.objective_is_chosen) header.parameters.objective = suggested_objective(raw);
  if (known != nullptr) header.parameters.objective = known->parameters.objective;
  EVERGROVE_RETURN_IF_ERROR(validate(header.parameters));
  const bool regression = header.parameters.objective == model::ObjectiveKind::regression;
  if (known != nullptr) {
    header.classes = known->classes;
  } else if (regression) {
    EVERGROVE_RETURN_IF_ERROR(to_targets(raw, true).status());
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(header.classes, find_classes(raw, header.parameters.objective));
  }

  const RowDivision division(header.manifest.row_count, spec.valid_fraction, parameters.seed);
  Dataset& train = prepared.data.train;
  train.name = "train";
  EVERGROVE_ASSIGN_OR_RETURN(Labels labels, labels_of(source, raw, header));
  Dataset held_out;
  held_out.name = "valid";
  if (division.whole()) {
    train.classes = std::move(labels.classes);
    train.targets = std::move(labels.targets);
    train.weights = std::move(labels.weights);
  } else {
    if (division.training_count() == 0 || division.valid_count() == 0) {
      return invalid_input("The validation fraction leaves a side without rows; change it",
                           {{"rows", std::to_string(header.manifest.row_count)},
                            {"fraction", number_text(spec.valid_fraction)}});
    }
    division.divide(labels.classes, train.classes, held_out.classes);
    division.divide(labels.targets, train.targets, held_out.targets);
    division.divide(labels.weights, train.weights, held_out.weights);
  }

  if (known != nullptr) {
    header.features = known->features;
    header.value_exponent = known->value_exponent;
    header.base_margins = known->base_margins;
    EVERGROVE_ASSIGN_OR_RETURN(columns, match_columns(header.features, source, "training data"));
  } else {
    ProgressMeter meter(progress, "reading", columns.size() * source.blocks().size());
    const std::function<bool(uint64_t)> in_training =
        division.whole() ? std::function<bool(uint64_t)>()
                         : [&](uint64_t row) { return division.in_training(row); };
    EVERGROVE_ASSIGN_OR_RETURN(
        header.features,
        find_features(source, columns, parameters, in_training, header.manifest.row_count, meter));
    EVERGROVE_ASSIGN_OR_RETURN(const MarginStart start,
                               margin_start(header.parameters, header.classes.size(), train.classes,
                                            train.targets, train.weights));
    header.value_exponent = start.value_exponent;
    header.base_margins = start.base_margins;
  }

  ProgressMeter meter(progress, "binning", columns.size() * source.blocks().size());
  train.bins = bins::BinMatrix(division.training_count(), header.features);
  if (!division.whole()) {
    held_out.bins = bins::BinMatrix(division.valid_count(), header.features);
  }
  EVERGROVE_RETURN_IF_ERROR(
      fill_bins(source, columns, header.features, division, train.bins, &held_out.bins, meter));
  train.bins.build_rows();
  if (!division.whole()) {
    held_out.bins.build_rows();
    held_out.bins.drop_columns();
    header.valid_names.push_back(held_out.name);
    prepared.data.valid.push_back(std::move(held_out));
  }
  for (const DataSpec::ValidSource& valid : spec.valid) {
    Dataset& set = prepared.data.valid.emplace_back();
    set.name = valid.name;
    EVERGROVE_ASSIGN_OR_RETURN(const std::vector<size_t> places,
                               match_columns(header.features, *valid.source, valid.name));
    EVERGROVE_ASSIGN_OR_RETURN(const RawLabels valid_raw, read_labels(*valid.source, spec.label));
    EVERGROVE_ASSIGN_OR_RETURN(Labels valid_labels, labels_of(*valid.source, valid_raw, header));
    set.classes = std::move(valid_labels.classes);
    set.targets = std::move(valid_labels.targets);
    set.weights = std::move(valid_labels.weights);
    const RowDivision all(valid.source->manifest().row_count, 0, 0);
    set.bins = bins::BinMatrix(valid.source->manifest().row_count, header.features);
    ProgressMeter valid_meter(progress, "binning", places.size() * valid.source->blocks().size());
    EVERGROVE_RETURN_IF_ERROR(
        fill_bins(*valid.source, places, header.features, all, set.bins, nullptr, valid_meter));
    set.bins.build_rows();
    set.bins.drop_columns();
    header.valid_names.push_back(valid.name);
    header.valid_manifests.push_back(valid.source->manifest());
  }
  if (progress && !progress("binning", 1)) {
    return interrupted(
        "Stopped before the first tree, so nothing was lost; repeat the command to begin");
  }
  return prepared;
}

}  // namespace evergrove::train
