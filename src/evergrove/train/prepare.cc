// Labels first, then features (unless known): that is describe(). prepare() goes on with the bins
// of every data set.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evergrove/base/number_text.h"
#include "evergrove/train/dataset.h"
#include "evergrove/train/features.h"
#include "evergrove/train/label.h"
#include "evergrove/train/set_reader.h"

namespace evergrove::train {
namespace {

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

// What is found before any row is binned.
struct FirstPass {
  RunHeader header;
  TrainingData data;  // labels and weights, no bins
  RowDivision division;
  std::vector<size_t> columns;  // of the training data, as header.features has them
  std::vector<std::vector<size_t>> valid_columns;  // the same of each of spec.valid
};

// Sets the objective, the classes, and what follows from the labels alone.
Status decide_labels(const DataSpec& spec, const RawLabels& raw, const RunHeader* known,
                     RunHeader& header) {
  if (!spec.objective_is_chosen) header.parameters.objective = suggested_objective(raw);
  if (known != nullptr) header.parameters.objective = known->parameters.objective;
  EVERGROVE_RETURN_IF_ERROR(validate(header.parameters));
  if (known != nullptr) {
    header.classes = known->classes;
  } else if (header.parameters.objective == model::ObjectiveKind::regression) {
    EVERGROVE_RETURN_IF_ERROR(to_targets(raw, /*must_vary=*/true).status());
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(header.classes, find_classes(raw, header.parameters.objective));
  }
  return {};
}

// Sets the features and where margins start.
Status decide_features(const DataSpec& spec, const RunHeader* known,
                       const PrepareProgress& progress, FirstPass& pass) {
  const table::RowSource& source = *spec.data;
  RunHeader& header = pass.header;
  if (known != nullptr) {
    header.features = known->features;
    header.value_exponent = known->value_exponent;
    header.base_margins = known->base_margins;
    EVERGROVE_ASSIGN_OR_RETURN(pass.columns,
                               match_columns(header.features, source, "training data"));
    return {};
  }
  ProgressMeter meter(progress, "reading", pass.columns.size() * source.blocks().size());
  const RowDivision& division = pass.division;
  const std::function<bool(uint64_t)> in_training =
      division.whole() ? std::function<bool(uint64_t)>()
                       : [&](uint64_t row) { return division.in_training(row); };
  EVERGROVE_ASSIGN_OR_RETURN(header.features,
                             find_features(source, pass.columns, header.parameters, in_training,
                                           header.manifest.row_count, meter));
  const Dataset& train = pass.data.train;
  EVERGROVE_ASSIGN_OR_RETURN(const MarginStart start,
                             margin_start(header.parameters, header.classes.size(), train.classes,
                                          train.targets, train.weights));
  header.value_exponent = start.value_exponent;
  header.base_margins = start.base_margins;
  return {};
}

Result<FirstPass> first_pass(const DataSpec& spec, const Parameters& parameters,
                             const RunHeader* known, const PrepareProgress& progress) {
  EVERGROVE_RETURN_IF_ERROR(check_source(spec));
  EVERGROVE_RETURN_IF_ERROR(validate(parameters, spec.objective_is_chosen || known != nullptr));
  const table::RowSource& source = *spec.data;
  EVERGROVE_ASSIGN_OR_RETURN(const RawLabels raw, read_labels(source, spec.label));
  EVERGROVE_ASSIGN_OR_RETURN(std::vector<size_t> columns, feature_columns(spec));
  FirstPass pass{
      .header = {},
      .data = {},
      .division = RowDivision(source.manifest().row_count, spec.valid_fraction, parameters.seed),
      .columns = std::move(columns),
      .valid_columns = {}};
  RunHeader& header = pass.header;
  header.parameters = parameters;
  header.label = spec.label;
  header.weight = spec.weight;
  header.valid_fraction = spec.valid_fraction;
  header.manifest = source.manifest();
  EVERGROVE_RETURN_IF_ERROR(decide_labels(spec, raw, known, header));

  EVERGROVE_ASSIGN_OR_RETURN(Dataset labels, label_rows(source, raw, header));
  Dataset& train = pass.data.train;
  train.name = "train";
  Dataset* held_out = nullptr;
  if (!pass.division.whole()) {
    if (pass.division.training_count() == 0 || pass.division.held_out_count() == 0) {
      return invalid_input("The validation fraction leaves a side without rows; change it",
                           {{"rows", std::to_string(header.manifest.row_count)},
                            {"fraction", number_text(spec.valid_fraction)}});
    }
    held_out = &pass.data.valid.emplace_back();
    held_out->name = "valid";
    header.valid_names.push_back(held_out->name);
  }
  pass.division.divide(std::move(labels), train, held_out);
  EVERGROVE_RETURN_IF_ERROR(decide_features(spec, known, progress, pass));

  for (const DataSpec::ValidSource& valid : spec.valid) {
    EVERGROVE_ASSIGN_OR_RETURN(pass.valid_columns.emplace_back(),
                               match_columns(header.features, *valid.source, valid.name));
    EVERGROVE_ASSIGN_OR_RETURN(const RawLabels valid_raw, read_labels(*valid.source, spec.label));
    EVERGROVE_ASSIGN_OR_RETURN(Dataset set, label_rows(*valid.source, valid_raw, header));
    set.name = valid.name;
    pass.data.valid.push_back(std::move(set));
    header.valid_names.push_back(valid.name);
    header.valid_manifests.push_back(valid.source->manifest());
  }
  return pass;
}

Status stopped() {
  return interrupted(
      "Stopped before the first tree, so nothing was lost; repeat the command to begin");
}

double weight_max(const Dataset& data) {
  if (data.weights.empty()) return 0;
  return double{*std::max_element(data.weights.begin(), data.weights.end())};
}

}  // namespace

Result<RunDescription> describe(const DataSpec& spec, const Parameters& parameters,
                                const RunHeader* known, const PrepareProgress& progress) {
  EVERGROVE_ASSIGN_OR_RETURN(FirstPass pass, first_pass(spec, parameters, known, progress));
  if (progress && !progress("reading", 1)) return stopped();
  RunDescription description;
  description.header = std::move(pass.header);
  const Dataset& train = pass.data.train;
  description.weight_facts = WeightFacts::of(description.header.parameters, train.classes,
                                             train.weights, pass.division.training_count());
  description.training_weight_max = weight_max(train);
  for (const Dataset& valid : pass.data.valid) {
    description.weight_max_by_set.push_back(weight_max(valid));
  }
  return description;
}

Result<PreparedData> prepare(const DataSpec& spec, const Parameters& parameters,
                             const RunHeader* known, const PrepareProgress& progress) {
  EVERGROVE_ASSIGN_OR_RETURN(FirstPass pass, first_pass(spec, parameters, known, progress));
  std::span<const model::Feature> features = pass.header.features;
  std::vector<Dataset>& valid = pass.data.valid;
  const size_t held_out_count = pass.division.whole() ? 0 : 1;
  Dataset* const held_out = held_out_count > 0 ? &valid.front() : nullptr;
  EVERGROVE_RETURN_IF_ERROR(read_bins(*spec.data, pass.columns, features, pass.division, progress,
                                      pass.data.train, held_out));
  if (held_out != nullptr) held_out->bins.drop_columns();
  for (size_t i = 0; i < spec.valid.size(); ++i) {
    const table::RowSource& source = *spec.valid[i].source;
    Dataset& set = valid[held_out_count + i];
    EVERGROVE_RETURN_IF_ERROR(read_bins(source, pass.valid_columns[i], features,
                                        RowDivision(source.row_count(), 0, 0), progress, set,
                                        nullptr));
    set.bins.drop_columns();
  }
  if (progress && !progress("binning", 1)) return stopped();
  PreparedData prepared;
  prepared.header = std::move(pass.header);
  prepared.data = std::move(pass.data);
  return prepared;
}

}  // namespace evergrove::train
