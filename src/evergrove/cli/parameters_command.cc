// evergrove parameters: what --set takes, from the table of parameters.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/result_json.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/train/parameters.h"

namespace evergrove::cli {
namespace {

void print_words() {
  std::string text;
  for (const train::ParameterInfo& parameter : train::parameter_table()) {
    text += styled(parameter.name, Style::bold, stdout) + " (" + std::string(parameter.type) +
            ", " + std::string(parameter.range) + "; " + std::string(parameter.default_text) +
            " if it is not said)\n  " + std::string(parameter.documentation) + "\n";
    std::string aliases;
    for (std::string_view alias : parameter.aliases) {
      aliases += (aliases.empty() ? "" : ", ") + std::string(alias);
    }
    if (!aliases.empty()) text += "  Also called " + aliases + ".\n";
  }
  std::fputs(text.c_str(), stdout);
}

void print_table_json() {
  auto parameters = nlohmann::ordered_json::array();
  for (const train::ParameterInfo& parameter : train::parameter_table()) {
    parameters.push_back({{"name", parameter.name},
                          {"type", parameter.type},
                          {"default", parameter.default_text},
                          {"range", parameter.range},
                          {"aliases", parameter.aliases},
                          {"documentation", parameter.documentation}});
  }
  print_json({{"parameters", std::move(parameters)}});
}

}  // namespace

void add_parameters(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand("parameters", "List what --set takes");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "As one JSON object");
  command->footer("Examples:\n  evergrove parameters\n  evergrove parameters --json");
  command->callback([&chosen, json] {
    chosen = [json]() -> Result<int> {
      *json ? print_table_json() : print_words();
      return 0;
    };
  });
}

}  // namespace evergrove::cli
