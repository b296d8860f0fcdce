// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/description.h"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "evergrove/base/check.h"
#include "evergrove/base/number_text.h"
#include "evergrove/train/label_choice.h"

namespace evergrove::train {
namespace {

// Of which one reader reads a column in a fraction of a second, and one its labels.
constexpr uint64_t kRowsByColumn = uint64_t{1} << 24;
constexpr uint64_t kLabelRows = uint64_t{1} << 20;

double weight_max(const LabelFacts& facts) { return facts.has_weights ? facts.all.weight_max : 0; }

}  // namespace

Status stopped_before_training() {
  return interrupted(
      "Stopped before the first tree, so nothing was lost; repeat the command to begin");
}

Status check_spec(const DataSpec& spec, const Parameters& parameters, const RunHeader* known) {
  const uint64_t row_count = spec.data->row_count();
  if (row_count == 0) {
    return invalid_input("The data has no rows; there is nothing to train on");
  }
  if (row_count >= (uint64_t{1} << 32)) {
    return unsupported("One machine takes fewer than 2^32 rows; take a sample",
                       {{"rows", std::to_string(row_count)}});
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
    if (valid.source->row_count() == 0) {
      return invalid_input("A validation set has no rows; leave it out", {{"set", valid.name}});
    }
  }
  return validate(parameters, spec.objective_is_chosen || known != nullptr);
}

Status decide_labels(const DataSpec& spec, const LabelFacts& facts, const RunHeader* known,
                     RunHeader& header) {
  EVERGROVE_RETURN_IF_ERROR(check_rows(facts, spec.label, spec.weight));
  model::ObjectiveKind& objective = header.parameters.objective;
  if (!spec.objective_is_chosen) objective = suggested_objective(facts);
  if (known != nullptr) objective = known->parameters.objective;
  EVERGROVE_RETURN_IF_ERROR(validate(header.parameters));
  if (known != nullptr) header.classes = known->classes;
  if (objective == model::ObjectiveKind::regression) {
    EVERGROVE_RETURN_IF_ERROR(check_targets(facts, spec.label, /*must_vary=*/known == nullptr));
  } else if (known == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(header.classes, find_classes(facts, spec.label, objective));
  } else {
    EVERGROVE_RETURN_IF_ERROR(check_classes(facts, spec.label, header.classes));
  }
  if (spec.valid_fraction > 0 && (facts.all.training_rows == 0 || facts.held_out_rows == 0)) {
    return invalid_input("The validation fraction leaves a side without rows; change it",
                         {{"rows", std::to_string(spec.data->row_count())},
                          {"fraction", number_text(spec.valid_fraction)}});
  }
  return {};
}

Status decide_margins(const LabelFacts& facts, const LabelSums& sums, const RunHeader* known,
                      RunHeader& header) {
  if (known != nullptr) {
    header.value_exponent = known->value_exponent;
    header.base_margins = known->base_margins;
    return {};
  }
  EVERGROVE_ASSIGN_OR_RETURN(const MarginStart start,
                             margin_start(header.parameters, header.classes, facts, sums));
  header.value_exponent = start.value_exponent;
  header.base_margins = start.base_margins;
  return {};
}

void name_sets(const DataSpec& spec, RunHeader& header) {
  if (spec.valid_fraction > 0) header.valid_names.emplace_back("valid");
  for (const DataSpec::ValidSource& valid : spec.valid) header.valid_names.push_back(valid.name);
}

Result<Description> Description::begin(DataSpec spec, const Parameters& parameters,
                                       const RunHeader* known) {
  EVERGROVE_RETURN_IF_ERROR(check_spec(spec, parameters, known));
  Description description;
  EVERGROVE_ASSIGN_OR_RETURN(description.columns_, feature_columns(spec));
  if (known != nullptr) {
    description.known_ = *known;
    EVERGROVE_RETURN_IF_ERROR(match_columns(known->features, *spec.data, "training data").status());
  }
  RunHeader& header = description.header_;
  header.parameters = parameters;
  header.label = spec.label;
  header.weight = spec.weight;
  header.valid_fraction = spec.valid_fraction;
  name_sets(spec, header);
  description.facts_.resize(1 + spec.valid.size());
  description.features_.assign(description.columns_.size(), model::Feature());
  description.spec_ = std::move(spec);
  return description;
}

bool Description::is_by_column(const PartSizes& sizes) const {
  return sizes.column_parts > 0 && spec_.data->reads_single_columns() &&
         spec_.data->row_count() <= kRowsByColumn;
}

void Description::add_column_requests(std::span<const Shard> parts, uint32_t at_once,
                                      uint32_t cut_bins, std::vector<PartRequest>& requests) {
  const auto column_count = static_cast<uint32_t>(known_ ? 0 : columns_.size());
  for (uint32_t first = 0; first < column_count; first += at_once) {
    for (const Shard& part : parts) {
      if (part.set != 0) continue;
      requests.push_back({.part = part,
                          .seed = header_.parameters.seed,
                          .sums = std::nullopt,
                          .first_column = first,
                          .column_count = std::min(at_once, column_count - first),
                          .cut_bins = cut_bins});
      ++groups_[first].parts_to_come;
    }
  }
}

std::vector<PartRequest> Description::requests(const PartSizes& sizes) {
  const uint64_t seed = header_.parameters.seed;
  const bool by_column = is_by_column(sizes);
  // The same in both phases; with rows held out it hashes every row's id.
  const uint64_t rows_wanted = by_column ? std::max(sizes.rows, kLabelRows) : sizes.rows;
  if (parts_.empty()) parts_ = make_shards(spec_, seed, rows_wanted);
  std::vector<PartRequest> requests;
  if (phase_ == Phase::sums) {
    const LabelSumsRequest sums = sums_request(header_.parameters, header_.classes, *facts_[0]);
    for (const Shard& part : parts_) {
      if (part.set == 0) requests.push_back({.part = part, .seed = seed, .sums = sums});
    }
    return requests;
  }
  const auto column_count = static_cast<uint32_t>(columns_.size());
  if (by_column) {
    // Labels come first: a part of columns is the sooner given up when another has read it.
    for (const Shard& part : parts_) {
      requests.push_back({.part = part, .seed = seed, .labels = true, .sums = std::nullopt});
    }
    const Shard all{.block_count = static_cast<uint32_t>(spec_.data->blocks().size()),
                    .row_count = spec_.data->row_count()};
    const uint32_t at_once = (column_count + sizes.column_parts - 1) / sizes.column_parts;
    add_column_requests({&all, 1}, std::min(at_once, kColumnsAtOnce),
                        static_cast<uint32_t>(header_.parameters.max_bins), requests);
    return requests;
  }
  // Where a block is read whole anyway, all of it is used at once.
  const bool reads_single = spec_.data->reads_single_columns();
  add_column_requests(parts_, reads_single ? kColumnsAtOnce : column_count, 0, requests);
  // A part's labels are read with its first columns, if any.
  size_t with_columns = 0;
  for (const Shard& part : parts_) {
    if (part.set == 0 && !groups_.empty()) {
      requests[with_columns++].labels = true;
    } else {
      requests.push_back({.part = part, .seed = seed, .labels = true, .sums = std::nullopt});
    }
  }
  return requests;
}

Status Description::add(const PartRequest& request, PartFacts facts) {
  if (request.labels != facts.labels.has_value() ||
      request.sums.has_value() != facts.sums.has_value() ||
      request.column_count != facts.columns.size()) {
    return corrupt("A worker answers what it was not asked; run one version everywhere");
  }
  if (facts.sums) sums_.merge(*facts.sums);
  if (facts.labels) {
    std::optional<LabelFacts>& known = facts_[request.part.set];
    if (!known) {
      known = std::move(facts.labels);
    } else if (known->is_text != facts.labels->is_text ||
               known->has_weights != facts.labels->has_weights) {
      return corrupt("Workers see different columns in the data; give all of them the same data");
    } else {
      known->merge(*std::move(facts.labels));
    }
  }
  if (request.column_count == 0) return {};
  ColumnGroup& group = groups_.at(request.first_column);
  if (group.facts.empty()) {
    group.facts = std::move(facts.columns);
  } else {
    for (size_t i = 0; i < group.facts.size(); ++i) {
      group.facts[i].merge(std::move(facts.columns[i]));
    }
  }
  if (--group.parts_to_come > 0) return {};
  decide_features(request.first_column, std::exchange(group.facts, {}));
  return {};
}

void Description::decide_features(uint32_t first_column, std::vector<ColumnFacts> facts) {
  tbb::parallel_for(size_t{0}, facts.size(), [&](size_t i) {
    const table::ColumnSpec& column = spec_.data->schema().columns[columns_[first_column + i]];
    features_[first_column + i] = make_feature(column, std::move(facts[i]), header_.parameters);
  });
}

Status Description::end_phase() {
  const RunHeader* const known = known_ ? &*known_ : nullptr;
  if (phase_ == Phase::facts) {
    EVERGROVE_RETURN_IF_ERROR(decide_labels(spec_, *facts_[0], known, header_));
    phase_ = Phase::sums;
    if (needs_sums(header_.parameters, *facts_[0])) return {};
  }
  EVERGROVE_RETURN_IF_ERROR(decide_margins(*facts_[0], sums_, known, header_));
  if (known != nullptr) {
    header_.features = known->features;
  } else {
    for (Result<model::Feature>& feature : features_) {
      EVERGROVE_ASSIGN_OR_RETURN(header_.features.emplace_back(), std::move(feature));
    }
  }
  for (size_t i = 0; i < spec_.valid.size(); ++i) {
    const DataSpec::ValidSource& valid = spec_.valid[i];
    EVERGROVE_RETURN_IF_ERROR(match_columns(header_.features, *valid.source, valid.name).status());
    const LabelFacts& facts = *facts_[i + 1];
    EVERGROVE_RETURN_IF_ERROR(refuse_labels(facts.missing, facts.infinite, spec_.label));
    const bool is_regression = header_.parameters.objective == model::ObjectiveKind::regression;
    EVERGROVE_RETURN_IF_ERROR(is_regression ? check_targets(facts, spec_.label, /*must_vary=*/false)
                                            : check_classes(facts, spec_.label, header_.classes));
    EVERGROVE_RETURN_IF_ERROR(check_rows(facts, spec_.label, spec_.weight));
  }
  phase_ = Phase::complete;
  return {};
}

RunDescription Description::finish() {
  CHECK(is_complete());
  RunDescription run;
  const LabelFacts& facts = *facts_[0];
  run.header = std::move(header_);
  run.header.manifest = spec_.data->manifest();
  for (const DataSpec::ValidSource& valid : spec_.valid) {
    run.header.valid_manifests.push_back(valid.source->manifest());
  }
  run.weight_facts = weight_facts(run.header.parameters, run.header.classes, facts, sums_);
  run.training_weight_max = weight_max(facts);
  if (spec_.valid_fraction > 0) {
    run.weight_max_by_set.push_back(facts.has_weights ? facts.held_out_weight_max : 0);
  }
  for (size_t i = 1; i < facts_.size(); ++i) {
    run.weight_max_by_set.push_back(weight_max(*facts_[i]));
  }
  return run;
}

Result<RunDescription> describe(const DataSpec& spec, const Parameters& parameters,
                                const RunHeader* known, const PrepareProgress& progress,
                                uint64_t rows_at_once) {
  EVERGROVE_ASSIGN_OR_RETURN(Description description, Description::begin(spec, parameters, known));
  PartDescriber describer(spec);
  if (rows_at_once == 0) rows_at_once = spec.data->row_count();
  while (!description.is_complete()) {
    const std::vector<PartRequest> requests = description.requests({.rows = rows_at_once});
    for (size_t i = 0; i < requests.size(); ++i) {
      const PartRequest& request = requests[i];
      if (progress && !progress("reading", double(i) / double(requests.size()))) {
        return stopped_before_training();
      }
      EVERGROVE_ASSIGN_OR_RETURN(PartFacts facts, describer.describe(request));
      EVERGROVE_RETURN_IF_ERROR(description.add(request, std::move(facts)));
    }
    EVERGROVE_RETURN_IF_ERROR(description.end_phase());
  }
  return description.finish();
}

}  // namespace evergrove::train
