// The subcommands: each adds its options to the application. When the command line names it, it
// sets `chosen` to what is to be done, which runs after parsing and gives the exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "evergrove/base/status.h"

namespace CLI {
class App;
}

namespace evergrove::cli {

using Action = std::function<Result<int>()>;

void add_train(CLI::App& application, Action& chosen);
void add_evaluate(CLI::App& application, Action& chosen);
void add_predict(CLI::App& application, Action& chosen);
void add_inspect(CLI::App& application, Action& chosen);
void add_digest(CLI::App& application, Action& chosen);
void add_diff(CLI::App& application, Action& chosen);
void add_parameters(CLI::App& application, Action& chosen);
void add_coordinator(CLI::App& application, Action& chosen);
void add_worker(CLI::App& application, Action& chosen);
void add_status(CLI::App& application, Action& chosen);
void add_drain(CLI::App& application, Action& chosen);
void add_credentials(CLI::App& application, Action& chosen);
// Requires: all others are there already.
void add_completion(CLI::App& application, Action& chosen);

}  // namespace evergrove::cli
