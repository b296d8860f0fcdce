// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/result_json.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "evergrove/cli/quantity_text.h"

namespace evergrove::cli {

nlohmann::ordered_json metrics_json(const std::vector<model::MetricValue>& metrics) {
  auto json = nlohmann::ordered_json::object();
  for (const model::MetricValue& metric : metrics) json[metric.set][metric.name] = metric.value;
  return json;
}

nlohmann::ordered_json parameters_json(const std::string& parameters) {
  auto json = nlohmann::ordered_json::parse(parameters, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return nullptr;
  return json;
}

void print_json(const nlohmann::ordered_json& json) {
  // Names that are not UTF-8 get a replacement character, for JSON has no other way.
  std::string text = json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text += '\n';
  std::fputs(text.c_str(), stdout);
}

std::string metrics_lines(const std::vector<model::MetricValue>& metrics) {
  std::vector<std::string> sets;
  std::vector<std::string> lines;
  for (const model::MetricValue& metric : metrics) {
    size_t place = 0;
    while (place < sets.size() && sets[place] != metric.set) ++place;
    if (place == sets.size()) {
      sets.push_back(metric.set);
      lines.push_back(metric.set);
      lines.back().resize(std::max<size_t>(lines.back().size(), 10), ' ');
    }
    lines[place] += "  " + metric.name + " " + metric_text(metric.value);
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace evergrove::cli
