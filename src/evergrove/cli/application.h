// The application: the subcommands, and what becomes of their results.
//
// Exit codes are a contract: 0 done; 1 differs (diff); 2 bad input or usage; 3 storage; 4 stopped
// by a signal, can be resumed; 70 our own bug. Standard output has results only; notes, progress
// and errors go to standard error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/base/status.h"

namespace CLI {
class App;
}

namespace evergrove::cli {

// Runs the command line and returns the exit code.
int run(int argc, char** argv);

int exit_code(StatusKind kind);

}  // namespace evergrove::cli
