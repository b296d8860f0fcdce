// Names and aliases to entries, and the rules between parameters.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "evergrove/train/edit_distance.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/parameter_entries.h"

namespace evergrove::train {
namespace {

constexpr int64_t kSymmetricDepthMax = 16;

std::string normalised(std::string_view name) {
  std::string result(name);
  for (char& c : result) {
    if (c == '-') c = '_';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

struct FoundEntry {
  const ParameterEntry* entry = nullptr;
  Conversion conversion = Conversion::same;
};

FoundEntry find_entry(std::string_view name) {
  for (const ParameterEntry& entry : parameter_entries()) {
    if (entry.name == name) return {&entry, Conversion::same};
    for (const ParameterAlias& alias : entry.aliases) {
      if (alias.name == name) return {&entry, alias.conversion};
    }
  }
  return {};
}

std::string_view nearest_name(std::string_view name) {
  std::vector<std::string_view> names;
  std::vector<std::string_view> meanings;
  for (const ParameterEntry& entry : parameter_entries()) {
    names.push_back(entry.name);
    meanings.push_back(entry.name);
  }
  for (const ParameterEntry& entry : parameter_entries()) {
    for (const ParameterAlias& alias : entry.aliases) {
      names.push_back(alias.name);
      meanings.push_back(entry.name);
    }
  }
  return meanings[nearest(name, names)];
}

std::string number_text(double value) {
  char buffer[64];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

// Another library's text for a value as ours, or the text itself.
Result<std::string> translated(const FoundEntry& found, std::string_view value) {
  const ParameterEntry& entry = *found.entry;
  const std::string word = normalised(value);
  if (entry.unlimited >= 0 && (word == "_1" || word == "0" || word == "none")) {
    return number_text(entry.unlimited);
  }
  if (word == "none" || word == "null") return parameter_text(entry, Parameters());
  if (found.conversion == Conversion::same) return std::string(value);
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(number)) {
    return std::string(value);  // not a number: refused further on, in its own words
  }
  return number_text(found.conversion == Conversion::halved ? number / 2 : number + 1);
}

Status unknown_name(std::string_view name) {
  for (const ForeignName& foreign : foreign_names()) {
    if (foreign.name == normalised(name)) {
      return invalid_input(std::string(name) +
                           " is not a parameter here: " + std::string(foreign.advice));
    }
  }
  return invalid_input("There is no parameter of that name; did you mean " +
                           std::string(nearest_name(normalised(name))) + "?",
                       {{"parameter", std::string(name)}});
}

// What makes sense for some objectives only.
Status validate_for_objective(const Parameters& parameters) {
  const bool is_binary = parameters.objective == model::ObjectiveKind::binary;
  if (parameters.scale_pos_weight != 1 && !is_binary) {
    return invalid_input("scale_pos_weight is for the binary objective only; leave it out",
                         {{"scale_pos_weight", number_text(parameters.scale_pos_weight)}});
  }
  if (!std::isnan(parameters.base_score)) {
    if (parameters.objective == model::ObjectiveKind::multiclass) {
      return invalid_input("base_score cannot be set for the multiclass objective; leave it out",
                           {{"base_score", number_text(parameters.base_score)}});
    }
    if (is_binary && !(parameters.base_score > 0 && parameters.base_score < 1)) {
      return invalid_input(
          "base_score is a probability with the binary objective; give one between 0 and 1",
          {{"base_score", number_text(parameters.base_score)}});
    }
  }
  for (size_t i = 0; i < parameters.metrics.size(); ++i) {
    const std::string& metric = parameters.metrics[i];
    EVERGROVE_RETURN_IF_ERROR(check_metric(metric, parameters.objective));
    if (std::find(parameters.metrics.begin(), parameters.metrics.begin() + i, metric) !=
        parameters.metrics.begin() + i) {
      return invalid_input("A metric is given twice; leave one out", {{"metric", metric}});
    }
  }
  return Status();
}

}  // namespace

Status set_parameter(Parameters& parameters, std::string_view name, std::string_view value,
                     std::vector<std::string>* notes) {
  const std::string plain_name = normalised(name);
  const FoundEntry found = find_entry(plain_name);
  if (found.entry == nullptr) return unknown_name(name);
  EVERGROVE_ASSIGN_OR_RETURN(const std::string text, translated(found, value));
  EVERGROVE_RETURN_IF_ERROR(set_by_entry(*found.entry, parameters, text));
  if (notes == nullptr) return Status();
  const std::string own_name(found.entry->name);
  if (text != value) {
    notes->push_back(std::string(name) + "=" + std::string(value) + " is " + own_name + "=" + text +
                     " here");
  } else if (plain_name != own_name) {
    notes->push_back(std::string(name) + " is called " + own_name + " here");
  }
  return Status();
}

std::string_view parameter_name(std::string_view name_or_alias) {
  const FoundEntry found = find_entry(normalised(name_or_alias));
  return found.entry == nullptr ? std::string_view() : found.entry->name;
}

Status validate(const Parameters& parameters, bool objective_is_chosen) {
  for (const ParameterEntry& entry : parameter_entries()) {
    EVERGROVE_RETURN_IF_ERROR(check_entry(entry, parameters));
  }
  if (parameters.growth == Growth::symmetric && parameters.max_depth > kSymmetricDepthMax) {
    return invalid_input("max_depth can be 16 at most with symmetric growth; lower it",
                         {{"max_depth", std::to_string(parameters.max_depth)}});
  }
  return objective_is_chosen ? validate_for_objective(parameters) : Status();
}

std::string first_difference(const Parameters& a, const Parameters& b) {
  for (const ParameterEntry& entry : parameter_entries()) {
    if (entry.may_differ_on_resume) continue;
    if (parameter_text(entry, a) != parameter_text(entry, b)) return std::string(entry.name);
  }
  return "";
}

}  // namespace evergrove::train
