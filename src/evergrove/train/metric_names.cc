// Names of metrics: which objective has which, and what other libraries call them.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "evergrove/train/edit_distance.h"
#include "evergrove/train/metrics.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

struct MetricInfo {
  std::string_view name;
  bool binary = false;
  bool multiclass = false;
  bool regression = false;
  bool larger_is_better = false;
};
constexpr MetricInfo kMetrics[] = {
    {.name = "auc", .binary = true, .larger_is_better = true},
    {.name = "average_precision", .binary = true, .larger_is_better = true},
    {.name = "log_loss", .binary = true, .multiclass = true},
    {.name = "error", .binary = true, .multiclass = true},
    {.name = "accuracy", .binary = true, .multiclass = true, .larger_is_better = true},
    {.name = "rmse", .binary = true, .regression = true},
    {.name = "mse", .binary = true, .regression = true},
    {.name = "mae", .binary = true, .regression = true},
    {.name = "r2", .regression = true, .larger_is_better = true},
    {.name = "precision_at_K", .binary = true, .larger_is_better = true},
    {.name = "recall_at_K", .binary = true, .larger_is_better = true},
};

struct MetricAlias {
  std::string_view name;
  std::string_view meaning;
};
constexpr MetricAlias kAliases[] = {
    {"roc_auc", "auc"},
    {"aucpr", "average_precision"},
    {"average_precision_score", "average_precision"},
    {"prauc", "average_precision"},
    {"ap", "average_precision"},
    {"logloss", "log_loss"},
    {"binary_logloss", "log_loss"},
    {"multi_logloss", "log_loss"},
    {"mlogloss", "log_loss"},
    {"cross_entropy", "log_loss"},
    {"binary_error", "error"},
    {"multi_error", "error"},
    {"merror", "error"},
    {"root_mean_squared_error", "rmse"},
    {"l2_root", "rmse"},
    {"mean_squared_error", "mse"},
    {"l2", "mse"},
    {"mean_absolute_error", "mae"},
    {"l1", "mae"},
};

constexpr std::string_view kCutoffPrefixes[] = {"precision_at_", "recall_at_"};

const MetricInfo* find_metric(std::string_view name) {
  for (std::string_view prefix : kCutoffPrefixes) {
    if (!name.starts_with(prefix) || metric_cutoff(name) == 0) continue;
    for (const MetricInfo& metric : kMetrics) {
      if (metric.name.starts_with(prefix)) return &metric;
    }
  }
  for (const MetricInfo& metric : kMetrics) {
    if (metric.name == name && !name.ends_with("_K")) return &metric;
  }
  return nullptr;
}

bool has_metric(const MetricInfo& metric, ObjectiveKind objective) {
  switch (objective) {
    case ObjectiveKind::binary:
      return metric.binary;
    case ObjectiveKind::multiclass:
      return metric.multiclass;
    case ObjectiveKind::regression:
      return metric.regression;
  }
  return false;
}

std::string names_for(ObjectiveKind objective) {
  std::string names;
  for (const MetricInfo& metric : kMetrics) {
    if (!has_metric(metric, objective)) continue;
    names += (names.empty() ? "" : ", ") + std::string(metric.name);
  }
  return names;
}

}  // namespace

uint64_t metric_cutoff(std::string_view name) {
  for (std::string_view prefix : kCutoffPrefixes) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view digits = name.substr(prefix.size());
    uint64_t cutoff = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), cutoff);
    const bool is_plain = error == std::errc() && end == digits.data() + digits.size() &&
                          !digits.starts_with('0') && cutoff <= uint64_t{1} << 48;
    return is_plain ? cutoff : 0;
  }
  return 0;
}

std::string canonical_metric_name(std::string_view name) {
  for (const MetricAlias& alias : kAliases) {
    if (alias.name == name) return std::string(alias.meaning);
  }
  return std::string(name);
}

Status check_metric(std::string_view name, ObjectiveKind objective) {
  const MetricInfo* metric = find_metric(name);
  if (metric == nullptr) {
    std::vector<std::string_view> names;
    for (const MetricInfo& known : kMetrics) names.push_back(known.name);
    for (const MetricAlias& alias : kAliases) names.push_back(alias.name);
    return invalid_input("There is no metric of that name; did you mean " +
                             canonical_metric_name(names[nearest(name, names)]) + "?",
                         {{"metric", std::string(name)}});
  }
  if (has_metric(*metric, objective)) return Status();
  return invalid_input(
      "The objective does not have this metric; choose among " + names_for(objective),
      {{"metric", std::string(name)}});
}

std::vector<std::string> default_metrics(ObjectiveKind objective) {
  switch (objective) {
    case ObjectiveKind::binary:
      return {"auc", "average_precision", "log_loss"};
    case ObjectiveKind::multiclass:
      return {"log_loss", "error"};
    case ObjectiveKind::regression:
      return {"rmse", "mae"};
  }
  return {};
}

std::vector<std::string> metric_names(const Parameters& parameters) {
  return parameters.metrics.empty() ? default_metrics(parameters.objective) : parameters.metrics;
}

bool larger_is_better(std::string_view name) {
  const MetricInfo* metric = find_metric(name);
  return metric != nullptr && metric->larger_is_better;
}

}  // namespace evergrove::train
