// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/application.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/exact/simd.h"
#include "evergrove/train/edit_distance.h"

namespace evergrove::cli {
namespace {

constexpr const char* kDescription =
    "Evergrove trains gradient boosted trees that are the same to the bit on any number of\n"
    "threads, after any number of interruptions.";
constexpr const char* kFooter =
    "Examples:\n"
    "  evergrove train --data train.parquet --label fraud --valid-fraction 0.1 \\\n"
    "      --set n_estimators=500 early_stopping_rounds=50 --log run --model fraud.evergrove\n"
    "  evergrove evaluate --model fraud.evergrove --data test.parquet\n"
    "  evergrove predict --model fraud.evergrove --data new.parquet --out scores.parquet\n"
    "\n"
    "Exit codes: 0 done; 1 differs; 2 bad input or usage; 3 storage; 4 stopped, can be resumed;\n"
    "70 a fault of Evergrove itself.";

// The subcommand that was named, or the application itself.
const CLI::App& innermost(const CLI::App& application) {
  const auto chosen = application.get_subcommands();
  return chosen.empty() ? application : *chosen.front();
}

std::string full_name(const CLI::App& application, const CLI::App& command) {
  if (&application == &command) return "evergrove";
  return "evergrove " + command.get_name();
}

// "; did you mean X?" if something known is near what was typed.
std::string suggestion(const CLI::App& application, const CLI::App& command,
                       std::string_view typed) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  if (&application == &command) {
    for (const CLI::App* one : application.get_subcommands({})) known.push_back(one->get_name());
  }
  if (known.empty()) return "";
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::string_view best = views[train::nearest(typed, views)];
  if (train::edit_distance(typed, best) > std::max<size_t>(2, typed.size() / 3)) return "";
  return "; did you mean " + std::string(best) + "?";
}

// What was wrong with the command line, as one sentence.
std::string usage_sentence(const CLI::App& application, const CLI::App& command,
                           const CLI::ParseError& error) {
  // A misspelt command is a missing one to CLI11.
  const std::vector<std::string> extras = command.remaining();
  const bool is_missing_command = &application == &command && !extras.empty();
  if (is_missing_command || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> all = application.remaining(true);
    const std::string first = !extras.empty() ? extras.front() : all.empty() ? "?" : all.front();
    const std::string_view what = first.starts_with("-")     ? "There is no option "
                                  : &application == &command ? "There is no command "
                                                             : "Nothing is expected here: ";
    return std::string(what) + first + suggestion(application, command, first);
  }
  if (&application == &command) return "Say what to do: evergrove COMMAND";
  return error.what();
}

int usage_error(const CLI::App& application, const CLI::ParseError& error) {
  const CLI::App& command = innermost(application);
  std::string sentence = usage_sentence(application, command, error);
  while (!sentence.empty() && (sentence.back() == '\n' || sentence.back() == '.')) {
    sentence.pop_back();
  }
  print_error(sentence + " (see " + full_name(application, command) + " --help)");
  return exit_code(StatusKind::invalid_input);
}

int finish(const Result<int>& result) {
  if (result.ok()) return result.value();
  const Status status = result.status();
  if (status.kind() == StatusKind::interrupted) {
    print_note(status.message());
  } else if (status.kind() == StatusKind::internal) {
    print_error("This is a fault of Evergrove itself, please report it: " + status.message());
  } else {
    print_error(status.message());
  }
  return exit_code(status.kind());
}

}  // namespace

int run(int argc, char** argv) {
  if (const Status status = exact::select_simd(); !status.ok()) return finish(status);
  CLI::App application(kDescription, "evergrove");
  application.footer(kFooter);
  application.set_version_flag("--version", "evergrove " EVERGROVE_VERSION);
  application.require_subcommand(1);
  application.get_formatter()->column_width(34);
  Action chosen;
  add_train(application, chosen);
  add_evaluate(application, chosen);
  add_predict(application, chosen);
  add_inspect(application, chosen);
  add_digest(application, chosen);
  add_diff(application, chosen);
  add_parameters(application, chosen);
  add_coordinator(application, chosen);
  add_worker(application, chosen);
  add_status(application, chosen);
  add_drain(application, chosen);
  add_credentials(application, chosen);
  add_completion(application, chosen);
  try {
    application.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App& command = innermost(application);
    const std::string before = &command == &application ? "" : application.get_name();
    std::fputs(command.help(before).c_str(), stdout);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::printf("%s\n", version.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    return usage_error(application, error);
  }
  const Result<int> result = chosen();
  // A result that did not reach its reader is not done.
  if (result.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
    return finish(storage_error("The result could not be written to standard output"));
  }
  return finish(result);
}

int exit_code(StatusKind kind) {
  switch (kind) {
    case StatusKind::ok:
      return 0;
    case StatusKind::invalid_input:
    case StatusKind::not_found:
    case StatusKind::corrupt:
    case StatusKind::unsupported:
      return 2;
    case StatusKind::storage:
      return 3;
    case StatusKind::interrupted:
      return 4;
    case StatusKind::internal:
      return 70;
  }
  return 70;
}

}  // namespace evergrove::cli
