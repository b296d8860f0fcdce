// Labels first, then features (unless known), then the bins of every data set; where it can be, a
// column's bins as soon as its feature is decided, so that it is read once.
// SPDX-License-Identifier: Apache-2.0
#include <tbb/task_arena.h>

#include <algorithm>
#include <optional>

#include "evergrove/train/dataset.h"
#include "evergrove/train/description.h"
#include "evergrove/train/features.h"
#include "evergrove/train/label_choice.h"
#include "evergrove/train/memory_plan.h"
#include "evergrove/train/set_reader.h"

namespace evergrove::train {
namespace {

// What is found before any row is binned.
struct FirstPass {
  RunHeader header;
  TrainingData data;  // labels and weights, no bins
  RowDivision division;
  std::vector<size_t> columns;  // of the training data, as header.features has them
  std::vector<std::vector<size_t>> valid_columns;  // the same of each of spec.valid
  std::optional<TakenColumns> taken;               // where the training data are binned already
};

// Whether columns can be binned as soon as they are read: a byte a bin is enough, whatever is
// found, and the values of those at hand are no more than memory that is not used yet.
bool may_read_once(const DataSpec& spec, const Parameters& parameters) {
  const auto threads = static_cast<uint64_t>(tbb::this_task_arena::max_concurrency());
  const MemoryShape shape = memory_shape(spec, parameters, threads);
  return spec.data->reads_single_columns() && shape.bin_bytes == 1 && may_keep_values(shape);
}

// Sets the features that are learnt from.
Status decide_features(const DataSpec& spec, const RunHeader* known,
                       const PrepareProgress& progress, FirstPass& pass) {
  const table::RowSource& source = *spec.data;
  RunHeader& header = pass.header;
  if (known != nullptr) {
    header.features = known->features;
    EVERGROVE_ASSIGN_OR_RETURN(pass.columns,
                               match_columns(header.features, source, "training data"));
    return {};
  }
  ProgressMeter meter(progress, "reading", pass.columns.size() * source.blocks().size());
  const RowDivision& division = pass.division;
  TrainingRows rows{.sample = bins::RowSample(header.parameters.seed, header.manifest.row_count),
                    .in_training = nullptr,
                    .row_ids = nullptr};
  if (!division.whole()) {
    rows.in_training = [&](uint64_t row) { return division.in_training(row); };
  }
  ColumnTaker take;
  if (may_read_once(spec, header.parameters)) {
    pass.taken.emplace(division, pass.columns.size());
    take = [&](size_t column, const model::Feature& feature,
               std::span<const table::RowBlock> blocks) {
      pass.taken->take(column, feature, blocks, division);
    };
  }
  EVERGROVE_ASSIGN_OR_RETURN(
      header.features, find_features(source, pass.columns, header.parameters, rows, meter, take));
  return {};
}

// Reads labels and weights, and decides by them.
Status read_labels_and_decide(const DataSpec& spec, const RunHeader* known, FirstPass& pass) {
  const table::RowSource& source = *spec.data;
  RunHeader& header = pass.header;
  EVERGROVE_ASSIGN_OR_RETURN(const RawLabels labels, read_raw_labels(source, spec.label));
  std::optional<RawWeights> weights;
  if (!spec.weight.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(weights, read_raw_weights(source, spec.weight));
  }
  const RawWeights* const given = weights ? &*weights : nullptr;
  const LabelFacts facts = LabelFacts::of(labels, given, pass.division);
  EVERGROVE_RETURN_IF_ERROR(decide_labels(spec, facts, known, header));
  LabelSums sums;
  if (needs_sums(header.parameters, facts)) {
    EVERGROVE_ASSIGN_OR_RETURN(
        sums, LabelSums::of(labels, given, pass.division,
                            sums_request(header.parameters, header.classes, facts)));
  }
  EVERGROVE_RETURN_IF_ERROR(decide_margins(facts, sums, known, header));
  Dataset all;
  if (header.parameters.objective == model::ObjectiveKind::regression) {
    EVERGROVE_ASSIGN_OR_RETURN(all.targets, to_targets(labels));
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(all.classes, to_classes(labels, header.classes));
  }
  if (weights) all.weights = std::move(weights->values);
  pass.data.train.name = "train";
  Dataset* held_out = nullptr;
  if (!pass.division.whole()) {
    held_out = &pass.data.valid.emplace_back();
    held_out->name = "valid";
  }
  pass.division.divide(std::move(all), pass.data.train, held_out);
  return {};
}

Result<FirstPass> first_pass(const DataSpec& spec, const Parameters& parameters,
                             const RunHeader* known, const PrepareProgress& progress) {
  EVERGROVE_RETURN_IF_ERROR(check_spec(spec, parameters, known));
  const table::RowSource& source = *spec.data;
  EVERGROVE_ASSIGN_OR_RETURN(std::vector<size_t> columns, feature_columns(spec));
  FirstPass pass{.header = {},
                 .data = {},
                 .division = RowDivision(source.row_count(), spec.valid_fraction, parameters.seed),
                 .columns = std::move(columns),
                 .valid_columns = {},
                 .taken = std::nullopt};
  RunHeader& header = pass.header;
  header.parameters = parameters;
  header.label = spec.label;
  header.weight = spec.weight;
  header.valid_fraction = spec.valid_fraction;
  header.manifest = source.manifest();
  name_sets(spec, header);
  EVERGROVE_RETURN_IF_ERROR(read_labels_and_decide(spec, known, pass));
  EVERGROVE_RETURN_IF_ERROR(decide_features(spec, known, progress, pass));
  for (const DataSpec::ValidSource& valid : spec.valid) {
    EVERGROVE_ASSIGN_OR_RETURN(pass.valid_columns.emplace_back(),
                               match_columns(header.features, *valid.source, valid.name));
    EVERGROVE_ASSIGN_OR_RETURN(const RawLabels valid_raw, read_labels(*valid.source, spec.label));
    EVERGROVE_ASSIGN_OR_RETURN(Dataset set, label_rows(*valid.source, valid_raw, header));
    set.name = valid.name;
    pass.data.valid.push_back(std::move(set));
    header.valid_manifests.push_back(valid.source->manifest());
  }
  return pass;
}

}  // namespace

Result<PreparedData> prepare(const DataSpec& spec, const Parameters& parameters,
                             const RunHeader* known, const PrepareProgress& progress) {
  EVERGROVE_ASSIGN_OR_RETURN(FirstPass pass, first_pass(spec, parameters, known, progress));
  std::span<const model::Feature> features = pass.header.features;
  std::vector<Dataset>& valid = pass.data.valid;
  const size_t held_out_count = pass.division.whole() ? 0 : 1;
  Dataset* const held_out = held_out_count > 0 ? &valid.front() : nullptr;
  if (pass.taken) {
    pass.taken->give(features, pass.data.train, held_out);
  } else {
    EVERGROVE_RETURN_IF_ERROR(read_bins(*spec.data, pass.columns, features, pass.division, progress,
                                        pass.data.train, held_out));
  }
  pass.data.train.bins.build_rows();
  if (held_out != nullptr) held_out->bins.build_rows_alone();
  for (size_t i = 0; i < spec.valid.size(); ++i) {
    const table::RowSource& source = *spec.valid[i].source;
    Dataset& set = valid[held_out_count + i];
    EVERGROVE_RETURN_IF_ERROR(read_bins(source, pass.valid_columns[i], features,
                                        RowDivision(source.row_count(), 0, 0), progress, set,
                                        nullptr));
    set.bins.build_rows_alone();
  }
  if (progress && !progress("binning", 1)) return stopped_before_training();
  PreparedData prepared;
  prepared.header = std::move(pass.header);
  prepared.data = std::move(pass.data);
  return prepared;
}

}  // namespace evergrove::train
