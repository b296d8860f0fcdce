// evergrove completion: a script that teaches bash, zsh or fish the commands and their options,
// made from the application itself so that it cannot drift.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "evergrove/cli/commands.h"
#include "evergrove/train/parameters.h"

namespace evergrove::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  source <(evergrove completion bash)                      in ~/.bashrc\n"
    "  evergrove completion fish > ~/.config/fish/completions/evergrove.fish";

std::string options_of(const CLI::App& command) {
  std::string words;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      words += (words.empty() ? "--" : " --") + name;
    }
  }
  return words;
}

std::string command_names(const CLI::App& application) {
  std::string words;
  for (const CLI::App* command : application.get_subcommands({})) {
    words += (words.empty() ? "" : " ") + command->get_name();
  }
  return words;
}

std::string settings() {
  std::string words;
  for (const train::ParameterInfo& parameter : train::parameter_table()) {
    words += (words.empty() ? "" : " ") + std::string(parameter.name) + "=";
  }
  return words;
}

// bash; zsh runs the same by its bashcompinit.
std::string bash_script(const CLI::App& application) {
  std::string script =
      "_evergrove() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '" +
      command_names(application) + " --help --version' -- \"$word\")); return\n  fi\n" +
      "  if [ \"$before\" = --set ]; then\n    compopt -o nospace 2>/dev/null\n"
      "    COMPREPLY=($(compgen -W '" +
      settings() + "' -- \"$word\")); return\n  fi\n  case ${COMP_WORDS[1]} in\n";
  for (const CLI::App* command : application.get_subcommands({})) {
    script += "    " + command->get_name() + ") options='" + options_of(*command) + "';;\n";
  }
  script +=
      "  esac\n"
      "  case $word in\n"
      "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\"));;\n"
      "    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\"));;\n"
      "  esac\n"
      "}\n"
      "complete -F _evergrove evergrove\n";
  return script;
}

std::string fish_script(const CLI::App& application) {
  std::string script =
      "complete -c evergrove -n __fish_use_subcommand -f -a '" + command_names(application) + "'\n";
  for (const CLI::App* command : application.get_subcommands({})) {
    const std::string condition =
        "complete -c evergrove -n '__fish_seen_subcommand_from " + command->get_name() + "' ";
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        script += condition + "-l " + name + "\n";
      }
    }
  }
  return script;
}

Result<int> print_script(const CLI::App& application, const std::string& shell) {
  if (shell == "bash") {
    std::fputs(bash_script(application).c_str(), stdout);
  } else if (shell == "zsh") {
    std::fputs("autoload -U +X compinit bashcompinit && compinit && bashcompinit\n", stdout);
    std::fputs(bash_script(application).c_str(), stdout);
  } else if (shell == "fish") {
    std::fputs(fish_script(application).c_str(), stdout);
  } else {
    return invalid_input("Completion is there for bash, zsh and fish", {{"given", shell}});
  }
  return 0;
}

}  // namespace

void add_completion(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "completion", "Print a script that teaches a shell these commands");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required();
  command->footer(kFooter);
  command->callback([&application, &chosen, shell] {
    chosen = [&application, shell] { return print_script(application, *shell); };
  });
}

}  // namespace evergrove::cli
