// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/train_options.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "evergrove/base/byte_size.h"
#include "evergrove/base/number_text.h"
#include "evergrove/runtime/log_store.h"
#include "evergrove/runtime/model_file.h"

namespace evergrove::cli {
namespace {

Status check_options(const TrainOptions& options) {
  if (options.data.empty()) {
    return invalid_input("Say what to learn from with --data PATH");
  }
  if (options.label.empty()) {
    return invalid_input("Say which column is to be predicted with --label COLUMN");
  }
  if (options.model.empty() && !options.explain) {
    return invalid_input("Say where the model is to go with --model FILE");
  }
  if (options.resume && options.log.empty()) {
    return invalid_input("--resume goes on from a log; say where it is with --log DIR");
  }
  if (options.valid_fraction && !(*options.valid_fraction > 0 && *options.valid_fraction < 1)) {
    return invalid_input("--valid-fraction must be above 0 and below 1",
                         {{"value", number_text(*options.valid_fraction)}});
  }
  return {};
}

// What is written into a folder of data would be read as data when the command is repeated.
Status check_is_outside(std::string_view what, const std::string& place,
                        const std::vector<std::string>& paths) {
  if (place.empty()) return {};
  std::error_code error;
  const auto target = std::filesystem::weakly_canonical(std::filesystem::absolute(place), error);
  for (const std::string& path : paths) {
    if (error || !std::filesystem::is_directory(path, error)) continue;
    const auto folder = std::filesystem::weakly_canonical(path, error);
    const auto below = target.lexically_relative(folder);
    if (error || below.empty() || *below.begin() == "..") continue;
    return invalid_input("The " + std::string(what) +
                             " would be written among the data that is read; give another place",
                         {{std::string(what), place}, {"data", path}});
  }
  return {};
}

Status check_places(const TrainOptions& options) {
  std::vector<std::string> paths = options.data;
  for (const auto& valid : options.valid) paths.insert(paths.end(), valid.begin(), valid.end());
  EVERGROVE_RETURN_IF_ERROR(check_is_outside("model", options.model, paths));
  if (runtime::is_object_place(options.log)) return {};
  return check_is_outside("log", options.log, paths);
}

// Splits NAME=VALUE.
Result<std::pair<std::string, std::string>> split_setting(const std::string& setting,
                                                          std::string_view option) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    return invalid_input(std::string(option) + " takes name=value", {{"value", setting}});
  }
  return std::pair(setting.substr(0, equals), setting.substr(equals + 1));
}

Result<train::Parameters> make_parameters(const TrainOptions& options, bool& objective_is_chosen,
                                          std::vector<std::string>& notes) {
  train::Parameters parameters;
  for (const std::string& setting : options.settings) {
    EVERGROVE_ASSIGN_OR_RETURN(const auto pair, split_setting(setting, "--set"));
    EVERGROVE_RETURN_IF_ERROR(train::set_parameter(parameters, pair.first, pair.second, &notes));
    objective_is_chosen |= train::parameter_name(pair.first) == "objective";
  }
  if (!options.objective.empty()) {
    EVERGROVE_RETURN_IF_ERROR(
        train::set_parameter(parameters, "objective", options.objective, &notes));
    objective_is_chosen = true;
  }
  if (options.seed) parameters.seed = *options.seed;
  EVERGROVE_RETURN_IF_ERROR(train::validate(parameters, objective_is_chosen));
  return parameters;
}

Result<std::map<std::string, std::string>> column_types(const TrainOptions& options) {
  std::map<std::string, std::string> types;
  for (const std::string& text : options.column_types) {
    EVERGROVE_ASSIGN_OR_RETURN(const auto pair, split_setting(text, "--type"));
    if (pair.second != "number" && pair.second != "text" && pair.second != "date") {
      return invalid_input("--type takes number, text or date", {{"value", text}});
    }
    types[pair.first] = pair.second;
  }
  return types;
}

}  // namespace

Result<runtime::DataDescription> describe_data(const TrainOptions& options,
                                               bool objective_is_chosen) {
  runtime::DataDescription data;
  data.data = options.data;
  data.valid = options.valid;
  data.valid_fraction = options.valid_fraction.value_or(0);
  data.label = options.label;
  data.weight = options.weight;
  data.exclude = options.exclude;
  data.categorical = options.categorical;
  EVERGROVE_ASSIGN_OR_RETURN(data.column_types, column_types(options));
  data.objective_is_chosen = objective_is_chosen;
  return data;
}

Result<runtime::TrainingRequest> make_request(const TrainOptions& options,
                                              std::vector<std::string>& notes) {
  EVERGROVE_RETURN_IF_ERROR(check_options(options));
  EVERGROVE_RETURN_IF_ERROR(check_places(options));
  runtime::TrainingRequest request;
  bool objective_is_chosen = false;
  EVERGROVE_ASSIGN_OR_RETURN(request.parameters,
                             make_parameters(options, objective_is_chosen, notes));
  EVERGROVE_ASSIGN_OR_RETURN(const runtime::DataDescription data,
                             describe_data(options, objective_is_chosen));
  const auto readers = is_cluster(options) ? source::Readers::several : source::Readers::one;
  EVERGROVE_ASSIGN_OR_RETURN(request.data, runtime::open_data(data, readers));
  request.threads = options.threads.value_or(0);
  request.log_folder = options.log;
  request.resume = options.resume;
  request.model_path = options.model;
  request.cache_folder = options.cache;
  if (!options.memory.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(request.memory_bytes, parse_byte_size("--memory", options.memory));
  }
  if (!options.continue_from.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(request.continue_from, runtime::read_model(options.continue_from));
  }
  return request;
}

}  // namespace evergrove::cli
