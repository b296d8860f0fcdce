// evergrove digest and evergrove diff: whether two models are the same, and where they part.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "evergrove/cli/commands.h"
#include "evergrove/cli/terminal.h"
#include "evergrove/model/difference.h"
#include "evergrove/runtime/model_file.h"

namespace evergrove::cli {
namespace {

constexpr const char* kDiffFooter =
    "Example:\n"
    "  evergrove diff laptop.evergrove cluster.evergrove && echo the same\n"
    "\n"
    "Exit code 0: the same to the bit; 1: they differ, and the first place is printed.";

Result<int> diff(const std::string& first, const std::string& second) {
  EVERGROVE_ASSIGN_OR_RETURN(const model::Model a, runtime::read_model(first));
  EVERGROVE_ASSIGN_OR_RETURN(const model::Model b, runtime::read_model(second));
  const std::string digest_a = model::digest(a);
  if (digest_a == model::digest(b)) {
    std::printf("the same: %s\n", digest_a.c_str());
    return 0;
  }
  std::printf("%s\n", printable(model::first_difference(a, b)).c_str());
  return 1;
}

}  // namespace

void add_digest(CLI::App& application, Action& chosen) {
  CLI::App* command = application.add_subcommand(
      "digest", "Print the SHA-256 of a model's canonical bytes, as 64 hex digits");
  auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "The model")->required();
  command->footer("Example:\n  evergrove digest fraud.evergrove");
  command->callback([&chosen, file] {
    chosen = [file]() -> Result<int> {
      EVERGROVE_ASSIGN_OR_RETURN(const model::Model model, runtime::read_model(*file));
      std::printf("%s\n", model::digest(model).c_str());
      return 0;
    };
  });
}

void add_diff(CLI::App& application, Action& chosen) {
  CLI::App* command =
      application.add_subcommand("diff", "Say where two models differ first, if they do");
  auto files = std::make_shared<std::pair<std::string, std::string>>();
  command->add_option("A", files->first, "A model")->required();
  command->add_option("B", files->second, "Another model")->required();
  command->footer(kDiffFooter);
  command->callback(
      [&chosen, files] { chosen = [files] { return diff(files->first, files->second); }; });
}

}  // namespace evergrove::cli
