// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_past.h"

#include <algorithm>

#include "evergrove/runtime/run_log.h"
#include "evergrove/train/features.h"

namespace evergrove::runtime {
namespace {

Status differs(std::string_view what, const std::string& before, const std::string& now) {
  return invalid_input(
      "The " + std::string(what) +
          " is not what it was when the run began; give the same, or start a new "
          "run in another log folder",
      {{"then", before.empty() ? "(none)" : before}, {"now", now.empty() ? "(none)" : now}});
}

Status check_manifest(const table::Manifest& then, const table::Manifest& now,
                      std::string_view data_name) {
  const std::string change = "The " + std::string(data_name) + " changed since the run began; ";
  for (size_t i = 0; i < std::min(then.files.size(), now.files.size()); ++i) {
    const table::ManifestFile& a = then.files[i];
    const table::ManifestFile& b = now.files[i];
    if (a.fingerprint == b.fingerprint && a.row_count == b.row_count) continue;
    return invalid_input(change + "restore this file, or start a new run in another log folder",
                         {{"file", b.path},
                          {"rows then", std::to_string(a.row_count)},
                          {"rows now", std::to_string(b.row_count)}});
  }
  if (then.files.size() == now.files.size()) return {};
  const bool fewer = now.files.size() < then.files.size();
  const table::ManifestFile& file =
      fewer ? then.files[now.files.size()] : now.files[then.files.size()];
  return invalid_input(change + (fewer ? "a file is missing" : "there is a new file"),
                       {{"file", file.path}});
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Status check_parameters(train::Parameters then, const train::Parameters& now,
                        bool objective_is_chosen) {
  if (!objective_is_chosen) then.objective = now.objective;
  const std::string name = train::first_difference(then, now);
  if (name.empty()) return {};
  return invalid_input(
      "A parameter is not what it was when the run began; give the same value, or start a new run "
      "in another log folder",
      {{"parameter", name}});
}

}  // namespace

Status check_same_run(const train::RunHeader& logged, const train::DataSpec& spec,
                      const train::Parameters& parameters) {
  EVERGROVE_RETURN_IF_ERROR(
      check_parameters(logged.parameters, parameters, spec.objective_is_chosen));
  if (logged.label != spec.label) return differs("label", logged.label, spec.label);
  if (logged.weight != spec.weight) return differs("weight", logged.weight, spec.weight);
  if (logged.valid_fraction != spec.valid_fraction) {
    return differs("validation fraction", std::to_string(logged.valid_fraction),
                   std::to_string(spec.valid_fraction));
  }
  EVERGROVE_RETURN_IF_ERROR(
      check_manifest(logged.manifest, spec.data->manifest(), "training data"));
  if (logged.valid_manifests.size() != spec.valid.size()) {
    return differs("number of validation sets", std::to_string(logged.valid_manifests.size()),
                   std::to_string(spec.valid.size()));
  }
  for (size_t i = 0; i < spec.valid.size(); ++i) {
    EVERGROVE_RETURN_IF_ERROR(check_manifest(logged.valid_manifests[i],
                                             spec.valid[i].source->manifest(),
                                             "data of " + spec.valid[i].name));
  }
  // The features follow from the schema and what is excluded or categorical.
  std::vector<std::string> then;
  std::vector<std::string> now;
  then.reserve(logged.features.size());
  for (const model::Feature& feature : logged.features) then.push_back(feature.name);
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<size_t> columns, train::feature_columns(spec));
  now.reserve(columns.size());
  for (size_t column : columns) now.push_back(spec.data->schema().columns[column].name);
  if (then != now) return differs("list of columns to learn from", joined(then), joined(now));
  return {};
}

Result<RunPast> past_of_log(RunLog& log, const std::string& log_shown, bool resume,
                            const train::DataSpec& spec, const train::Parameters& parameters) {
  if (!log.header()) return RunPast{};
  if (!resume) {
    return invalid_input(
        "The log folder holds a run already; add resume (--resume) to go on with it, or give "
        "another folder",
        {{"log", log_shown}});
  }
  RunPast past{*log.header(), log.take_iterations()};
  EVERGROVE_RETURN_IF_ERROR(check_same_run(*past.header, spec, parameters)
                                .with_context("Cannot go on from the log in " + log_shown));
  return past;
}

Result<RunPast> past_of_model(const model::Model& model, const train::DataSpec& spec,
                              const train::Parameters& parameters) {
  const std::string context = "Cannot add trees to the model";
  const model::Metadata& about = model.metadata;
  Result<train::Parameters> trained_with = train::from_json(about.parameters_json);
  if (!trained_with.ok()) return trained_with.status().with_context(context);
  EVERGROVE_RETURN_IF_ERROR(
      check_parameters(*trained_with, parameters, spec.objective_is_chosen).with_context(context));
  if (about.label != spec.label) {
    return differs("label", about.label, spec.label).with_context(context);
  }
  if (about.weight != spec.weight) {
    return differs("weight", about.weight, spec.weight).with_context(context);
  }
  RunPast past;
  train::RunHeader& header = past.header.emplace();
  header.parameters = parameters;
  header.parameters.objective = model.objective;
  header.label = about.label;
  header.weight = about.weight;
  header.classes = about.classes;
  header.features = model.features;
  header.value_exponent = model.value_exponent;
  header.base_margins = model.base_margins;
  const size_t outputs = model.output_count();
  if (model.trees.size() % outputs != 0) {
    return corrupt("The model has an iteration that is not whole").with_context(context);
  }
  for (size_t tree = 0; tree < model.trees.size(); tree += outputs) {
    train::Iteration& iteration = past.iterations.emplace_back();
    iteration.index = past.iterations.size() - 1;
    iteration.trees.assign(model.trees.begin() + static_cast<long>(tree),
                           model.trees.begin() + static_cast<long>(tree + outputs));
    if (iteration.index < about.metrics.size()) {
      iteration.metrics = about.metrics[iteration.index];
    }
  }
  return past;
}

Result<RunPast> joined_past(RunPast logged, RunPast of_model, const std::string& log_shown) {
  const auto trees_of = [](train::Iteration iteration) {
    iteration.metrics.clear();
    return train::encode_iteration(iteration);
  };
  const size_t in_log = logged.iterations.size();
  for (size_t i = 0; i < std::min(in_log, of_model.iterations.size()); ++i) {
    if (trees_of(logged.iterations[i]) == trees_of(of_model.iterations[i])) continue;
    return invalid_input(
        "The log is of a run that did not go on from this model; give the same model as before, or "
        "none",
        {{"log", log_shown}, {"iteration", std::to_string(i)}});
  }
  if (!logged.header) logged.header = std::move(of_model.header);
  for (size_t i = in_log; i < of_model.iterations.size(); ++i) {
    logged.iterations.push_back(std::move(of_model.iterations[i]));
  }
  return logged;
}

}  // namespace evergrove::runtime
